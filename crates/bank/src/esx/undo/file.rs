//! Reading an undo file, whoever wrote it.

use lifeboat_model::io::ReadAt;
use sha2::{Digest, Sha256};

use super::codec::{
    END, END_MAGIC, HEADER, Header, MARK, RECORD_HEADER, RECORD_HEADER_LEN, RECORD_LIMIT, RECORD_SECTORS,
    RecordHead, damaged, decode_header, decode_record_head, text_len,
};
use super::error::UndoError;
use super::identity::{DiskIdentity, Place};

/// Bytes that are hashed at a time.
const PIECE: u64 = 1 << 20;

/// A whole undo file: its digest was checked, and its records fit together.
pub struct UndoFile<'a> {
    source: &'a dyn ReadAt,
    header: Header,
    pub(super) records: Vec<Record>,
}

/// A record, and where it lies in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) head: RecordHead,
    /// First byte in the file.
    at: u64,
}

impl std::fmt::Debug for UndoFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UndoFile")
            .field("header", &self.header)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

impl<'a> UndoFile<'a> {
    /// Opens a file: every byte of it is read once. Needs 32 bytes of memory for each MiB that was overwritten.
    pub fn open(source: &'a dyn ReadAt) -> Result<Self, UndoError> {
        let size = source.size();
        let mut front = vec![0; usize::try_from(size).unwrap_or(HEADER).min(HEADER)];
        read(source, 0, &mut front)?;
        let text = text_len(&front)?;
        let header_len = (HEADER + text) as u64;
        if size < header_len + END {
            return Err(damaged("it is cut off in its header"));
        }
        front.resize(HEADER + text, 0);
        read(source, 0, &mut front)?;
        let header = decode_header(&front)?;
        if header.file_bytes != size {
            let text = format!("it has {size} bytes and should have {}", header.file_bytes);
            return Err(UndoError::Damaged { reason: text });
        }
        check_digest(source, size)?;
        let records = index(source, &header, header_len, size - END)?;
        Ok(Self { source, header, records })
    }

    /// What was done.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.header.what
    }

    /// When, in seconds since 1970, by the clock of the machine that did it.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.header.created
    }

    /// The disk.
    #[must_use]
    pub fn disk(&self) -> &DiskIdentity {
        &self.header.disk
    }

    /// The bank.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.header.place
    }

    /// Steps of the change.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.header.epochs
    }

    /// Bytes of the disk that it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.head.bytes()).sum()
    }

    /// What was there before, and the marks of what was written.
    pub(super) fn content(
        &self,
        record: &Record,
        old: &mut Vec<u8>,
        marks: &mut Vec<u8>,
    ) -> Result<(), UndoError> {
        old.resize(usize::try_from(record.head.bytes()).unwrap_or(0), 0);
        marks.resize(usize::try_from(record.head.sectors).unwrap_or(0) * MARK, 0);
        read(self.source, record.at + RECORD_HEADER, old)?;
        read(self.source, record.at + RECORD_HEADER + record.head.bytes(), marks)
    }
}

fn read(source: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), UndoError> {
    source.read_at(offset, buf).map_err(|source| UndoError::File { doing: "reading", offset, source })
}

fn check_digest(source: &dyn ReadAt, size: u64) -> Result<(), UndoError> {
    let covered = size - 32;
    let mut hasher = Sha256::new();
    let mut buf = vec![0; usize::try_from(covered.min(PIECE)).unwrap_or(0)];
    let mut at = 0;
    while at < covered {
        let count = usize::try_from((covered - at).min(PIECE)).unwrap_or(0);
        let piece = buf.get_mut(..count).unwrap_or(&mut []);
        read(source, at, piece)?;
        hasher.update(piece);
        at += count as u64;
    }
    let mut wanted = [0; 32];
    read(source, covered, &mut wanted)?;
    let mut magic = [0; 8];
    read(source, covered - 8, &mut magic)?;
    if &magic != END_MAGIC {
        return Err(damaged("it does not end as an undo file does"));
    }
    if <[u8; 32]>::from(hasher.finalize()) == wanted { Ok(()) } else { Err(damaged("its digest is wrong")) }
}

/// Finds the records, and refuses what no change writes.
fn index(source: &dyn ReadAt, header: &Header, from: u64, to: u64) -> Result<Vec<Record>, UndoError> {
    if u64::from(header.records) > RECORD_LIMIT {
        return Err(damaged("it claims more records than any change writes"));
    }
    if header.epochs > header.records {
        return Err(damaged("it claims more steps than records"));
    }
    let place = &header.place;
    let place_end = place.offset.checked_add(place.bytes).filter(|end| *end <= header.disk.bytes);
    let place_end = place_end.ok_or_else(|| damaged("its bank does not lie on its disk"))?;
    let mut records: Vec<Record> = Vec::new();
    let (mut at, mut epoch) = (from, 1);
    for _ in 0..header.records {
        let mut head = [0; RECORD_HEADER_LEN];
        if at.saturating_add(RECORD_HEADER) > to {
            return Err(damaged("it has fewer records than it says"));
        }
        read(source, at, &mut head)?;
        let head = decode_record_head(&head).ok_or_else(|| damaged("a record does not begin as one"))?;
        let fits = head.sectors > 0
            && head.sectors <= RECORD_SECTORS
            && head.offset % 512 == 0
            && head.offset >= place.offset
            && head.end() <= place_end
            && head.epoch >= epoch
            && head.epoch <= header.epochs;
        if !fits {
            return Err(damaged("a record lies outside of its bank, or out of order"));
        }
        epoch = head.epoch;
        records.push(Record { head, at });
        at += head.file_bytes();
    }
    if at != to {
        return Err(damaged("its records are shorter or longer than it is"));
    }
    let mut order: Vec<(u32, u64, u64)> =
        records.iter().map(|record| (record.head.epoch, record.head.offset, record.head.end())).collect();
    order.sort_unstable();
    let twice = order.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0 && b.1 < a.2));
    if twice { Err(damaged("a step writes a sector twice")) } else { Ok(records) }
}
