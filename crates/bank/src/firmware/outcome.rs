//! What a power cycle came to.

use std::fmt;

use lifeboat_model::Bank;

use crate::efi::boot_entry_name;
use crate::guid::Guid;

/// By which rule something was booted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The one try.
    BootNext {
        /// Number of the entry.
        number: u16,
    },
    /// The boot order.
    Order {
        /// Number of the entry.
        number: u16,
    },
    /// The path for removable media, because no entry could be loaded.
    Removable {
        /// Number of the partition.
        partition: u32,
    },
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootNext { number } => write!(f, "BootNext ({})", boot_entry_name(*number)),
            Self::Order { number } => write!(f, "the boot order ({})", boot_entry_name(*number)),
            Self::Removable { partition } => write!(f, "the removable-media path of partition {partition}"),
        }
    }
}

/// What was booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booted {
    /// Bank to which the partition belongs, if the disk has our layout.
    pub bank: Option<Bank>,
    /// Partition of the image.
    pub partition_guid: Guid,
    /// Kernel line of the image.
    pub cmdline: String,
    /// Release data of the image, in the form of os-release(5).
    pub osrel: String,
    /// The kernel.
    pub kernel: Vec<u8>,
    /// The initramfs.
    pub initrd: Vec<u8>,
    /// The rule by which it was found.
    pub via: Via,
}

/// An attempt that failed, or an odd thing on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What was tried: an entry, a partition, a variable.
    pub what: String,
    /// Why it did not boot.
    pub why_not: String,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why_not)
    }
}

/// The outcome of a power cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirmwareResult {
    /// What runs now; `None` if nothing is bootable.
    pub booted: Option<Booted>,
    /// What was tried before, in order.
    pub tried: Vec<Tried>,
}

impl FirmwareResult {
    /// Which bank, by which rule, and what failed before it, as one sentence.
    #[must_use]
    pub fn why(&self) -> String {
        let failed: Vec<String> = self.tried.iter().map(ToString::to_string).collect();
        let Some(booted) = &self.booted else {
            return format!("nothing boots: {}", or_nothing(&failed));
        };
        let who = match booted.bank {
            Some(bank) => format!("bank {bank}"),
            None => format!("partition {} (no bank of this disk)", booted.partition_guid),
        };
        if failed.is_empty() {
            format!("{who} boots by {}", booted.via)
        } else {
            format!("{who} boots by {}, after these failed: {}", booted.via, failed.join("; "))
        }
    }
}

fn or_nothing(failed: &[String]) -> String {
    if failed.is_empty() {
        "there is no entry and no EFI system partition".to_owned()
    } else {
        failed.join("; ")
    }
}

impl Via {
    /// Number of the boot entry; none for removable media.
    pub(super) fn number(self) -> Option<u16> {
        match self {
            Self::BootNext { number } | Self::Order { number } => Some(number),
            Self::Removable { .. } => None,
        }
    }
}
