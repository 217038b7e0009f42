//! The banks of a disk as a change sees them, and the loader's choice over what lies on the disk.

use lifeboat_model::io::ReadAt;

use super::error::ChangeError;
use crate::esx::bootcfg::BootCfg;
use crate::esx::select::{BankInput, Selection, select};
use crate::esx::undo::{DiskIdentity, Place};
use crate::esx::{EsxBank, EsxDisk, find_banks};

/// What a check of a bank's content said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Every file that boot.cfg names is there and whole.
    Whole,
    /// Something is missing or damaged.
    Damaged {
        /// What, as a clause.
        why: String,
    },
    /// Nobody looked.
    Unchecked,
}

/// A bank.
#[derive(Debug, Clone)]
pub(super) struct BankView {
    pub(super) letter: char,
    partition: u32,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) uuid: Option<[u8; 16]>,
    pub(super) cfg: Option<BootCfg>,
}

impl BankView {
    fn of(bank: &EsxBank) -> Self {
        let EsxBank { letter, partition, offset, bytes, uuid, cfg, .. } = bank;
        Self {
            letter: *letter,
            partition: *partition,
            offset: *offset,
            bytes: *bytes,
            uuid: *uuid,
            cfg: cfg.clone(),
        }
    }

    pub(super) fn place(&self, new_uuid: Option<[u8; 16]>) -> Place {
        Place {
            letter: self.letter,
            partition: self.partition,
            offset: self.offset,
            bytes: self.bytes,
            uuid_before: self.uuid,
            uuid_after: new_uuid.or(self.uuid),
        }
    }

    /// Whether boot.cfg names this file as kernel or module, in any case.
    pub(super) fn names(&self, path: &str) -> bool {
        let path = path.trim_start_matches('/');
        self.cfg.as_ref().is_some_and(|cfg| cfg.files().iter().any(|file| file.eq_ignore_ascii_case(path)))
    }
}

/// The banks of a disk.
#[derive(Debug, Clone)]
pub(super) struct Banks {
    pub(super) identity: DiskIdentity,
    pub(super) list: Vec<BankView>,
    /// The loader can read the partition table.
    readable: bool,
}

impl Banks {
    pub(super) fn of(disk: &dyn ReadAt, esx: &EsxDisk) -> Result<Self, ChangeError> {
        let identity = DiskIdentity::of(disk)
            .map_err(|source| ChangeError::Undo { doing: "reading the disk's identity for", source })?;
        let list: Vec<BankView> = esx.banks.iter().map(BankView::of).collect();
        if !esx.loader_reads_table() {
            return Err(ChangeError::refused(
                "changing a bank",
                "the partition table at the front of the disk is not usable, and the loader reads no other",
                "restore it from its copy at the end first (gdisk DISK, then r, b, w), then run this again",
            ));
        }
        if let Some(bank) = list.iter().find(|bank| bank.offset.saturating_add(bank.bytes) > esx.bytes) {
            return Err(ChangeError::refused(
                "changing a bank",
                format!("bank {} ends behind the end of this disk or image: it is cut off", bank.letter),
                "copy the disk again, whole, and work on that copy",
            ));
        }
        Ok(Self { identity, list, readable: esx.loader_reads_table() })
    }

    pub(super) fn get(&self, letter: char, what: &str) -> Result<&BankView, ChangeError> {
        let wanted = letter.to_ascii_uppercase();
        self.list.iter().find(|bank| bank.letter == wanted).ok_or_else(|| {
            let letters: Vec<String> = self.list.iter().map(|bank| bank.letter.to_string()).collect();
            let why = format!("the disk has no bank {letter}; its banks are {}", letters.join(", "));
            ChangeError::refused(what, why, "name one of them")
        })
    }

    pub(super) fn at(&self, offset: u64) -> Option<&BankView> {
        self.list.iter().find(|bank| bank.offset == offset)
    }

    pub(super) fn select(&self) -> Selection {
        self.choose(&|_| true)
    }

    /// The choice if the bank at this offset were passed over.
    pub(super) fn select_without(&self, offset: u64) -> Selection {
        self.choose(&|bank| bank.offset != offset)
    }

    fn choose(&self, seen: &dyn Fn(&BankView) -> bool) -> Selection {
        let inputs: Vec<BankInput<'_>> = self
            .list
            .iter()
            .filter(|_| self.readable)
            .map(|bank| BankInput { marked: bank.uuid.is_some() && seen(bank), cfg: bank.cfg.as_ref() })
            .collect();
        select(&inputs)
    }

    /// Where the chosen bank begins.
    pub(super) fn chosen(&self, selection: &Selection) -> Option<u64> {
        selection.boots().and_then(|index| self.list.get(index)).map(|bank| bank.offset)
    }
}

/// Where the bank begins that the loader would boot from the disk as it is now.
pub(super) fn chosen_now(disk: &dyn ReadAt) -> Option<u64> {
    let esx = find_banks(disk).ok()?;
    let index = esx.selection().boots()?;
    esx.banks.get(index).map(|bank| bank.offset)
}
