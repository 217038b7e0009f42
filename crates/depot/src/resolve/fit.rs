//! Whether the resulting set fits a boot bank.
//!
//! Promises: files are counted in whole clusters; what cannot be known makes the answer "at least", never a guess.
//! Does not: count payloads of VIBs that lie elsewhere (the locker).

use lifeboat_model::Finding;
use serde::Serialize;

use super::set::Set;
use crate::descriptor::VibType;
use crate::finding::Code;

/// Entries of the root directory of a FAT12 or FAT16 volume as makers lay it out.
const ROOT_ENTRIES: usize = 512;

/// Files of a bank that belong to no VIB: `boot.cfg`, `imgdb.tgz`, `state.tgz` and a few more.
const OTHER_FILES: usize = 8;

/// A boot bank as a place for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BankShape {
    /// Bytes in clusters: what files can take.
    pub capacity: u64,
    /// Bytes of a cluster.
    pub cluster: u64,
    /// Bytes kept free for what is no VIB: the saved state, the image database.
    pub reserve: u64,
}

impl BankShape {
    /// A FAT16 volume of `bytes`: the smallest cluster of at least 2 KiB that gives fewer than 65,525 of them, two
    /// tables and a root directory of 512 entries.
    #[must_use]
    pub fn of_volume(bytes: u64, reserve: u64) -> Self {
        let mut cluster: u64 = 2048;
        while bytes / cluster >= 65_525 && cluster < 65_536 {
            cluster *= 2;
        }
        let tables = (bytes / cluster + 2) * 2 * 2;
        let front = 4096 + ROOT_ENTRIES as u64 * 32;
        let data = bytes.saturating_sub(tables + front);
        Self { capacity: data / cluster * cluster, cluster, reserve }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Fit {
    /// No bank was given.
    NotAsked {
        /// Bytes of all boot bank payloads that are known.
        bytes: u64,
        /// VIBs of the result whose size is not known.
        unknown: usize,
    },
    /// It fits.
    Fits {
        /// Bytes that are needed, the reserve included.
        needed: u64,
        /// Bytes that stay free.
        free: u64,
    },
    /// It does not.
    TooSmall {
        /// Bytes that are needed, at least.
        needed: u64,
        /// Bytes that are missing, at least.
        missing: u64,
    },
    /// It cannot be told.
    Unknown {
        /// Bytes that are needed for what is known.
        at_least: u64,
        /// Bytes that this leaves for the rest.
        left: u64,
        /// VIBs of the result whose size is not known.
        unknown: usize,
    },
}

pub(super) fn measure(set: &Set<'_>, bank: Option<&BankShape>) -> (Fit, Vec<Finding>) {
    let cluster = bank.map_or(1, |bank| bank.cluster.max(1));
    let (mut needed, mut bytes, mut files) = (bank.map_or(0, |bank| bank.reserve), 0_u64, OTHER_FILES);
    let mut unknown: Vec<&str> = Vec::new();
    for member in set.values() {
        let Some(package) = member.package else {
            unknown.push(member.name);
            continue;
        };
        match package.descriptor.kind {
            VibType::Bootbank => {}
            VibType::Locker | VibType::Other(_) => continue,
        }
        for payload in &package.descriptor.payloads {
            files += 1;
            match payload.size {
                Some(size) => {
                    bytes = bytes.saturating_add(size);
                    let whole = size.div_ceil(cluster).saturating_mul(cluster);
                    needed = needed.saturating_add(whole);
                }
                None => unknown.push(member.name),
            }
        }
    }
    unknown.dedup();
    let Some(bank) = bank else { return (Fit::NotAsked { bytes, unknown: unknown.len() }, Vec::new()) };
    let mut findings = Vec::new();
    if files > ROOT_ENTRIES {
        let what = format!("{files} files; the root directory of such a bank holds {ROOT_ENTRIES}");
        findings.push(Code::BankTooSmall.at("bank", what));
    }
    let fit = match (bank.capacity.checked_sub(needed), unknown.len()) {
        (None, _) => {
            let missing = needed - bank.capacity;
            let what = format!(
                "{needed} bytes are needed in clusters of {cluster} ({} of them in reserve); the bank holds {}: {missing} \
                 are missing",
                bank.reserve, bank.capacity
            );
            findings.push(Code::BankTooSmall.at("bank", what));
            Fit::TooSmall { needed, missing }
        }
        (Some(free), 0) => Fit::Fits { needed, free },
        (Some(left), unknown) => {
            let what = format!(
                "{needed} bytes are needed for what is known, {left} are left for {unknown} VIBs of unknown size"
            );
            findings.push(Code::BankFitUnknown.at("bank", what));
            Fit::Unknown { at_least: needed, left, unknown }
        }
    };
    (fit, findings)
}
