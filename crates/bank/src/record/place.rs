//! The two copies on the disk.

use lifeboat_model::Bank;
use lifeboat_model::io::{ReadAt, WriteAt};
use serde::Serialize;

use super::codec::{BLOCK, Block, decode_block, encode_record};
use super::{BankRecord, RecordError};
use crate::finding::Finding;
use crate::layout::{Layout, RECORD_BYTES};

/// How a copy was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum CopyState {
    /// Valid, with this sequence number.
    Valid {
        /// The larger one counts.
        sequence: u64,
    },
    /// Not valid.
    Bad {
        /// The rest of a sentence that begins with "it".
        reason: String,
    },
}

/// The record of a disk, and how well its copies are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRead {
    /// The record of the valid copy with the highest sequence number.
    pub record: BankRecord,
    /// That sequence number.
    pub sequence: u64,
    /// The copies beside the roots of A and B.
    pub copies: [CopyState; 2],
    /// `record-copy-bad`, `record-copy-old`.
    pub findings: Vec<Finding>,
}

/// Reads both copies. An unreadable sector is a bad copy, not an error, as long as the other is valid.
pub fn read_record(disk: &dyn ReadAt, layout: &Layout) -> Result<RecordRead, RecordError> {
    let blocks = Bank::BOTH.map(|bank| read_block(disk, layout, bank));
    for block in &blocks {
        if let Block::OtherVersion { version } = block {
            return Err(RecordError::Newer { found: *version });
        }
    }
    let copies = blocks.each_ref().map(copy_state);
    let best = blocks.into_iter().filter_map(valid).max_by_key(|(sequence, _)| *sequence);
    let Some((sequence, record)) = best else {
        let [a, b] = copies.map(|copy| match copy {
            CopyState::Bad { reason } => reason,
            CopyState::Valid { .. } => "is valid".to_owned(),
        });
        return Err(RecordError::NoValidCopy { a, b });
    };
    let mut findings = Vec::new();
    for (bank, copy) in Bank::BOTH.into_iter().zip(&copies) {
        match copy {
            CopyState::Bad { reason } => {
                let text = format!("the copy of the bank record in bank {bank} is not used: it {reason}");
                findings.push(Finding::new("record-copy-bad", text));
            }
            CopyState::Valid { sequence: found } if *found < sequence => {
                let text = format!(
                    "the copy of the bank record in bank {bank} is older ({found}, newest {sequence})"
                );
                findings.push(Finding::new("record-copy-old", text));
            }
            CopyState::Valid { .. } => {}
        }
    }
    Ok(RecordRead { record, sequence, copies, findings })
}

/// Writes `record` with the next sequence number: the older or bad copy, flush, the other copy, flush. Returns the
/// sequence number. A record of another version is never overwritten.
pub fn write_record(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    record: &BankRecord,
) -> Result<u64, RecordError> {
    let sequences = match read_record(&*disk, layout) {
        Ok(read) => read.copies.map(|copy| match copy {
            CopyState::Valid { sequence } => Some(sequence),
            CopyState::Bad { .. } => None,
        }),
        Err(RecordError::NoValidCopy { .. }) => [None, None],
        Err(error) => return Err(error),
    };
    let [a, b] = sequences;
    let next = a.max(b).map_or(Some(1), |newest| newest.checked_add(1)).ok_or(RecordError::SequenceSpent)?;
    let block = encode_record(record, next)?;
    // `None` is smaller than every number: a bad copy goes first.
    let order = if a <= b { [Bank::A, Bank::B] } else { [Bank::B, Bank::A] };
    for copy in order {
        let offset = layout.volumes(copy).record_offset();
        let io = |doing: &'static str| move |source| RecordError::Io { doing, copy, source };
        disk.write_at(offset, &*block).map_err(io("writing"))?;
        disk.flush().map_err(io("flushing"))?;
        disk.drop_cache(offset, RECORD_BYTES).map_err(io("dropping the cache of"))?;
        let mut seen = [0_u8; BLOCK];
        disk.read_at(offset, &mut seen).map_err(io("reading back"))?;
        if seen != *block {
            let source = std::io::Error::other("the disk returned other bytes than were written");
            return Err(io("reading back")(source));
        }
    }
    Ok(next)
}

fn read_block(disk: &dyn ReadAt, layout: &Layout, bank: Bank) -> Block {
    let mut block = [0_u8; BLOCK];
    match disk.read_at(layout.volumes(bank).record_offset(), &mut block) {
        Ok(()) => decode_block(&block),
        Err(error) => Block::Bad { reason: format!("cannot be read ({error})") },
    }
}

fn copy_state(block: &Block) -> CopyState {
    match block {
        Block::Valid { sequence, .. } => CopyState::Valid { sequence: *sequence },
        Block::OtherVersion { version } => CopyState::Bad { reason: format!("has version {version}") },
        Block::Bad { reason } => CopyState::Bad { reason: reason.clone() },
    }
}

fn valid(block: Block) -> Option<(u64, BankRecord)> {
    match block {
        Block::Valid { sequence, record } => Some((sequence, *record)),
        Block::OtherVersion { .. } | Block::Bad { .. } => None,
    }
}
