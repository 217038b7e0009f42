//! The archive as bytes that are read once.
//!
//! Owns: the order of its entries. Promises: its length is known before its first byte; a package that is not what the
//! index says ends the reading with an error. Does not: open files (they are handed in).

use std::io::{self, Read};

use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};

use super::error::PackagesError;
use super::header::{encode_header, padded};
use super::index::{INDEX_NAME, PackageEntry, PackageIndex};

/// An archive of packages, to be read as the slot `packages`.
pub struct PackagesArchive<F, R> {
    index: PackageIndex,
    len: u64,
    open: F,
    /// Bytes that are due: headers, the index, padding.
    due: io::Cursor<Vec<u8>>,
    file: Option<Opened<R>>,
    next: usize,
}

/// The package that is being read.
struct Opened<R> {
    source: R,
    left: u64,
    hash: Sha256,
}

impl<F, R> std::fmt::Debug for PackagesArchive<F, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PackagesArchive")
            .field("packages", &self.index.packages.len())
            .finish_non_exhaustive()
    }
}

impl<F: FnMut(&PackageEntry) -> io::Result<R>, R: Read> PackagesArchive<F, R> {
    /// The archive of an index; `open` is asked for each package in turn.
    pub fn new(index: PackageIndex, open: F) -> Result<Self, PackagesError> {
        index.check()?;
        let text = index.encode()?;
        let index_len = text.len() as u64;
        if index_len > super::MAX_PACKAGES_INDEX {
            return Err(PackagesError::IndexTooLong { bytes: index_len });
        }
        let mut due = encode_header(INDEX_NAME, index_len)?.to_vec();
        due.extend_from_slice(&text);
        pad(&mut due, index_len);
        let len = index.archive_len(index_len);
        Ok(Self { index, len, open, due: io::Cursor::new(due), file: None, next: 0 })
    }

    /// Bytes of the archive.
    pub fn total(&self) -> u64 {
        self.len
    }

    fn advance(&mut self) -> io::Result<()> {
        let refused = |error: PackagesError| io::Error::new(io::ErrorKind::InvalidData, error);
        if let Some(file) = self.file.take() {
            let Some(entry) = self.index.packages.get(self.next) else { return Ok(()) };
            if Sha256Hex(file.hash.finalize().into()) != entry.sha256 {
                return Err(refused(PackagesError::Altered { file: entry.file.clone() }));
            }
            let mut due = Vec::new();
            pad(&mut due, entry.size);
            self.next += 1;
            self.due = io::Cursor::new(due);
            return Ok(());
        }
        let due = match self.index.packages.get(self.next) {
            Some(entry) => {
                let source = (self.open)(entry)?;
                self.file = Some(Opened { source, left: entry.size, hash: Sha256::new() });
                encode_header(&entry.file, entry.size).map_err(refused)?.to_vec()
            }
            None if self.next == self.index.packages.len() => {
                self.next += 1;
                vec![0; 1024]
            }
            None => Vec::new(),
        };
        self.due = io::Cursor::new(due);
        Ok(())
    }
}

fn pad(bytes: &mut Vec<u8>, len: u64) {
    let fill = usize::try_from(padded(len) - len).unwrap_or(0);
    bytes.resize(bytes.len() + fill, 0);
}

impl<F: FnMut(&PackageEntry) -> io::Result<R>, R: Read> Read for PackagesArchive<F, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            let got = self.due.read(buf)?;
            if got > 0 {
                return Ok(got);
            }
            if let Some(file) = self.file.as_mut().filter(|file| file.left > 0) {
                let most = usize::try_from(file.left).unwrap_or(usize::MAX).min(buf.len());
                let got = file.source.read(buf.get_mut(..most).unwrap_or_default())?;
                if got == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.hash.update(buf.get(..got).unwrap_or_default());
                file.left -= got as u64;
                return Ok(got);
            }
            if self.file.is_none() && self.next > self.index.packages.len() {
                return Ok(0);
            }
            self.advance()?;
        }
    }
}
