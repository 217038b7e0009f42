//! Boot control by `BootNext`: one entry per bank, one try, then commit.
//!
//! Owns: the entries of both banks and their texts (`Lifeboat bank A (2.0, good)`; `Lifeboat A` until the first). Promises: entries of others stay, and stay in the order; each
//! write is read back; every prefix of the writes of one call leaves an order that still boots what it booted
//! before the call. Does not: say whether a bank deserves it.

use std::fmt::Write;

use lifeboat_model::Bank;

use super::option::{
    LoadOption, LoadOptionError, boot_entry_name, boot_entry_number, decode_numbers, encode_numbers,
};
use super::path::{DevicePath, HardDrive};
use super::vars::{BOOT_NEXT, BOOT_ORDER, EFI_GLOBAL, Var, VarError, VarStore};
use crate::layout::{Layout, Partition};
use crate::record::BankRecord;

/// Where each bank's program lies on its boot volume: the path for removable media, so that firmware that lost its
/// variables still finds it (UEFI 2.10 §3.5.1.1).
pub const UKI_PATH: &str = r"\EFI\BOOT\BOOTX64.EFI";

/// Why the boot variables could not be put in order.
#[derive(Debug, thiserror::Error)]
pub enum UefiBootError {
    /// A variable could not be read or written.
    #[error("the firmware's boot variables could not be {doing}")]
    Store {
        /// What was being done: read, listed, changed.
        doing: &'static str,
        /// Cause.
        #[source]
        source: VarError,
    },
    /// What was written is not what is read.
    #[error("the firmware did not keep {name}: written were {written} bytes, read were {read}")]
    NotKept {
        /// Variable.
        name: String,
        /// Bytes written, as hexadecimal digits.
        written: String,
        /// Bytes read afterwards, or `nothing`.
        read: String,
    },
    /// The bank has no entry.
    #[error("the firmware has no boot entry for bank {bank}; put the entries in order first")]
    NoEntry {
        /// Bank.
        bank: Bank,
    },
    /// All 65,536 numbers are taken.
    #[error("the firmware has no free number for a boot entry")]
    NoFreeNumber,
}

/// The numbers of our two entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntries {
    /// Number of `Lifeboat A`.
    pub a: u16,
    /// Number of `Lifeboat B`.
    pub b: u16,
    /// What was created, repaired or removed, as sentences; empty if all was in order.
    pub changes: Vec<String>,
}

impl BootEntries {
    /// Number of a bank's entry.
    pub fn number(&self, bank: Bank) -> u16 {
        match bank {
            Bank::A => self.a,
            Bank::B => self.b,
        }
    }
}

/// Boot control of one host: its variables, and the boot volumes of its two banks.
#[derive(Debug)]
pub struct UefiBoot<V> {
    pub(super) vars: V,
    pub(super) volumes: [HardDrive; 2],
}

impl<V: VarStore> UefiBoot<V> {
    /// Boot control over `vars`; `a` and `b` are the boot partitions of the banks.
    pub fn new(vars: V, a: HardDrive, b: HardDrive) -> Self {
        Self { vars, volumes: [a, b] }
    }

    /// Boot control over `vars` for a disk of ours.
    pub fn of_layout(vars: V, layout: &Layout) -> Self {
        let drive = |bank| {
            let Partition { number, guid, first_lba, sectors } = layout.volumes(bank).boot;
            HardDrive::gpt(number, first_lba, sectors, guid)
        };
        Self::new(vars, drive(Bank::A), drive(Bank::B))
    }

    /// The variables behind it.
    pub fn into_vars(self) -> V {
        self.vars
    }

