//! Small readers: sums while reading, positions as a stream.
//!
//! Promises: nothing is kept but the sums. Does not: open anything.

use std::io::{self, Read};

use lifeboat_model::Sha256Hex;
use lifeboat_model::io::ReadAt;
use sha1::Digest as _;

/// Reads through to another reader, counts and hashes what passes, and remembers the source's own error.
#[derive(Debug)]
pub(crate) struct Summing<R> {
    inner: R,
    sha256: sha2::Sha256,
    len: u64,
    broken: Option<(io::ErrorKind, String)>,
}

impl<R: Read> Summing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, sha256: sha2::Sha256::default(), len: 0, broken: None }
    }

    /// Reads what is left, so that the sums cover all of it.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let mut buf = vec![0; 64 << 10];
        while self.read(&mut buf)? > 0 {}
        Ok(())
    }

    /// SHA-256 and length of everything that was read.
    pub(crate) fn finish(self) -> (Sha256Hex, u64) {
        (Sha256Hex(self.sha256.finalize().into()), self.len)
    }

    /// The error of the source itself, as opposed to one of a decoder above it.
    pub(crate) fn broken(&self) -> Option<io::Error> {
        self.broken.as_ref().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf) {
            Ok(count) => {
                self.sha256.update(buf.get(..count).unwrap_or_default());
                self.len += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.broken = Some((error.kind(), error.to_string()));
                Err(error)
            }
        }
    }
}

/// A range of positions as a stream.
#[derive(Debug)]
pub struct RangeReader<R> {
    source: R,
    at: u64,
    end: u64,
}

impl<R: ReadAt> RangeReader<R> {
    /// `len` bytes from `at` on; a range that leaves the source fails when it is read.
    pub const fn new(source: R, at: u64, len: u64) -> Self {
        Self { source, at, end: at.saturating_add(len) }
    }

    /// All of it.
    pub fn whole(source: R) -> Self {
        let end = source.size();
        Self { source, at: 0, end }
    }
}

impl<R: ReadAt> Read for RangeReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = buf.len().min(left);
        let Some(part) = buf.get_mut(..count) else { return Ok(0) };
        if !part.is_empty() {
            self.source.read_at(self.at, part)?;
            self.at += part.len() as u64;
        }
        Ok(count)
    }
}

/// At most `limit` bytes; `None` if there are more.
pub(crate) fn read_limited(reader: &mut impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
