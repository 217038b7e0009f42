//! What `bank show` prints.

use lifeboat_model::{Bank, BankState, ReleaseRef};
use serde::Serialize;

use crate::finding::Finding;
use crate::guid::Guid;
use crate::layout::BankVolumes;
use crate::record::{BankEntry, FailedRelease};
use crate::verity::Verity;

/// A boot disk for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// Identity of the disk.
    pub disk_guid: Guid,
    /// Bytes of the disk.
    pub disk_bytes: u64,
    /// A, then B.
    pub banks: [BankReport; 2],
    /// Lowest serial that may be installed.
    pub floor: u64,
    /// Releases that failed on this host, oldest first.
    pub failed: Vec<FailedRelease>,
    /// Partitions that are not ours.
    pub foreign: Vec<String>,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

/// One bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BankReport {
    /// Its identity.
    pub bank: Bank,
    /// What the record says of it.
    pub state: BankState,
    /// The release in it.
    pub release: Option<ReleaseRef>,
    /// Counter of installs.
    pub updated: u32,
    /// Why it failed or is invalid.
    pub note: Option<String>,
    /// Partition of the boot volume.
    pub boot_guid: Guid,
    /// Bytes of the boot volume.
    pub boot_bytes: u64,
    /// Bytes of the unified kernel image.
    pub boot_used: u64,
    /// Partition of the root volume.
    pub root_guid: Guid,
    /// Bytes of the root volume.
    pub root_bytes: u64,
    /// Bytes of the root image.
    pub root_used: u64,
    /// Hash tree of the root image, as the bank's own manifest tells it; none if it has none or cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
}

impl BankReport {
    pub(super) fn new(bank: Bank, volumes: &BankVolumes, entry: &BankEntry, verity: Option<Verity>) -> Self {
        Self {
            bank,
            state: entry.state,
            release: entry.release.clone(),
            updated: entry.updated,
            note: entry.note.clone(),
            boot_guid: volumes.boot.guid,
            boot_bytes: volumes.boot.bytes(),
            boot_used: entry.boot_len,
            root_guid: volumes.root.guid,
            root_bytes: volumes.root.bytes(),
            root_used: entry.root_len,
            verity,
        }
    }
}
