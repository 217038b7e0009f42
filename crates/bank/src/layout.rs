//! Which partitions a boot disk of ours has, and what else a disk may hold.
//!
//! Owns: names, types and order of our partitions; the geometry; recognition of foreign content. Promises: a layout
//! is recognised by type *and* name, never by position; nothing is written by looking. Does not: format a file
//! system, or decide whether foreign content may be overwritten (the caller asks its user).

mod create;
mod inspect;

use lifeboat_model::Bank;
use lifeboat_model::io::ReadAt;
use serde::Serialize;
use thiserror::Error;

pub use create::{Geometry, LayoutGuids, create_layout};
pub use inspect::{DiskContent, inspect};

use crate::finding::Finding;
use crate::gpt::{GptEntry, GptError, SECTOR, read_table};
use crate::guid::Guid;

/// Bytes at the end of each root partition that hold a copy of the bank record.
pub const RECORD_BYTES: u64 = 4096;

/// EFI system partition (UEFI 2.10, table 5-7).
pub const TYPE_ESP: Guid =
    Guid([0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b]);
/// Root of an x86-64 Linux (Discoverable Partitions Specification): 4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709.
pub const TYPE_ROOT: Guid =
    Guid([0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09]);
/// Linux file system data (Discoverable Partitions Specification): 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
pub const TYPE_DATA: Guid =
    Guid([0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4]);

/// A partition of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Number in the table, from 1.
    pub number: u32,
    /// Identity.
    pub guid: Guid,
    /// First 512-byte sector.
    pub first_lba: u64,
    /// Number of 512-byte sectors.
    pub sectors: u64,
}

impl Partition {
    /// First byte on the disk.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.first_lba * SECTOR
    }

    /// Length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sectors * SECTOR
    }
}

/// The two volumes of a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BankVolumes {
    /// FAT volume with the unified kernel image.
    pub boot: Partition,
    /// Root image, and in the last 4096 bytes a copy of the bank record.
    pub root: Partition,
}

impl BankVolumes {
    /// Bytes that a root image may have.
    #[must_use]
    pub fn root_capacity(&self) -> u64 {
        self.root.bytes().saturating_sub(RECORD_BYTES)
    }

    /// Where the copy of the bank record lies on the disk.
    #[must_use]
    pub fn record_offset(&self) -> u64 {
        self.root.offset() + self.root_capacity()
    }
}

/// A boot disk of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// Identity of the disk.
    pub disk_guid: Guid,
    /// Volumes of A and B; see [`Layout::volumes`].
    pub banks: [BankVolumes; 2],
    /// State of the host: shared, never needed by a trial boot.
    pub state: Partition,
    /// Partitions that are not ours, each described for people. They are never written.
    pub foreign: Vec<String>,
    /// What is wrong with the table although it could be read.
    pub findings: Vec<Finding>,
}

impl Layout {
    /// The volumes of `bank`.
    #[must_use]
    pub fn volumes(&self, bank: Bank) -> &BankVolumes {
        let [a, b] = &self.banks;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }

    /// The bank that owns the partition with this identity.
    #[must_use]
    pub fn bank_of(&self, partition: Guid) -> Option<Bank> {
        Bank::BOTH.into_iter().find(|&bank| {
            let volumes = self.volumes(bank);
            volumes.boot.guid == partition || volumes.root.guid == partition
        })
    }
}

/// Why a disk could not be laid out, or is not laid out as ours.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// The partition table could not be read or written.
    #[error("the disk has no usable partition table")]
    Table {
        /// The cause.
        #[source]
        source: GptError,
    },
    /// The table lacks partitions of ours.
    #[error("this is not a boot disk of Lifeboat: missing {missing}; found {found}")]
    NotOurs {
        /// The names that are missing.
        missing: String,
        /// What the table holds.
        found: String,
    },
    /// A partition of ours cannot be one.
    #[error("partition {name} {reason}")]
    BadPartition {
        /// Name in the table.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The sizes asked for are not possible.
    #[error("the disk was not partitioned: {reason}")]
    BadGeometry {
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The disk failed.
    #[error("{doing} of the new layout")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The disk's error.
        #[source]
        source: std::io::Error,
    },
}

/// Name and type of each of our partitions, in the order in which they are made.
const OURS: [(&str, Guid); 5] = [
    ("lifeboat-A-boot", TYPE_ESP),
    ("lifeboat-A-root", TYPE_ROOT),
    ("lifeboat-B-boot", TYPE_ESP),
    ("lifeboat-B-root", TYPE_ROOT),
    ("lifeboat-state", TYPE_DATA),
];

/// Recognises the layout of `disk`. Foreign partitions beside ours are named in [`Layout::foreign`].
pub fn read_layout(disk: &dyn ReadAt) -> Result<Layout, LayoutError> {
    let read = read_table(disk).map_err(|source| LayoutError::Table { source })?;
    let mut found: [Option<Partition>; 5] = [None; 5];
    let mut foreign = Vec::new();
    for entry in &read.table.entries {
        let position = OURS.iter().position(|(name, kind)| entry.name == *name && entry.type_guid == *kind);
        match position.and_then(|position| found.get_mut(position)) {
            None => foreign.push(describe(entry)),
            Some(Some(_)) => {
                return Err(bad(&entry.name, "is there twice; which of the two is meant cannot be known"));
            }
            Some(slot) => *slot = Some(partition(entry)),
        }
    }
    let [Some(boot_of_a), Some(root_of_a), Some(boot_of_b), Some(root_of_b), Some(state)] = found else {
        let missing: Vec<&str> =
            OURS.iter().zip(found).filter(|(_, slot)| slot.is_none()).map(|((name, _), _)| *name).collect();
        let found = if read.table.entries.is_empty() {
            "an empty partition table".to_owned()
        } else {
            read.table.entries.iter().map(describe).collect::<Vec<_>>().join(", ")
        };
        return Err(LayoutError::NotOurs { missing: missing.join(", "), found });
    };
    for (root, (name, _)) in [(root_of_a, OURS[1]), (root_of_b, OURS[3])] {
        if root.bytes() <= RECORD_BYTES {
            return Err(bad(name, "is too small to hold anything beside the bank record"));
        }
    }
    let guids = [boot_of_a, root_of_a, boot_of_b, root_of_b, state].map(|part| part.guid);
    for (index, guid) in guids.iter().enumerate() {
        if guids.iter().take(index).any(|other| other == guid) {
            return Err(bad(
                OURS[index].0,
                "has the same identity as another partition; which boots cannot be known",
            ));
        }
    }
    let banks =
        [BankVolumes { boot: boot_of_a, root: root_of_a }, BankVolumes { boot: boot_of_b, root: root_of_b }];
    Ok(Layout { disk_guid: read.table.disk_guid, banks, state, foreign, findings: read.findings })
}

fn bad(name: &str, reason: &str) -> LayoutError {
    LayoutError::BadPartition { name: name.to_owned(), reason: reason.to_owned() }
}

fn partition(entry: &GptEntry) -> Partition {
    Partition { number: entry.number, guid: entry.guid, first_lba: entry.first_lba, sectors: entry.sectors() }
}

/// A partition for people: `partition 2 "data" (512 MiB, type …)`.
fn describe(entry: &GptEntry) -> String {
    let mib = entry.sectors() / 2048;
    format!("partition {} {:?} ({mib} MiB, type {})", entry.number, entry.name, entry.type_guid)
}
