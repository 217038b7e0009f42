//! Figures of storage pools and volumes.

use crate::xdr::{Decoder, XdrError};

wire_enum! {
    /// State of a storage pool.
    PoolState {
        /// Not started.
        Inactive = 0, "inactive";
        /// Being made.
        Building = 1, "building";
        /// Usable.
        Running = 2, "running";
        /// Usable, something is broken.
        Degraded = 3, "degraded";
        /// Started and not usable.
        Inaccessible = 4, "inaccessible";
    }
    /// Kind of a volume.
    VolumeKind {
        /// A file.
        File = 0, "file";
        /// A block device.
        Block = 1, "block device";
        /// A folder.
        Directory = 2, "folder";
        /// Over the network.
        Network = 3, "network";
        /// A folder over the network.
        NetworkDirectory = 4, "network folder";
        /// Parallels' format.
        Ploop = 5, "ploop";
    }
}

/// Figures of a storage pool, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolInfo {
    /// Whether it can be used.
    pub state: PoolState,
    /// All of it.
    pub capacity: u64,
    /// Taken.
    pub allocation: u64,
    /// Free.
    pub available: u64,
}

impl PoolInfo {
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self {
            state: PoolState::from_number(from.int()?),
            capacity: from.unsigned_hyper()?,
            allocation: from.unsigned_hyper()?,
            available: from.unsigned_hyper()?,
        })
    }
}

/// Figures of a volume, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeInfo {
    /// What it is.
    pub kind: VolumeKind,
    /// What it can hold.
    pub capacity: u64,
    /// What it takes now.
    pub allocation: u64,
}

impl VolumeInfo {
    pub(crate) fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self {
            kind: VolumeKind::from_number(from.int()?),
            capacity: from.unsigned_hyper()?,
            allocation: from.unsigned_hyper()?,
        })
    }
}
