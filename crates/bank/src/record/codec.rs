//! The block of 4096 bytes: magic `LFBTREC1`, u32 version, u32 payload length, u64 sequence, SHA-256 over those
//! three and the payload, JSON payload, zeros. Numbers are little-endian.

use sha2::{Digest, Sha256};

use super::{BankRecord, RecordError};
use crate::bytes::{le_u32, le_u64, put, take};

/// The version of the form that is written.
pub const RECORD_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"LFBTREC1";
/// Bytes of the block; [`crate::layout::RECORD_BYTES`] as a length in memory.
pub(super) const BLOCK: usize = 4096;
const HEADER: usize = 8 + 4 + 4 + 8 + 32;
const PAYLOAD_LIMIT: usize = BLOCK - HEADER;

/// What a block holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A record and its sequence number.
    Valid { sequence: u64, record: Box<BankRecord> },
    /// Whole, and of another version.
    OtherVersion { version: u32 },
    /// Not a record; completes a sentence that begins with "it".
    Bad { reason: String },
}

/// The block of a record.
///
/// Reasons of failures and notes are dropped, oldest first, when the record would not fit otherwise; what decides
/// (states, digests, floor) never is.
pub fn encode_record(record: &BankRecord, sequence: u64) -> Result<Box<[u8; 4096]>, RecordError> {
    let encode =
        |record: &BankRecord| serde_json::to_vec(record).map_err(|source| RecordError::Encode { source });
    let mut payload = encode(record)?;
    let mut shorter = record.clone();
    for index in 0..record.failed.len() {
        if payload.len() <= PAYLOAD_LIMIT {
            break;
        }
        if let Some(failed) = shorter.failed.get_mut(index) {
            failed.reason.clear();
        }
        payload = encode(&shorter)?;
    }
    if payload.len() > PAYLOAD_LIMIT {
        shorter.banks.a.note = None;
        shorter.banks.b.note = None;
        payload = encode(&shorter)?;
    }
    if payload.len() > PAYLOAD_LIMIT {
        return Err(RecordError::TooLarge { bytes: payload.len() + HEADER });
    }
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut block = Box::new([0_u8; BLOCK]);
    put(&mut *block, 0, MAGIC);
    put(&mut *block, 8, &RECORD_VERSION.to_le_bytes());
    put(&mut *block, 12, &length.to_le_bytes());
    put(&mut *block, 16, &sequence.to_le_bytes());
    put(&mut *block, 24, &digest(RECORD_VERSION, length, sequence, &payload));
    put(&mut *block, HEADER, &payload);
    Ok(block)
}

/// The record of a block and its sequence number, or what is wrong with it as the rest of a sentence ("it …").
pub fn decode_record(block: &[u8]) -> Result<(BankRecord, u64), String> {
    match decode_block(block) {
        Block::Valid { sequence, record } => Ok((*record, sequence)),
        Block::OtherVersion { version } => {
            Err(format!("has version {version}; this program knows {RECORD_VERSION}"))
        }
        Block::Bad { reason } => Err(reason),
    }
}

pub(super) fn decode_block(block: &[u8]) -> Block {
    parse(block).unwrap_or_else(|reason| Block::Bad { reason })
}

fn parse(block: &[u8]) -> Result<Block, String> {
    if block.get(..8) != Some(MAGIC) {
        let blank = block.iter().all(|&byte| byte == 0);
        return Err(if blank { "was never written" } else { "has no magic" }.to_owned());
    }
    let short = || "is cut off".to_owned();
    let version = le_u32(block, 8).ok_or_else(short)?;
    let length = le_u32(block, 12).ok_or_else(short)?;
    let sequence = le_u64(block, 16).ok_or_else(short)?;
    let stored: [u8; 32] = take(block, 24).ok_or_else(short)?;
    let payload = block.get(HEADER..).and_then(|rest| rest.get(..length as usize));
    let payload =
        payload.ok_or_else(|| format!("has a payload of {length} bytes; {PAYLOAD_LIMIT} are possible"))?;
    if digest(version, length, sequence, payload) != stored {
        return Err("has a wrong digest".to_owned());
    }
    if version != RECORD_VERSION {
        return Ok(Block::OtherVersion { version });
    }
    let record =
        serde_json::from_slice(payload).map_err(|error| format!("has an impossible payload: {error}"))?;
    Ok(Block::Valid { sequence, record })
}

fn digest(version: u32, length: u32, sequence: u64, payload: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(version.to_le_bytes());
    hasher.update(length.to_le_bytes());
    hasher.update(sequence.to_le_bytes());
    hasher.update(payload);
    hasher.finalize().into()
}
