//! The allocation tables.
//!
//! Owns: the used part of one FAT in memory, as it lies on the disk; the comparison of both. Promises: a link is
//! checked against the volume before it is given out. Does not: follow chains.

use std::io;

use lifeboat_model::io::ReadAt;

use super::shape::Shape;
use crate::bytes::{le_u16, le_u32};
use crate::fat::report::FatKind;

/// Bytes that are compared at once.
const STEP: usize = 1 << 20;

/// What an entry of a FAT says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fat) enum Link {
    Free,
    Next(u32),
    End,
    Bad,
    /// A cluster that the volume does not have; 1 and the reserved values too.
    Outside(u32),
}

/// One FAT.
#[derive(Debug, Clone)]
pub(in crate::fat) struct Table {
    kind: FatKind,
    clusters: u32,
    pub(in crate::fat) bytes: Vec<u8>,
}

impl Table {
    /// Reads FAT `copy` of the volume at `base`.
    pub(in crate::fat) fn read(disk: &dyn ReadAt, base: u64, shape: &Shape, copy: u64) -> io::Result<Self> {
        let len = usize::try_from(shape.fat_used()).unwrap_or(0);
        let mut bytes = vec![0_u8; len];
        disk.read_at(base + shape.fat_offset(copy), &mut bytes)?;
        Ok(Self { kind: shape.kind, clusters: shape.clusters, bytes })
    }

    /// The raw value of an entry; 0 for one that is not there.
    pub(in crate::fat) fn raw(&self, entry: u32) -> u32 {
        let index = entry as usize;
        match self.kind {
            FatKind::Fat12 => {
                let pair = u32::from(le_u16(&self.bytes, index + index / 2).unwrap_or(0));
                if index.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 }
            }
            FatKind::Fat16 => u32::from(le_u16(&self.bytes, index * 2).unwrap_or(0)),
            FatKind::Fat32 => le_u32(&self.bytes, index * 4).unwrap_or(0) & 0x0fff_ffff,
        }
    }

    /// What follows `cluster`.
    pub(in crate::fat) fn link(&self, cluster: u32) -> Link {
        let value = self.raw(cluster);
        let top = top(self.kind);
        if value == 0 {
            Link::Free
        } else if value >= top - 7 {
            Link::End
        } else if value == top - 8 {
            Link::Bad
        } else if value >= 2 && value - 2 < self.clusters {
            Link::Next(value)
        } else {
            Link::Outside(value)
        }
    }

    /// Clusters of the volume, first and one past the last.
    pub(in crate::fat) fn range(&self) -> std::ops::Range<u32> {
        2..self.clusters + 2
    }

    /// Sets an entry to "free", in these bytes only. FAT32 keeps its upper four bits.
    pub(in crate::fat) fn free(&mut self, cluster: u32) {
        let index = cluster as usize;
        let mut clear = |at: usize, keep: u8| {
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte &= keep;
            }
        };
        match self.kind {
            FatKind::Fat12 => {
                let at = index + index / 2;
                let odd = !index.is_multiple_of(2);
                clear(at, if odd { 0x0f } else { 0 });
                clear(at + 1, if odd { 0 } else { 0xf0 });
            }
            FatKind::Fat16 => (0..2).for_each(|byte| clear(index * 2 + byte, 0)),
            FatKind::Fat32 => {
                (0..4).for_each(|byte| clear(index * 4 + byte, if byte == 3 { 0xf0 } else { 0 }));
            }
        }
    }
}

/// The largest value of an entry, which marks the end of a chain.
pub(in crate::fat) fn top(kind: FatKind) -> u32 {
    match kind {
        FatKind::Fat12 => 0xfff,
        FatKind::Fat16 => 0xffff,
        FatKind::Fat32 => 0x0fff_ffff,
    }
}

/// The "clean" and "no disk error" bits of entry 1; FAT12 has none.
pub(in crate::fat) fn state_bits(kind: FatKind) -> Option<(u32, u32)> {
    match kind {
        FatKind::Fat12 => None,
        FatKind::Fat16 => Some((0x8000, 0x4000)),
        FatKind::Fat32 => Some((0x0800_0000, 0x0400_0000)),
    }
}

/// Clusters whose entries differ between two FATs.
#[derive(Debug, Clone, Default)]
pub(in crate::fat) struct Differences {
    bits: Vec<u64>,
    pub(in crate::fat) count: u32,
    pub(in crate::fat) first: u32,
}

impl Differences {
    /// Compares. Entries 0 and 1 do not count: their state bits are judged by themselves.
    pub(in crate::fat) fn between(first: &Table, second: &Table) -> Self {
        let mut out = Self::default();
        if first.bytes == second.bytes {
            return out;
        }
        for cluster in first.range() {
            if first.raw(cluster) != second.raw(cluster) {
                if out.bits.is_empty() {
                    out.bits = vec![0; first.clusters as usize / 64 + 2];
                    out.first = cluster;
                }
                out.count += 1;
                if let Some(word) = out.bits.get_mut(cluster as usize / 64) {
                    *word |= 1 << (cluster % 64);
                }
            }
        }
        out
    }

    pub(in crate::fat) fn has(&self, cluster: u32) -> bool {
        self.bits.get(cluster as usize / 64).is_some_and(|word| word >> (cluster % 64) & 1 != 0)
    }
}

/// Whether the used bytes of FAT `copy` are those of `first`, read in steps.
pub(in crate::fat) fn equals(
    first: &Table,
    disk: &dyn ReadAt,
    base: u64,
    shape: &Shape,
    copy: u64,
) -> io::Result<bool> {
    let mut buffer = vec![0_u8; STEP.min(first.bytes.len())];
    let mut offset = base + shape.fat_offset(copy);
    for part in first.bytes.chunks(STEP) {
        let read = buffer.get_mut(..part.len()).unwrap_or(&mut []);
        disk.read_at(offset, read)?;
        if read != part {
            return Ok(false);
        }
        offset += part.len() as u64;
    }
    Ok(true)
}
