//! The bytes of one member.
//!
//! Promises: never more bytes than the directory says, and an error at the end if there are fewer or if their CRC-32
//! is another one.

use std::io::{self, BufReader, Read};

use flate2::bufread::DeflateDecoder;
use lifeboat_model::io::ReadAt;

use super::directory::{Entry, ZipError};
use crate::stream::RangeReader;

#[derive(Debug)]
enum Source<R: ReadAt> {
    Stored(RangeReader<R>),
    Deflated(DeflateDecoder<BufReader<RangeReader<R>>>),
}

/// Reads a member front to back.
#[derive(Debug)]
pub struct MemberReader<R: ReadAt> {
    source: Source<R>,
    left: u64,
    crc: crc32fast::Hasher,
    expected: u32,
}

impl<R: ReadAt> MemberReader<R> {
    pub(super) fn new(source: R, entry: &Entry) -> Result<Self, ZipError> {
        let unsupported = |what| ZipError::Unsupported { name: entry.name.clone(), what };
        if entry.encrypted {
            return Err(unsupported("is encrypted"));
        }
        let range = RangeReader::new(source, entry.data, entry.packed);
        let source = match entry.method {
            0 if entry.packed == entry.size => Source::Stored(range),
            0 => return Err(unsupported("is stored and has two sizes")),
            8 => Source::Deflated(DeflateDecoder::new(BufReader::with_capacity(64 << 10, range))),
            _ => return Err(unsupported("is compressed by a method other than deflate")),
        };
        Ok(Self { source, left: entry.size, crc: crc32fast::Hasher::new(), expected: entry.crc })
    }
}

impl<R: ReadAt> Read for MemberReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let count = match &mut self.source {
            Source::Stored(source) => source.read(buf)?,
            Source::Deflated(source) => source.read(buf)?,
        };
        let Some(left) = self.left.checked_sub(count as u64) else {
            return Err(wrong("it unpacks to more bytes than the directory says".to_owned()));
        };
        self.left = left;
        if count == 0 {
            if left > 0 {
                return Err(wrong(format!("it ends {left} bytes before its size in the directory")));
            }
            let found = self.crc.clone().finalize();
            if found != self.expected {
                return Err(wrong(format!(
                    "its CRC-32 is {found:08x}; the directory says {:08x}",
                    self.expected
                )));
            }
        }
        self.crc.update(buf.get(..count).unwrap_or_default());
        Ok(count)
    }
}
