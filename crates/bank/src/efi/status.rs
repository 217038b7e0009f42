//! What the boot variables say: which bank runs, which is next, and what is odd about them.

use lifeboat_model::Bank;
use serde::Serialize;

use super::boot::{UKI_PATH, UefiBoot, UefiBootError, boots_the_same, is_text_of};
use super::option::{LoadOption, boot_entry_name, decode_numbers};
use super::vars::{BOOT_CURRENT, BOOT_NEXT, VarStore};
use crate::finding::Finding;
use crate::ops::{BootControl, BootControlError, BootStatus};
use crate::record::BankRecord;

/// One place of the boot order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderEntry {
    /// Number of the entry.
    pub number: u16,
    /// Bank whose image the entry names.
    pub bank: Option<Bank>,
    /// Text of the entry; `None` if the entry is missing or cannot be read.
    pub description: Option<String>,
    /// Whether the firmware tries it in the order; an entry that is switched off is passed over.
    pub active: bool,
}

/// What the boot variables say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UefiBootStatus {
    /// Bank whose entry booted the running system, as the firmware says. Never proof: the kernel line is.
    pub current: Option<Bank>,
    /// Bank that `BootNext` asks for.
    pub next: Option<Bank>,
    /// The boot order.
    pub order: Vec<OrderEntry>,
    /// What is odd, and what follows from it.
    pub findings: Vec<Finding>,
}

impl UefiBootStatus {
    /// Bank that the variables ask for at the next reset: the one try, else the first of the order.
    /// `None` if that is an entry of somebody else, or nothing.
    #[must_use]
    pub fn asked(&self) -> Option<Bank> {
        if self.next.is_some() {
            self.next
        } else {
            self.order.iter().find(|e| e.active).and_then(|e| e.bank)
        }
    }
}

impl<V: VarStore> UefiBoot<V> {
    /// Reads the variables. Damage in one of them is a finding; a store that cannot be read is an error.
    pub fn status(&self) -> Result<UefiBootStatus, UefiBootError> {
        let entries = self.entries()?;
        let mut findings = Vec::new();
        let current = self.one(BOOT_CURRENT, &entries, &mut findings)?;
        let next = self.one(BOOT_NEXT, &entries, &mut findings)?;
        let numbers = self.order()?.unwrap_or_else(|error| {
            let text = format!("BootOrder is damaged ({error}); it is written anew at the next change");
            findings.push(Finding::new("boot-order-bad", text));
            Vec::new()
        });
        let order: Vec<OrderEntry> = numbers.iter().map(|&number| self.place(number, &entries)).collect();
        self.check_entries(&entries, &order, &mut findings);
        Ok(UefiBootStatus { current, next, order, findings })
    }

    /// Bank whose image an entry names: by the partition's GUID and the file, not by its text.
    fn bank_of(&self, option: &LoadOption) -> Option<Bank> {
        let (drive, file) = option.path.target()?;
        if !file.eq_ignore_ascii_case(UKI_PATH) {
            return None;
        }
        let [a, b] = self.volumes;
        if drive.guid == a.guid {
            Some(Bank::A)
        } else if drive.guid == b.guid {
            Some(Bank::B)
        } else {
            None
        }
    }

    fn place(&self, number: u16, entries: &[(u16, LoadOption)]) -> OrderEntry {
        let option = entries.iter().find(|(found, _)| *found == number).map(|(_, option)| option);
        OrderEntry {
            number,
            bank: option.and_then(|option| self.bank_of(option)),
            description: option.map(|option| option.description.clone()),
            active: option.is_some_and(|option| option.active),
        }
    }

    fn one(
        &self,
        name: &str,
        entries: &[(u16, LoadOption)],
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Bank>, UefiBootError> {
        let Some(var) = self.read(name)? else { return Ok(None) };
        let numbers = decode_numbers(&var.data).unwrap_or_default();
        let &[number] = numbers.as_slice() else {
            let text = format!("{name} holds {} bytes instead of 2; the firmware ignores it", var.data.len());
            findings.push(Finding::new("boot-number-bad", text));
            return Ok(None);
        };
        let place = self.place(number, entries);
        if place.bank.is_none() {
            let entry = boot_entry_name(number);
            let what = place.description.map_or_else(
                || "is missing or cannot be read".to_owned(),
                |text| format!("({text:?}) is no bank of this disk"),
            );
            findings.push(Finding::new("boot-entry-foreign", format!("{name} names {entry}, which {what}")));
        }
        Ok(place.bank)
    }

    fn check_entries(
        &self,
        entries: &[(u16, LoadOption)],
        order: &[OrderEntry],
        findings: &mut Vec<Finding>,
    ) {
        for bank in Bank::BOTH {
            let wanted = self.wanted(bank);
            let exact = entries
                .iter()
                .find(|(_, option)| is_text_of(bank, &option.description) && boots_the_same(option, &wanted));
            let (code, text) = match exact {
                Some((number, _)) if order.iter().any(|place| place.number == *number) => continue,
                Some((number, _)) => {
                    let entry = boot_entry_name(*number);
                    ("boot-order-incomplete", format!("{entry} of bank {bank} is not in the boot order"))
                }
                None => ("boot-entry-missing", format!("bank {bank} has no right boot entry of its own")),
            };
            findings.push(Finding::new(code, text));
        }
        for place in order {
            if place.description.is_none() {
                let entry = boot_entry_name(place.number);
                let text = format!("the boot order names {entry}, which is missing or cannot be read");
                findings.push(Finding::new("boot-order-dangling", text));
            }
        }
        if let Some(first) = order.iter().find(|place| place.active)
            && first.bank.is_none()
        {
            let name = first.description.clone().unwrap_or_else(|| boot_entry_name(first.number));
            let text = format!("the boot order begins with {name:?}, which is no bank of this disk");
            findings.push(Finding::new("boot-order-foreign-first", text));
        }
    }
}

impl<V: VarStore> BootControl for UefiBoot<V> {
    fn status(&mut self) -> Result<BootStatus, BootControlError> {
        let status = UefiBoot::status(self).map_err(|error| failed("reading the boot variables", error))?;
        let tried = status.order.iter().filter(|entry| entry.active);
        let mut order: Vec<Bank> = Vec::new();
        for bank in tried.filter_map(|entry| entry.bank) {
            if !order.contains(&bank) {
                order.push(bank);
            }
        }
        let UefiBootStatus { current, next, order: _, findings } = status;
        Ok(BootStatus { current, next, order, findings })
    }

    fn set_next(&mut self, bank: Bank) -> Result<(), BootControlError> {
        let set = self.ensure_entries().and_then(|_| UefiBoot::set_next(self, bank));
        set.map_err(|error| failed("setting BootNext", error))
    }

    fn clear_next(&mut self) -> Result<(), BootControlError> {
        UefiBoot::clear_next(self).map_err(|error| failed("deleting BootNext", error))
    }

    fn commit(&mut self, bank: Bank) -> Result<(), BootControlError> {
        let committed = self.ensure_entries().and_then(|_| UefiBoot::commit(self, bank));
        committed.map_err(|error| failed("writing BootOrder", error))
    }

    fn describe(&mut self, record: &BankRecord) -> Result<(), BootControlError> {
        UefiBoot::describe(self, record).map_err(|error| failed("naming the boot entries", error))
    }
}

fn failed(doing: &str, error: UefiBootError) -> BootControlError {
    BootControlError { doing: doing.to_owned(), source: Some(Box::new(error)) }
}
