//! Which disk, and which place on it, an undo file belongs to.

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::error::UndoError;
use crate::bytes::{le_u16, le_u32};
use crate::esx::find_banks;
use crate::esx::mbr::read_mbr;
use crate::esx::view::identity;
use crate::gpt::{SECTOR, read_table};
use crate::guid::Guid;

/// What tells one disk from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DiskIdentity {
    /// Its size.
    pub bytes: u64,
    /// The identity in its partition table.
    pub table: TableIdentity,
}

/// The identity that a partition table carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableIdentity {
    /// The disk GUID of a GPT.
    Gpt {
        /// As in the header.
        guid: Guid,
    },
    /// The signature at byte 440 of an MBR.
    Mbr {
        /// Little-endian; may be 0.
        signature: u32,
    },
    /// No table: the image is one bank's volume, told by the identity in its second sector.
    Bare {
        /// That identity.
        uuid: [u8; 16],
    },
}

impl DiskIdentity {
    /// Reads the identity: of the GPT if there is a valid one, of a bank without a table, else of the MBR.
    ///
    /// # Errors
    /// [`UndoError::Io`] when the disk fails, [`UndoError::NoTable`] when it has neither.
    pub fn of(disk: &dyn ReadAt) -> Result<Self, UndoError> {
        let bytes = disk.size();
        if let Ok(read) = read_table(disk) {
            return Ok(Self { bytes, table: TableIdentity::Gpt { guid: read.table.disk_guid } });
        }
        if let Some(uuid) = identity(disk, 0) {
            return Ok(Self { bytes, table: TableIdentity::Bare { uuid } });
        }
        let mut sector = [0; 512];
        disk.read_at(0, &mut sector).map_err(|source| UndoError::Io {
            doing: "reading the partition table",
            offset: 0,
            source,
        })?;
        match (le_u32(&sector, 440), le_u16(&sector, 510)) {
            (Some(signature), Some(0xaa55)) => Ok(Self { bytes, table: TableIdentity::Mbr { signature } }),
            _ => Err(UndoError::NoTable),
        }
    }
}

impl std::fmt::Display for DiskIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.table {
            TableIdentity::Gpt { guid } => write!(f, "disk {guid} of {} bytes", self.bytes),
            TableIdentity::Mbr { signature } => {
                write!(f, "disk with MBR signature {signature:08x} of {} bytes", self.bytes)
            }
            TableIdentity::Bare { uuid } => {
                write!(f, "volume of bank {} of {} bytes", crate::esx::uuid_text(uuid), self.bytes)
            }
        }
    }
}

impl Place {
    /// Whether the disk has this partition: number, first byte and length.
    pub(super) fn is_on(&self, disk: &dyn ReadAt) -> bool {
        let same = |number: u32, offset: u64, bytes: u64| {
            (number, offset, bytes) == (self.partition, self.offset, self.bytes)
        };
        if let Ok(esx) = find_banks(disk) {
            return esx.partitions.iter().any(|part| same(part.number, part.offset, part.bytes));
        }
        // No bank can be told from the others any more, in the middle of a change; the table is enough.
        match (read_table(disk), read_mbr(disk)) {
            (Ok(read), _) => read
                .table
                .entries
                .iter()
                .any(|entry| same(entry.number, entry.first_lba * SECTOR, entry.sectors() * SECTOR)),
            (Err(_), Ok(mbr)) => mbr.partitions.iter().any(|part| same(part.number, part.offset, part.bytes)),
            (Err(_), Err(_)) => false,
        }
    }
}

/// The bank that a change may write, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The bank's letter.
    pub letter: char,
    /// Number of its partition.
    pub partition: u32,
    /// First byte on the disk.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Identity in the second sector before the change, if there was one.
    pub uuid_before: Option<[u8; 16]>,
    /// The same after the change.
    pub uuid_after: Option<[u8; 16]>,
}
