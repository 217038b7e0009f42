//! Which bank boots next, and why: what firmware does with the disk's bytes and its variables.
//!
//! Follows UEFI 2.10 §3.1: `BootNext` first, then each entry of `BootOrder`, an entry that cannot be loaded gives
//! way to the next; with none left the removable-media path of the first boot volume that loads. Does not: know
//! what firmware does with entries of others.

use lifeboat_bank::efi::UefiBootStatus;
use lifeboat_bank::fat::FatVolume;
use lifeboat_bank::layout::Layout;
use lifeboat_bank::manifest::UKI_PATH;
use lifeboat_bank::record::BankRecord;
use lifeboat_bank::uki::parse_uki;
use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, BankState};
use serde::Serialize;

/// What boots next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Next {
    /// The bank; none if nothing of ours boots, or if an entry of others stands first.
    pub(super) bank: Option<Bank>,
    /// Whether only the next boot is that bank's.
    pub(super) once: bool,
    /// Why, step by step.
    pub(super) why: Vec<String>,
}

/// Largest kernel image that is looked at.
const UKI_LIMIT: u64 = 1 << 30;

/// Whether firmware can load the program of a bank; if not, why.
fn loadable(disk: &dyn ReadAt, layout: &Layout, record: &BankRecord, bank: Bank) -> Result<(), String> {
    if record.bank(bank).state == BankState::Empty {
        return Err("nothing was installed in it".to_owned());
    }
    let boot = layout.volumes(bank).boot;
    let volume = FatVolume::open(disk, boot.offset(), boot.bytes())
        .map_err(|error| format!("its boot volume cannot be read: {error}"))?;
    let image =
        volume.read_file(UKI_PATH, UKI_LIMIT).map_err(|error| format!("its kernel image: {error}"))?;
    let uki = parse_uki(&image).map_err(|error| format!("its kernel image: {error}"))?;
    match uki.option("lifeboat.bank") {
        Some(id) if id == bank.to_string() => Ok(()),
        Some(id) => Err(format!("its kernel image is for bank {id}")),
        None => Err("its kernel image names no bank".to_owned()),
    }
}

/// What firmware does at the next reset. Without variables it finds the removable-media path.
pub(super) fn predict(
    disk: &dyn ReadAt,
    layout: &Layout,
    record: &BankRecord,
    status: Option<&UefiBootStatus>,
) -> Next {
    let can = Bank::BOTH.map(|bank| loadable(disk, layout, record, bank));
    let check = |bank: Bank| {
        let [a, b] = &can;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    };
    let mut why = Vec::new();
    if let Some(status) = status {
        if let Some(bank) = status.next {
            match check(bank) {
                Ok(()) => {
                    why.push(format!("BootNext asks for bank {bank}, for one boot"));
                    let after = status
                        .order
                        .iter()
                        .filter(|entry| entry.active)
                        .filter_map(|entry| entry.bank)
                        .find(|bank| check(*bank).is_ok());
                    if let Some(after) = after {
                        why.push(format!("the boot after that is bank {after}: it is first in BootOrder"));
                    }
                    return Next { bank: Some(bank), once: true, why };
                }
                Err(reason) => {
                    why.push(format!("BootNext asks for bank {bank}, which does not load: {reason}"));
                }
            }
        }
        for entry in status.order.iter().filter(|entry| entry.active) {
            let name = entry.description.as_deref().unwrap_or("missing");
            match entry.bank {
                None => why.push(format!(
                    "Boot{:04X} ({name}) is not ours and stands before; if the firmware can load it, that boots",
                    entry.number
                )),
                Some(bank) => match check(bank) {
                    Ok(()) => {
                        why.push(format!("bank {bank} is the first of ours in BootOrder that loads"));
                        return Next { bank: Some(bank), once: false, why };
                    }
                    Err(reason) => why.push(format!("bank {bank} in BootOrder does not load: {reason}")),
                },
            }
        }
        why.push("no entry of ours in BootOrder loads".to_owned());
    } else {
        why.push(
            "the firmware variables are not known (give --vars); without them firmware takes".to_owned(),
        );
    }
    for bank in Bank::BOTH {
        match check(bank) {
            Ok(()) => {
                why.push(format!(
                    "the removable-media path: bank {bank} is the first on the disk that loads"
                ));
                return Next { bank: Some(bank), once: false, why };
            }
            Err(reason) => why.push(format!("bank {bank} does not load: {reason}")),
        }
    }
    why.push("nothing on this disk boots".to_owned());
    Next { bank: None, once: false, why }
}
