//! The partition table of a PC's first sector, with logical partitions.
//!
//! Owns: four primary entries and the chain of extended records. Promises: at most [`MOST`] partitions, no loop,
//! only partitions that begin on the disk. Does not: write.

use lifeboat_model::io::ReadAt;

use crate::bytes::{le_u16, le_u32};

const SECTOR: u64 = 512;
/// Most logical partitions that are followed.
pub(super) const MOST: u32 = 60;

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MbrPartition {
    /// 1 to 4, or from 5 on for logical ones.
    pub(super) number: u32,
    /// Type byte.
    pub(super) kind: u8,
    /// First byte.
    pub(super) offset: u64,
    /// Length in bytes.
    pub(super) bytes: u64,
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mbr {
    /// Identity of the disk.
    pub(super) signature: u32,
    /// Partitions in the order of their number.
    pub(super) partitions: Vec<MbrPartition>,
}

/// Reads the table; the error completes a sentence that begins with "it".
pub(super) fn read_mbr(disk: &dyn ReadAt) -> Result<Mbr, String> {
    let mut sector = [0_u8; 512];
    disk.read_at(0, &mut sector).map_err(|error| format!("cannot be read ({error})"))?;
    if le_u16(&sector, 510) != Some(0xaa55) {
        return Err("has no signature 55 AA".to_owned());
    }
    let mut partitions = Vec::new();
    let mut extended = None;
    for number in 1..=4 {
        let Some(entry) = entry(&sector, number as usize - 1, 0) else { continue };
        match entry.kind {
            0xee => return Err("only protects a GUID partition table".to_owned()),
            0x05 | 0x0f | 0x85 => extended = extended.or(Some(entry.offset)),
            _ if entry.offset < disk.size() => partitions.push(MbrPartition { number, ..entry }),
            _ => {}
        }
    }
    if let Some(start) = extended {
        logical(disk, start, &mut partitions);
    }
    if partitions.is_empty() {
        return Err("names no partition".to_owned());
    }
    Ok(Mbr { signature: le_u32(&sector, 440).unwrap_or(0), partitions })
}

/// Each extended record holds one logical partition and the way to the next record.
fn logical(disk: &dyn ReadAt, start: u64, partitions: &mut Vec<MbrPartition>) {
    let mut at = start;
    for number in 5..5 + MOST {
        let mut sector = [0_u8; 512];
        if disk.read_at(at, &mut sector).is_err() || le_u16(&sector, 510) != Some(0xaa55) {
            return;
        }
        if let Some(entry) = entry(&sector, 0, at).filter(|entry| entry.offset < disk.size()) {
            partitions.push(MbrPartition { number, ..entry });
        }
        match entry(&sector, 1, start) {
            // Records go forward only, so there is no loop.
            Some(next) if matches!(next.kind, 0x05 | 0x0f | 0x85) && next.offset > at => at = next.offset,
            Some(_) | None => return,
        }
    }
}

fn entry(sector: &[u8; 512], index: usize, base: u64) -> Option<MbrPartition> {
    let at = 446 + index * 16;
    let kind = *sector.get(at + 4)?;
    let (first, sectors) = (u64::from(le_u32(sector, at + 8)?), u64::from(le_u32(sector, at + 12)?));
    (kind != 0 && sectors != 0).then_some(MbrPartition {
        number: 0,
        kind,
        offset: base + first * SECTOR,
        bytes: sectors * SECTOR,
    })
}
