//! A disk with ESXi banks, as a value.

use std::io;

use serde::{Serialize, Serializer};
use thiserror::Error;

use super::bootcfg::BootCfg;
use super::finding::EsxFinding;
use super::hex;
use super::select::{BankInput, BankOutcome, Selection, WhyNot, select};
use super::view::View;
use crate::guid::Guid;

/// A disk, stick or image with ESXi banks.
#[derive(Debug, Clone, Serialize)]
pub struct EsxDisk {
    /// Bytes of the disk or image.
    pub bytes: u64,
    /// Which table, and the disk's identity in it.
    pub table: EsxTable,
    /// Whose layout it is.
    pub layout: EsxLayout,
    /// Partitions in the order of their number.
    pub partitions: Vec<EsxPartition>,
    /// Banks in the order of their partition number, named A, B, C in this order.
    pub banks: Vec<EsxBank>,
    /// What was noticed while the disk was looked through.
    pub findings: Vec<EsxFinding>,
}

/// How the disk is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum EsxTable {
    /// A GUID partition table.
    Gpt {
        /// Identity of the disk.
        disk: Guid,
        /// The copy at the front is valid; the loader uses no other.
        primary_ok: bool,
        /// The copy at the end is valid.
        backup_ok: bool,
    },
    /// A table in the first sector of a PC.
    Mbr {
        /// Identity of the disk.
        signature: u32,
    },
    /// No table: the image is one bank's volume.
    Bare,
}

/// Which releases divide a disk like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum EsxLayout {
    /// ESXi 3.5: PC table, banks of 48 MB.
    V3,
    /// ESXi 4: PC table, banks of 250 MB.
    V4,
    /// ESXi 5 or 6: GUID table, banks of 250 MB.
    V5To6,
    /// ESXi 7 or 8: banks of 500 MB, 1 GB or 4 GB.
    V7To8 {
        /// Bytes of a bank.
        bank_bytes: u64,
    },
    /// A single bank's volume without a disk around it.
    SingleBank,
    /// Banks in an order that no release makes.
    Unknown,
}

impl EsxLayout {
    /// The layout in words, for example `ESXi 7/8, banks of 4 GB`.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::V3 => "ESXi 3.5, banks of 48 MB".to_owned(),
            Self::V4 => "ESXi 4, PC partition table".to_owned(),
            Self::V5To6 => "ESXi 5/6, banks of 250 MB".to_owned(),
            Self::V7To8 { bank_bytes } => {
                let size = match bank_bytes >> 20 {
                    3000.. => "4 GB".to_owned(),
                    900..3000 => "1 GB".to_owned(),
                    400..900 => "500 MB".to_owned(),
                    other => format!("{other} MiB"),
                };
                format!("ESXi 7/8, banks of {size}")
            }
            Self::SingleBank => "a single bank's volume, without a partition table".to_owned(),
            Self::Unknown => "no known ESXi layout".to_owned(),
        }
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EsxPartition {
    /// Its number.
    pub number: u32,
    /// Type: a GUID, or a byte in hexadecimal digits.
    pub kind: String,
    /// Name in a GUID table; empty elsewhere.
    pub name: String,
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes by the table.
    pub bytes: u64,
    /// What it is for.
    pub role: EsxRole,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EsxRole {
    /// Holds the loader.
    BootLoader,
    /// A bank.
    Bank,
    /// Takes a dump when the kernel stops.
    Diagnostic,
    /// Tools, logs and the rest of a system of ESXi 7 and later.
    OsData,
    /// A datastore.
    Datastore,
    /// Some other FAT volume: locker or scratch.
    Fat,
    /// None of these.
    Other,
}

/// A bank, or the place of one.
#[derive(Debug, Clone, Serialize)]
pub struct EsxBank {
    /// A, B, C by partition number.
    pub letter: char,
    /// Partition number; 0 for an image without a table.
    pub partition: u32,
    /// Name of the partition.
    pub name: String,
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes of the partition.
    pub bytes: u64,
    /// Identity in the second sector; none when the mark is missing.
    #[serde(serialize_with = "digits")]
    pub uuid: Option<[u8; 16]>,
    /// `boot.cfg` as the loader reads it.
    pub cfg: Option<BootCfg>,
    /// First byte of `boot.cfg` on the disk: the sector that the loader writes.
    pub cfg_at: Option<u64>,
    /// Why there is no `cfg`; completes a sentence that begins with "it".
    pub cfg_error: Option<String>,
    /// Numbers of the volume, if the loader can read it.
    pub volume: Option<View>,
}

#[expect(clippy::ref_option, reason = "the shape that serde calls")]
fn digits<S: Serializer>(uuid: &Option<[u8; 16]>, serializer: S) -> Result<S::Ok, S::Error> {
    uuid.map(uuid_text).serialize(serializer)
}

/// The identity of a bank as it stands on the kernel line: 32 hexadecimal digits.
#[must_use]
pub fn uuid_text(uuid: [u8; 16]) -> String {
    hex::hex(&uuid)
}

/// Why a disk was not looked through.
#[derive(Debug, Error)]
pub enum EsxError {
    /// The disk failed.
    #[error("reading the disk at byte {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// Neither a table nor a bank's volume.
    #[error(
        "no partition table and no bank: as a GUID partition table, {gpt}; as a PC's table, it {mbr}; as a bank's \
         volume, it {bare}"
    )]
    NotADisk {
        /// What is wrong with it as a GUID table.
        gpt: String,
        /// As a PC's table.
        mbr: String,
        /// As a volume.
        bare: String,
    },
    /// A table, but no bank.
    #[error(
        "no bank on this disk: none of its {partitions} partitions has the mark of a bank or its place; is it the \
         disk from which the host boots?"
    )]
    NoBank {
        /// How many there are.
        partitions: usize,
    },
}