    /// Creates the entries of both banks, or repairs them, and appends them to the order if they are missing
    /// there. Entries that are in the order keep their place. An entry with one of our texts is ours; what it says of
    /// the bank stays.
    pub fn ensure_entries(&mut self) -> Result<BootEntries, UefiBootError> {
        let entries = self.entries()?;
        let mut taken: Vec<u16> = self.taken_numbers()?;
        let mut changes = Vec::new();
        let mut surplus = Vec::new();
        let mut numbers = [0; 2];
        for bank in Bank::BOTH {
            let wanted = self.wanted(bank);
            let ours = entries.iter().filter(|(_, option)| is_text_of(bank, &option.description));
            let ours: Vec<&(u16, LoadOption)> = ours.collect();
            let exact = ours.iter().find(|(_, option)| boots_the_same(option, &wanted));
            let number = match (exact, ours.first()) {
                (Some((number, _)), _) => *number,
                (None, Some((number, _))) => {
                    self.write(&boot_entry_name(*number), wanted.encode())?;
                    changes.push(format!("repaired {} as {}", boot_entry_name(*number), wanted.description));
                    *number
                }
                (None, None) => {
                    let free = (0..=u16::MAX).find(|number| !taken.contains(number));
                    let number = free.ok_or(UefiBootError::NoFreeNumber)?;
                    taken.push(number);
                    self.write(&boot_entry_name(number), wanted.encode())?;
                    changes.push(format!("created {} as {}", boot_entry_name(number), wanted.description));
                    number
                }
            };
            numbers[bank.index()] = number;
            let others = ours.iter().map(|(found, _)| *found).filter(|found| *found != number);
            surplus.extend(others.map(|other| (other, number)));
        }
        self.complete_order(numbers, &surplus, &mut changes)?;
        for (number, _) in surplus {
            self.erase(&boot_entry_name(number))?;
            changes.push(format!("removed the duplicate {}", boot_entry_name(number)));
        }
        let [a, b] = numbers;
        Ok(BootEntries { a, b, changes })
    }

    /// Has `bank` booted at the next reset, once.
    pub fn set_next(&mut self, bank: Bank) -> Result<(), UefiBootError> {
        let number = self.number_of(bank)?;
        self.write(BOOT_NEXT, encode_numbers(&[number]))
    }

    /// Withdraws the one try, whoever set it.
    pub fn clear_next(&mut self) -> Result<(), UefiBootError> {
        self.erase(BOOT_NEXT)
    }

    /// Makes `bank` the one that boots from now on: its entry first, the other bank's second, then the entries of
    /// others in their order.
    pub fn commit(&mut self, bank: Bank) -> Result<(), UefiBootError> {
        let ours = [self.number_of(bank)?, self.number_of(bank.other())?];
        let before = self.usable_order()?;
        let mut order = ours.to_vec();
        for &number in &before {
            if !order.contains(&number) {
                order.push(number);
            }
        }
        if order == before { Ok(()) } else { self.write(BOOT_ORDER, encode_numbers(&order)) }
    }

    /// Gives the entries of both banks texts that tell a person at the firmware's menu what the banks hold. Only what
    /// differs is written; a bank without an entry gets none.
    pub fn describe(&mut self, record: &BankRecord) -> Result<(), UefiBootError> {
        let entries = self.entries()?;
        for bank in Bank::BOTH {
            let wanted = self.wanted(bank);
            let text = menu_text(bank, record);
            let ours = entries
                .iter()
                .find(|(_, option)| is_text_of(bank, &option.description) && boots_the_same(option, &wanted));
            if let Some((number, option)) = ours
                && option.description != text
            {
                let described = LoadOption { description: text, ..option.clone() };
                self.write(&boot_entry_name(*number), described.encode())?;
            }
        }
        Ok(())
    }

    /// The entry that a bank is to have.
    pub(super) fn wanted(&self, bank: Bank) -> LoadOption {
        let [a, b] = self.volumes;
        let drive = match bank {
            Bank::A => a,
            Bank::B => b,
        };
        LoadOption::new(&format!("Lifeboat {bank}"), DevicePath::file_on(drive, UKI_PATH))
    }

    /// All entries that can be read, by number. One that cannot be read is somebody else's and stays.
    pub(super) fn entries(&self) -> Result<Vec<(u16, LoadOption)>, UefiBootError> {
        let mut entries = Vec::new();
        for number in self.taken_numbers()? {
            let var = self.read(&boot_entry_name(number))?;
            if let Some(Ok(option)) = var.map(|var| LoadOption::decode(&var.data)) {
                entries.push((number, option));
            }
        }
        entries.sort_by_key(|(number, _)| *number);
        Ok(entries)
    }

    /// The boot order; empty if the variable is missing, the inner error if it is damaged.
    pub(super) fn order(&self) -> Result<Result<Vec<u16>, LoadOptionError>, UefiBootError> {
        let var = self.read(BOOT_ORDER)?;
        Ok(var.map_or(Ok(Vec::new()), |var| decode_numbers(&var.data)))
    }

