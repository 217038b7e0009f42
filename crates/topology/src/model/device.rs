//! Block devices: disks, partitions, and what is built upon them.
//!
//! Owns: the values, as they stand in JSON. Promises: every device stands once, by its kernel name.

use serde::{Deserialize, Serialize};

use crate::ident::Identity;

/// What a block device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeviceKind {
    /// A disk, or one path to it.
    Disk,
    /// A CD or DVD.
    Rom,
    /// A partition.
    Partition,
    /// A multipath map.
    Multipath,
    /// A logical volume of LVM.
    Lvm,
    /// An encrypted volume.
    Crypt,
    /// Another map of the device mapper.
    Dm,
    /// A RAID of md.
    Md,
    /// A cached device of bcache.
    Bcache,
    /// A file as a device.
    Loop,
    /// Memory, network, and others.
    Other,
}

impl DeviceKind {
    /// Its word, as in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Rom => "rom",
            Self::Partition => "partition",
            Self::Multipath => "multipath",
            Self::Lvm => "lvm",
            Self::Crypt => "crypt",
            Self::Dm => "dm",
            Self::Md => "md",
            Self::Bcache => "bcache",
            Self::Loop => "loop",
            Self::Other => "other",
        }
    }
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Kernel name, as in sysfs: `sda1`, `cciss!c0d0`.
    pub kernel: String,
    /// What it is.
    pub kind: DeviceKind,
    /// What it is known by.
    pub identity: Identity,
    /// Major and minor number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<(u32, u32)>,
    /// Size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Whether it can only be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Kernel names of what it stands on: the disk of a partition, the slaves of a map.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<String>,
    /// Every name under `/dev`, the shortest first.
    pub names: Vec<String>,
    /// Name and UUID in the device mapper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dm: Option<(String, String)>,
    /// Number and place of a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// What is written on it, where the system has seen it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<FileSystem>,
    /// UUID of its partition table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_uuid: Option<String>,
    /// Where it is mounted; `[swap]` for swap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<String>,
    /// File behind a loop device; level of a RAID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Device {
    /// The name by which people know it: of the map for the device mapper, else the kernel's.
    pub fn label(&self) -> String {
        match &self.dm {
            Some((name, _)) if !name.is_empty() => name.clone(),
            _ => self.kernel.replace('!', "/"),
        }
    }
}

/// Place of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u32,
    /// First byte on its disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// Its UUID (`870d8990-01` in an MBR).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Its name in a GPT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A file system, or a signature in its place (`LVM2_member`, `swap`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Type.
    pub kind: String,
    /// UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// Label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
