//! Taking an archive apart.
//!
//! Owns: the walk from the index to the end. Promises: the index decides everything: headers, padding and length are
//! compared with it and never believed; memory is bounded by the index that really came. Does not: choose where a
//! package is written.

use std::io::{self, Read, Write};

use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};

use super::error::PackagesError;
use super::header::{HEADER, announced_len, encode_header, padded};
use super::index::{INDEX_NAME, MAX_PACKAGES_INDEX, PackageEntry, PackageIndex};

/// Reads packages in the order of the index.
#[derive(Debug)]
pub struct PackagesReader<R> {
    source: R,
    index: PackageIndex,
    next: usize,
    ended: bool,
}

impl<R: Read> PackagesReader<R> {
    /// Reads the index of an archive of `len` bytes. The length is compared before anything else is read.
    pub fn open(mut source: R, len: u64) -> Result<Self, PackagesError> {
        let wrong = |what| PackagesError::Archive { place: INDEX_NAME.to_owned(), what };
        let failed = |source| PackagesError::Read { place: INDEX_NAME.to_owned(), source };
        let mut header = [0_u8; HEADER];
        source.read_exact(&mut header).map_err(failed)?;
        let bytes = announced_len(&header).ok_or_else(|| wrong("its header has no length"))?;
        if bytes > MAX_PACKAGES_INDEX {
            return Err(PackagesError::IndexTooLong { bytes });
        }
        if encode_header(INDEX_NAME, bytes)? != header {
            return Err(wrong("the archive does not begin with the header of an index"));
        }
        let mut text = Vec::new();
        source.by_ref().take(bytes).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 != bytes {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let index = PackageIndex::parse(&text)?;
        let wanted = index.archive_len(bytes);
        if len != wanted {
            return Err(PackagesError::Length { found: len, wanted });
        }
        let mut reader = Self { source, index, next: 0, ended: false };
        reader.zeros(padded(bytes) - bytes, INDEX_NAME)?;
        Ok(reader)
    }

    /// What the release is made of.
    pub fn index(&self) -> &PackageIndex {
        &self.index
    }

    /// Copies the next package to what `make` opens for it. Its bytes are good only when this returns: the digest is
    /// compared last. Nothing after the last one, whose end of the archive was checked too.
    pub fn next_package<W: Write>(
        &mut self,
        make: impl FnOnce(&PackageEntry) -> io::Result<W>,
    ) -> Result<Option<(PackageEntry, W)>, PackagesError> {
        let Some(entry) = self.index.packages.get(self.next).cloned() else {
            if !self.ended {
                self.zeros(1024, "its end")?;
                self.ended = true;
            }
            return Ok(None);
        };
        self.next += 1;
        let failed = |source| PackagesError::Read { place: entry.file.clone(), source };
        let mut header = [0_u8; HEADER];
        self.source.read_exact(&mut header).map_err(failed)?;
        if encode_header(&entry.file, entry.size)? != header {
            let what = "its header is not that of the package";
            return Err(PackagesError::Archive { place: entry.file, what });
        }
        let unwritten = |source| PackagesError::Write { file: entry.file.clone(), source };
        let mut out = make(&entry).map_err(unwritten)?;
        let mut hash = Sha256::new();
        let mut left = entry.size;
        let mut buffer = vec![0_u8; 256 * 1024];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let got = self.source.read(buffer.get_mut(..most).unwrap_or_default()).map_err(failed)?;
            let bytes = buffer.get(..got).unwrap_or_default();
            if bytes.is_empty() {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            hash.update(bytes);
            out.write_all(bytes).map_err(unwritten)?;
            left -= got as u64;
        }
        out.flush().map_err(unwritten)?;
        if Sha256Hex(hash.finalize().into()) != entry.sha256 {
            return Err(PackagesError::Altered { file: entry.file });
        }
        self.zeros(padded(entry.size) - entry.size, &entry.file)?;
        Ok(Some((entry, out)))
    }

    /// Reads everything that is left and keeps nothing.
    pub fn verify(&mut self) -> Result<(), PackagesError> {
        while self.next_package(|_| Ok(io::sink()))?.is_some() {}
        Ok(())
    }

    fn zeros(&mut self, len: u64, place: &str) -> Result<(), PackagesError> {
        let mut bytes = vec![0_u8; usize::try_from(len).unwrap_or(0)];
        self.source
            .read_exact(&mut bytes)
            .map_err(|source| PackagesError::Read { place: place.to_owned(), source })?;
        if bytes.iter().any(|byte| *byte != 0) {
            let what = "its padding is not zero";
            return Err(PackagesError::Archive { place: place.to_owned(), what });
        }
        Ok(())
    }
}
