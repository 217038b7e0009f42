//! The bytes of an undo file; `docs/formats/undo.md` tells every one of them. Numbers are little-endian.

use super::error::UndoError;
use super::identity::{DiskIdentity, Place, TableIdentity};
use crate::bytes::{le_u32, le_u64, take};
use crate::guid::Guid;

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"LFBTUNDO";
/// First bytes of the end.
pub(super) const END_MAGIC: &[u8; 8] = b"LFBTUEND";
/// First bytes of a record.
const RECORD_MAGIC: &[u8; 4] = b"UREC";
/// Version of the form.
const VERSION: u32 = 1;
/// Bytes of the header before its text.
pub(super) const HEADER: usize = 128;
/// Most bytes of the text.
pub(super) const TEXT_LIMIT: usize = 1024;
/// Bytes of a record before what was there.
pub(super) const RECORD_HEADER: u64 = 24;
/// The same, for arrays.
pub(super) const RECORD_HEADER_LEN: usize = 24;
/// Most sectors of a record.
pub(super) const RECORD_SECTORS: u32 = 2048;
/// Most records of a file.
pub(super) const RECORD_LIMIT: u64 = 1 << 20;
/// Bytes that are kept of a sector's digest.
pub(super) const MARK: usize = 16;
/// Bytes of the end: magic and digest.
pub(super) const END: u64 = 40;

/// What stands at the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) created: u64,
    pub(super) disk: DiskIdentity,
    pub(super) place: Place,
    pub(super) records: u32,
    pub(super) epochs: u32,
    /// Bytes of the whole file.
    pub(super) file_bytes: u64,
    pub(super) what: String,
}

/// A range that was overwritten in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    /// From 1.
    pub(super) epoch: u32,
    /// First byte on the disk.
    pub(super) offset: u64,
    pub(super) sectors: u32,
}

impl RecordHead {
    pub(super) fn bytes(&self) -> u64 {
        u64::from(self.sectors) * 512
    }

    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes())
    }

    /// Bytes of the whole record in the file.
    pub(super) fn file_bytes(&self) -> u64 {
        RECORD_HEADER + self.bytes() + u64::from(self.sectors) * MARK as u64
    }
}

/// Text cut to what the header may hold, at a character.
pub(super) fn header_text(what: &str) -> &str {
    let mut end = what.len().min(TEXT_LIMIT);
    while !what.is_char_boundary(end) {
        end -= 1;
    }
    what.get(..end).unwrap_or("")
}

pub(super) fn encode_header(header: &Header) -> Vec<u8> {
    let text = header_text(&header.what);
    let (kind, guid, signature) = match header.disk.table {
        TableIdentity::Gpt { guid } => (1_u8, guid.0, 0),
        TableIdentity::Mbr { signature } => (2, [0; 16], signature),
        TableIdentity::Bare { uuid } => (3, uuid, 0),
    };
    let place = &header.place;
    let known = u8::from(place.uuid_before.is_some()) | u8::from(place.uuid_after.is_some()) << 1;
    let mut out = Vec::with_capacity(HEADER + text.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(&header.file_bytes.to_le_bytes());
    out.extend_from_slice(&header.created.to_le_bytes());
    out.extend_from_slice(&header.disk.bytes.to_le_bytes());
    out.extend_from_slice(&guid);
    out.extend_from_slice(&signature.to_le_bytes());
    out.extend_from_slice(&place.partition.to_le_bytes());
    out.extend_from_slice(&place.offset.to_le_bytes());
    out.extend_from_slice(&place.bytes.to_le_bytes());
    out.extend_from_slice(&place.uuid_before.unwrap_or_default());
    out.extend_from_slice(&place.uuid_after.unwrap_or_default());
    out.extend_from_slice(&header.records.to_le_bytes());
    out.extend_from_slice(&header.epochs.to_le_bytes());
    out.extend_from_slice(&u32::from(place.letter).to_le_bytes());
    out.extend_from_slice(&[kind, known]);
    out.resize(HEADER, 0);
    out.extend_from_slice(text.as_bytes());
    out
}

/// Bytes of the text, from the first [`HEADER`] bytes of a file.
pub(super) fn text_len(front: &[u8]) -> Result<usize, UndoError> {
    if take::<8>(front, 0).is_none_or(|magic| &magic != MAGIC) {
        return Err(UndoError::NotUndo);
    }
    let version = le_u32(front, 8).ok_or_else(|| damaged("its header is cut"))?;
    if version != VERSION {
        return Err(UndoError::Newer { found: version, known: VERSION });
    }
    let len = le_u32(front, 12).and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= TEXT_LIMIT);
    len.ok_or_else(|| damaged("its text has an impossible length"))
}

/// Reads the header; `bytes` holds its text too.
pub(super) fn decode_header(bytes: &[u8]) -> Result<Header, UndoError> {
    let text_len = text_len(bytes)?;
    let cut = || damaged("its header is cut");
    let u32_at = |at| le_u32(bytes, at).ok_or_else(cut);
    let u64_at = |at| le_u64(bytes, at).ok_or_else(cut);
    let array = |at| take::<16>(bytes, at).ok_or_else(cut);
    let [kind, known] = take::<2>(bytes, 124).ok_or_else(cut)?;
    let table = match kind {
        1 => TableIdentity::Gpt { guid: Guid(array(40)?) },
        2 => TableIdentity::Mbr { signature: u32_at(56)? },
        3 => TableIdentity::Bare { uuid: array(40)? },
        _ => return Err(damaged("it names no kind of partition table")),
    };
    let letter = char::from_u32(u32_at(120)?).ok_or_else(|| damaged("it names no bank"))?;
    let (before, after) = (array(80)?, array(96)?);
    let text = bytes.get(HEADER..HEADER + text_len).ok_or_else(cut)?;
    let text = std::str::from_utf8(text).map_err(|_| damaged("its text is not UTF-8"))?;
    Ok(Header {
        created: u64_at(24)?,
        disk: DiskIdentity { bytes: u64_at(32)?, table },
        place: Place {
            letter,
            partition: u32_at(60)?,
            offset: u64_at(64)?,
            bytes: u64_at(72)?,
            uuid_before: (known & 1 != 0).then_some(before),
            uuid_after: (known & 2 != 0).then_some(after),
        },
        records: u32_at(112)?,
        epochs: u32_at(116)?,
        file_bytes: u64_at(16)?,
        what: text.to_owned(),
    })
}

pub(super) fn encode_record_head(head: &RecordHead) -> [u8; RECORD_HEADER_LEN] {
    let mut out = [0; RECORD_HEADER_LEN];
    crate::bytes::put(&mut out, 0, RECORD_MAGIC);
    crate::bytes::put(&mut out, 4, &head.epoch.to_le_bytes());
    crate::bytes::put(&mut out, 8, &head.offset.to_le_bytes());
    crate::bytes::put(&mut out, 16, &head.sectors.to_le_bytes());
    out
}

pub(super) fn decode_record_head(bytes: &[u8]) -> Option<RecordHead> {
    if &take::<4>(bytes, 0)? != RECORD_MAGIC {
        return None;
    }
    Some(RecordHead { epoch: le_u32(bytes, 4)?, offset: le_u64(bytes, 8)?, sectors: le_u32(bytes, 16)? })
}

pub(super) fn damaged(reason: &str) -> UndoError {
    UndoError::Damaged { reason: reason.to_owned() }
}
