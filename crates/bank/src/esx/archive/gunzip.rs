//! gzip (RFC 1952) as a stream that is pushed in.

use flate2::{Decompress, FlushDecompress, Status};

use super::error::ArchiveError;

/// Most bytes of a header with its name and comment.
const MAX_HEADER: usize = 64 << 10;
const OUT: usize = 128 << 10;

/// Takes the bytes of a gzip file in pieces, and gives its content in pieces.
pub(in crate::esx) struct Gunzip {
    step: Step,
    /// Header or trailer, as far as it has come.
    held: Vec<u8>,
    inflate: Decompress,
    out: Vec<u8>,
    crc: crc32fast::Hasher,
    unpacked: u64,
    limit: u64,
    trailing: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Header,
    Deflate,
    Trailer,
    Done,
}

impl Gunzip {
    /// A stream that gives at most `limit` bytes.
    pub(in crate::esx) fn new(limit: u64) -> Self {
        Self {
            step: Step::Header,
            held: Vec::new(),
            inflate: Decompress::new(false),
            out: vec![0; OUT],
            crc: crc32fast::Hasher::new(),
            unpacked: 0,
            limit,
            trailing: 0,
        }
    }

    /// Takes more of the file; `sink` gets content in order.
    pub(in crate::esx) fn push(
        &mut self,
        mut bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        while !bytes.is_empty() {
            bytes = match self.step {
                Step::Header => {
                    // A header is some ten bytes; what follows it goes on as data.
                    self.held.extend_from_slice(bytes);
                    let Some(len) = header_len(&self.held)? else {
                        return if self.held.len() > MAX_HEADER {
                            Err(ArchiveError::Header { reason: "it does not end" })
                        } else {
                            Ok(())
                        };
                    };
                    self.step = Step::Deflate;
                    let behind = self.held.len() - len;
                    self.held.clear();
                    bytes.get(bytes.len().saturating_sub(behind)..).unwrap_or_default()
                }
                Step::Deflate => {
                    let used = self.inflate(bytes, sink)?;
                    bytes.get(used..).unwrap_or_default()
                }
                Step::Trailer => {
                    let (front, rest) = bytes.split_at(bytes.len().min(8 - self.held.len()));
                    self.held.extend_from_slice(front);
                    if let Some(&[a, b, c, d, e, f, g, h]) = self.held.first_chunk() {
                        self.check(u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))?;
                        self.step = Step::Done;
                    }
                    rest
                }
                Step::Done => {
                    self.trailing += bytes.len() as u64;
                    &[]
                }
            };
        }
        Ok(())
    }

    /// Says that the file ended. Gives the bytes of content and the bytes behind the end of the stream.
    pub(in crate::esx) fn finish(&self) -> Result<(u64, u64), ArchiveError> {
        match self.step {
            Step::Done => Ok((self.unpacked, self.trailing)),
            Step::Header | Step::Deflate | Step::Trailer => {
                Err(ArchiveError::Cut { unpacked: self.unpacked })
            }
        }
    }

    fn inflate(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<usize, ArchiveError> {
        let mut used = 0;
        loop {
            let (in_before, out_before) = (self.inflate.total_in(), self.inflate.total_out());
            let rest = bytes.get(used..).unwrap_or_default();
            let status = self.inflate.decompress(rest, &mut self.out, FlushDecompress::None);
            let status = status.map_err(|_| ArchiveError::Deflate { unpacked: self.unpacked })?;
            let read = usize::try_from(self.inflate.total_in() - in_before).unwrap_or(0);
            let made = usize::try_from(self.inflate.total_out() - out_before).unwrap_or(0);
            used += read;
            self.unpacked += made as u64;
            if self.unpacked > self.limit {
                return Err(ArchiveError::TooLarge { limit: self.limit });
            }
            let content = self.out.get(..made).unwrap_or_default();
            self.crc.update(content);
            sink(content)?;
            if status == Status::StreamEnd {
                self.step = Step::Trailer;
                return Ok(used);
            }
            if read == 0 && made == 0 {
                return if used == bytes.len() {
                    Ok(used)
                } else {
                    Err(ArchiveError::Deflate { unpacked: self.unpacked })
                };
            }
        }
    }

    fn check(&self, crc: u32, len: u32) -> Result<(), ArchiveError> {
        let found = self.crc.clone().finalize();
        if found != crc {
            return Err(ArchiveError::Crc { found, stated: crc });
        }
        let cut = u32::try_from(self.unpacked & u64::from(u32::MAX)).unwrap_or(0);
        if cut != len {
            return Err(ArchiveError::Length { found: cut, stated: len });
        }
        Ok(())
    }
}

/// Bytes of the header, if it has come whole.
fn header_len(held: &[u8]) -> Result<Option<usize>, ArchiveError> {
    let bad = |reason| ArchiveError::Header { reason };
    let mark = [0x1f, 0x8b, 8];
    if held.iter().zip(mark).any(|(&byte, mark)| byte != mark) {
        return Err(bad("it does not begin with 1F 8B 08"));
    }
    let Some(&flags) = held.get(3) else { return Ok(None) };
    if flags & 0xe0 != 0 {
        return Err(bad("it has flags that are not defined"));
    }
    let mut at = 10;
    if flags & 4 != 0 {
        let Some(&[low, high]) = held.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let rest = held.get(at..).unwrap_or_default();
            let Some(end) = rest.iter().position(|&byte| byte == 0) else { return Ok(None) };
            at += end + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    Ok((held.len() >= at).then_some(at))
}