impl EsxBank {
    /// `boot.cfg` as bytes of the disk: whether the state can be changed in place, and where.
    #[must_use]
    pub fn input(&self) -> BankInput<'_> {
        BankInput { marked: self.uuid.is_some(), cfg: self.cfg.as_ref() }
    }
}

impl EsxDisk {
    /// The bank with this letter, in either case.
    #[must_use]
    pub fn bank(&self, letter: char) -> Option<&EsxBank> {
        self.banks.iter().find(|bank| bank.letter == letter.to_ascii_uppercase())
    }

    /// Whether the loader can read the partition table; it uses the primary copy only.
    #[must_use]
    pub fn loader_reads_table(&self) -> bool {
        match self.table {
            EsxTable::Gpt { primary_ok, .. } => primary_ok,
            EsxTable::Mbr { .. } | EsxTable::Bare => true,
        }
    }

    /// Which bank the loader boots next, and why. Of a single bank's image: what it would do with this bank alone.
    #[must_use]
    pub fn selection(&self) -> Selection {
        if self.loader_reads_table() {
            let inputs: Vec<_> = self.banks.iter().map(EsxBank::input).collect();
            return select(&inputs);
        }
        let unseen = |_: &EsxBank| BankOutcome {
            state: None,
            updated: 0,
            counted: false,
            eligible: false,
            write: None,
            why_not: vec![WhyNot::NoTable],
        };
        Selection { banks: self.banks.iter().map(unseen).collect(), ..select(&[]) }
    }

    /// The sentence of `bank show`: which bank boots next, and why.
    #[must_use]
    pub fn next_boot(&self, selection: &Selection) -> String {
        let name = |index: usize| self.banks.get(index).map_or('?', |bank| bank.letter);
        let Some(index) = selection.chosen else {
            return "no bank: the loader says \"No hypervisor found\" and waits for a key".to_owned();
        };
        let (letter, partition) = (name(index), self.banks.get(index).map_or(0, |bank| bank.partition));
        let updated = selection.banks.get(index).map_or(0, |bank| bank.updated);
        let others: Vec<String> = selection
            .banks
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(other, bank)| {
                let why = match bank.why_not.as_slice() {
                    [WhyNot::Older] if bank.updated == updated => {
                        format!("has the same `updated` {updated} and a higher partition number")
                    }
                    [WhyNot::Older] => format!("has the lower `updated` {}", bank.updated),
                    reasons => reasons.iter().map(|why| why.clause()).collect::<Vec<_>>().join(", and "),
                };
                format!("{} {why}", name(other))
            })
            .collect();
        let mut text = format!("bank {letter} (partition {partition}, `updated` {updated})");
        if !others.is_empty() {
            text.push_str(": ");
            text.push_str(&others.join("; "));
        }
        if selection.upgrading {
            text += ". It is the first boot of an upgrade: the loader writes state 2, and falls back at the next \
                     boot unless the system writes 0";
        }
        if selection.rollback {
            text += ". Its kernel is told `rollback`";
        }
        if selection.stops_at_version {
            text = format!(
                "none: the loader chooses {text}, but its `build` does not begin with a digit, and it stops there"
            );
        }
        text
    }
}
