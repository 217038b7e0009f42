//! The boot variables of this machine, as the trial steps ask for them.
//!
//! Owns: the adapter between `UefiBoot` and `BootControl`. Promises: our entries exist before the first question
//! is answered. Does not: decide.

use lifeboat_bank::efi::{HardDrive, UefiBoot, UefiBootError, VarStore};
use lifeboat_bank::layout::{Layout, Partition};
use lifeboat_bank::ops::{BootControl, BootControlError, BootStatus};
use lifeboat_bank::record::BankRecord;
use lifeboat_model::Bank;

/// Boot control over a store of variables.
#[derive(Debug)]
pub struct UefiControl<V> {
    boot: UefiBoot<V>,
}

impl<V: VarStore> UefiControl<V> {
    /// Control for the boot volumes of `layout`. Both banks get an entry if they have none; what was changed for
    /// that is told in words.
    pub fn open(vars: V, layout: &Layout) -> Result<(Self, Vec<String>), UefiBootError> {
        let drive = |part: &Partition| HardDrive::gpt(part.number, part.first_lba, part.sectors, part.guid);
        let [a, b] = Bank::BOTH.map(|bank| drive(&layout.volumes(bank).boot));
        let mut boot = UefiBoot::new(vars, a, b);
        let changes = boot.ensure_entries()?.changes;
        Ok((Self { boot }, changes))
    }

    /// The variables behind it.
    pub fn into_vars(self) -> V {
        self.boot.into_vars()
    }
}

impl<V: VarStore> BootControl for UefiControl<V> {
    fn status(&mut self) -> Result<BootStatus, BootControlError> {
        BootControl::status(&mut self.boot)
    }

    fn set_next(&mut self, bank: Bank) -> Result<(), BootControlError> {
        BootControl::set_next(&mut self.boot, bank)
    }

    fn clear_next(&mut self) -> Result<(), BootControlError> {
        BootControl::clear_next(&mut self.boot)
    }

    fn commit(&mut self, bank: Bank) -> Result<(), BootControlError> {
        BootControl::commit(&mut self.boot, bank)
    }

    fn describe(&mut self, record: &BankRecord) -> Result<(), BootControlError> {
        BootControl::describe(&mut self.boot, record)
    }
}