    /// The boot order to build a new one from. A damaged one says nothing: the firmware does not follow it either.
    fn usable_order(&self) -> Result<Vec<u16>, UefiBootError> {
        Ok(self.order()?.unwrap_or_default())
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Var>, UefiBootError> {
        self.vars.get(name, &EFI_GLOBAL).map_err(|source| UefiBootError::Store { doing: "read", source })
    }

    fn taken_numbers(&self) -> Result<Vec<u16>, UefiBootError> {
        let names = self.vars.list().map_err(|source| UefiBootError::Store { doing: "listed", source })?;
        let ours = names.iter().filter(|name| name.vendor == EFI_GLOBAL);
        Ok(ours.filter_map(|name| boot_entry_number(&name.name)).collect())
    }

    fn number_of(&self, bank: Bank) -> Result<u16, UefiBootError> {
        let wanted = self.wanted(bank);
        let found = self
            .entries()?
            .into_iter()
            .find(|(_, option)| is_text_of(bank, &option.description) && boots_the_same(option, &wanted));
        found.map(|(number, _)| number).ok_or(UefiBootError::NoEntry { bank })
    }

    fn complete_order(
        &mut self,
        numbers: [u16; 2],
        surplus: &[(u16, u16)],
        changes: &mut Vec<String>,
    ) -> Result<(), UefiBootError> {
        let before = self.usable_order()?;
        let mut order: Vec<u16> = Vec::with_capacity(before.len() + 2);
        for &number in &before {
            // A surplus entry hands its place to the one that is kept, so that the same bank stays first.
            let kept = surplus.iter().find(|(other, _)| *other == number).map_or(number, |(_, kept)| *kept);
            if !order.contains(&kept) {
                order.push(kept);
            }
        }
        for number in numbers {
            if !order.contains(&number) {
                order.push(number);
            }
        }
        if order != before {
            self.write(BOOT_ORDER, encode_numbers(&order))?;
            changes.push("completed the boot order".to_owned());
        }
        Ok(())
    }

    fn write(&mut self, name: &str, data: Vec<u8>) -> Result<(), UefiBootError> {
        let var = Var::boot(data);
        let store = |source| UefiBootError::Store { doing: "changed", source };
        self.vars.set(name, &EFI_GLOBAL, &var).map_err(store)?;
        let read = self.read(name)?;
        if read.as_ref() == Some(&var) { Ok(()) } else { Err(not_kept(name, &hex(&var.data), read)) }
    }

    fn erase(&mut self, name: &str) -> Result<(), UefiBootError> {
        let store = |source| UefiBootError::Store { doing: "changed", source };
        self.vars.delete(name, &EFI_GLOBAL).map_err(store)?;
        let read = self.read(name)?;
        if read.is_none() { Ok(()) } else { Err(not_kept(name, "nothing", read)) }
    }
}

/// The text of a bank in the firmware's menu: `Lifeboat bank A (2.0, good)`.
pub(super) fn menu_text(bank: Bank, record: &BankRecord) -> String {
    let entry = record.bank(bank);
    match (&entry.release, entry.state) {
        (Some(release), state) => {
            // A menu has no room for more.
            let version: String = release.version.0.chars().take(40).collect();
            format!("Lifeboat bank {bank} ({version}, {state})")
        }
        (None, state) => format!("Lifeboat bank {bank} ({state})"),
    }
}

/// Whether a text is one of ours for this bank, whatever it tells of it.
pub(super) fn is_text_of(bank: Bank, text: &str) -> bool {
    text == format!("Lifeboat {bank}") || text.starts_with(&format!("Lifeboat bank {bank} ("))
}

/// Whether two entries boot the same program in the same way: all but their texts.
pub(super) fn boots_the_same(one: &LoadOption, two: &LoadOption) -> bool {
    let LoadOption { active, other_attributes, description: _, path, optional } = one;
    *active == two.active
        && *other_attributes == two.other_attributes
        && *path == two.path
        && *optional == two.optional
}

fn not_kept(name: &str, written: &str, read: Option<Var>) -> UefiBootError {
    let read = read.map_or_else(|| "nothing".to_owned(), |var| hex(&var.data));
    UefiBootError::NotKept { name: name.to_owned(), written: written.to_owned(), read }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
