//! The table as a value, and the errors of its codec.

use std::io;

use thiserror::Error;

use crate::guid::Guid;

/// Bytes of a sector. Disks with 4096-byte sectors are not supported.
pub const SECTOR: u64 = 512;

/// Number of entries in a table that we write, as UEFI asks for at least 16 KiB of them.
pub(super) const ENTRIES: u32 = 128;
/// Bytes of an entry that we write, and the smallest that UEFI allows.
pub(super) const ENTRY_SIZE: u32 = 128;
/// Sectors of the entry array that we write.
pub(super) const ARRAY_SECTORS: u64 = 32;
/// Sectors before the first usable one: protective MBR, header, array.
pub(super) const FIRST_USABLE: u64 = 2 + ARRAY_SECTORS;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptEntry {
    /// Position in the array, counted from 1: the number in a device's name and in a boot variable.
    pub number: u32,
    /// What the partition is for.
    pub type_guid: Guid,
    /// Identity of this partition.
    pub guid: Guid,
    /// First sector.
    pub first_lba: u64,
    /// Last sector, inclusive.
    pub last_lba: u64,
    /// Attribute bits (UEFI 2.10, table 5-8).
    pub attributes: u64,
    /// Name, at most 36 UTF-16 units.
    pub name: String,
}

impl GptEntry {
    /// Number of sectors.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.last_lba.saturating_sub(self.first_lba).saturating_add(1)
    }
}

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptTable {
    /// Identity of the disk.
    pub disk_guid: Guid,
    /// First sector that a partition may use.
    pub first_usable: u64,
    /// Last sector that a partition may use, inclusive.
    pub last_usable: u64,
    /// Used entries in the order of their number.
    pub entries: Vec<GptEntry>,
}

impl GptTable {
    /// An empty table for a disk of `sectors` sectors, with the space that [`super::write_table`] leaves free.
    #[must_use]
    pub fn empty(disk_guid: Guid, sectors: u64) -> Self {
        Self {
            disk_guid,
            first_usable: FIRST_USABLE,
            last_usable: sectors.saturating_sub(ARRAY_SECTORS + 2),
            entries: Vec::new(),
        }
    }

    /// Bounds, order and overlaps; says the first thing that is wrong.
    pub(super) fn check(&self, sectors: u64) -> Result<(), String> {
        if self.first_usable > self.last_usable || self.last_usable >= sectors {
            return Err(format!(
                "usable sectors {}..={} do not lie on a disk of {sectors} sectors",
                self.first_usable, self.last_usable
            ));
        }
        let mut by_start: Vec<&GptEntry> = self.entries.iter().collect();
        by_start.sort_by_key(|entry| entry.first_lba);
        let mut end_before: Option<&GptEntry> = None;
        for entry in by_start {
            let GptEntry { number, first_lba, last_lba, .. } = entry;
            if first_lba > last_lba || *first_lba < self.first_usable || *last_lba > self.last_usable {
                return Err(format!(
                    "partition {number} (sectors {first_lba}..={last_lba}) leaves the usable sectors {}..={}",
                    self.first_usable, self.last_usable
                ));
            }
            if let Some(before) = end_before
                && before.last_lba >= *first_lba
            {
                return Err(format!(
                    "partitions {} and {number} overlap at sector {first_lba}",
                    before.number
                ));
            }
            end_before = Some(entry);
        }
        Ok(())
    }
}

/// Why a partition table could not be read or written.
#[derive(Debug, Error)]
pub enum GptError {
    /// The disk itself failed.
    #[error("{doing} of the partition table")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// Neither copy is valid.
    #[error("no partition table: the primary copy {primary}; the backup copy {backup}")]
    NoTable {
        /// What is wrong with the copy at the front.
        primary: String,
        /// What is wrong with the copy at the end.
        backup: String,
    },
    /// The disk cannot hold a table.
    #[error("a disk of {bytes} bytes is too small for a partition table; at least 1 MiB is needed")]
    TooSmall {
        /// Size of the disk.
        bytes: u64,
    },
    /// The table to be written breaks a rule. Nothing was written.
    #[error("the partition table was not written: {reason}")]
    BadTable {
        /// The rule.
        reason: String,
    },
}
