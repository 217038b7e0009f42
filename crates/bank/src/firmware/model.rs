//! The firmware's decision.

use lifeboat_model::chain;

use lifeboat_model::io::ReadAt;

use crate::efi::{
    BOOT_CURRENT, BOOT_NEXT, BOOT_ORDER, EFI_GLOBAL, LoadOption, Node, UKI_PATH, VOLATILE_BS_RT, Var,
    VarStore, boot_entry_name, decode_numbers, encode_numbers,
};
use crate::fat::FatVolume;
use crate::gpt::{GptEntry, GptTable, SECTOR, read_table};
use crate::layout::{TYPE_ESP, read_layout};
use crate::uki::parse_uki;

use super::outcome::{Booted, FirmwareResult, Tried, Via};

/// Larger images are not loaded: a firmware would run out of memory below 4 GiB as well.
pub const LARGEST_IMAGE: u64 = 1 << 30;

/// One power cycle: consumes `BootNext`, sets `BootCurrent`, and says what runs.
///
/// A store that refuses these two writes does not stop the firmware; the refusal stands among what was tried.
pub fn boot(disk: &dyn ReadAt, vars: &mut dyn VarStore) -> FirmwareResult {
    let plan = read_plan(vars);
    let mut refused = Vec::new();
    for name in [BOOT_NEXT, BOOT_CURRENT] {
        // A variable that cannot be read was noted by the plan.
        if let Ok(Some(_)) = vars.get(name, &EFI_GLOBAL)
            && let Err(error) = vars.delete(name, &EFI_GLOBAL)
        {
            refused.push(Tried { what: format!("deleting {name}"), why_not: chain(&error) });
        }
    }
    let mut result = attempt(disk, vars, plan);
    if let Some(number) = result.booted.as_ref().and_then(|booted| booted.via.number()) {
        let current = Var { attributes: VOLATILE_BS_RT, data: encode_numbers(&[number]) };
        if let Err(error) = vars.set(BOOT_CURRENT, &EFI_GLOBAL, &current) {
            refused.push(Tried { what: format!("setting {BOOT_CURRENT}"), why_not: chain(&error) });
        }
    }
    result.tried.extend(refused);
    result
}

/// What [`boot`] would do, without doing it. [`FirmwareResult::why`] says it as a sentence.
pub fn predict(disk: &dyn ReadAt, vars: &dyn VarStore) -> FirmwareResult {
    attempt(disk, vars, read_plan(vars))
}

/// Entries in the order in which they are tried.
struct Plan {
    attempts: Vec<Via>,
    notes: Vec<Tried>,
}

fn read_plan(vars: &dyn VarStore) -> Plan {
    let mut plan = Plan { attempts: Vec::new(), notes: Vec::new() };
    match read_numbers(vars, BOOT_NEXT).as_deref() {
        Ok([]) => {}
        Ok([number]) => plan.attempts.push(Via::BootNext { number: *number }),
        Ok(many) => plan.note(BOOT_NEXT, format!("it holds {} numbers instead of one", many.len())),
        Err(why) => plan.note(BOOT_NEXT, why.clone()),
    }
    match read_numbers(vars, BOOT_ORDER) {
        Ok(order) => {
            let mut seen = vec![false; 1 << 16];
            for number in order {
                // A number that stands twice is tried once: the second attempt would end as the first.
                if let Some(seen) = seen.get_mut(usize::from(number))
                    && !std::mem::replace(seen, true)
                {
                    plan.attempts.push(Via::Order { number });
                }
            }
        }
        Err(why) => plan.note(BOOT_ORDER, why),
    }
    plan
}

impl Plan {
    fn note(&mut self, what: &str, why_not: String) {
        self.notes.push(Tried { what: what.to_owned(), why_not });
    }
}

fn read_numbers(vars: &dyn VarStore, name: &str) -> Result<Vec<u16>, String> {
    let var = vars.get(name, &EFI_GLOBAL).map_err(|error| chain(&error))?;
    var.map_or(Ok(Vec::new()), |var| decode_numbers(&var.data).map_err(|error| error.to_string()))
}

fn attempt(disk: &dyn ReadAt, vars: &dyn VarStore, plan: Plan) -> FirmwareResult {
    let Plan { attempts, notes: mut tried } = plan;
    let table = match read_table(disk) {
        Ok(read) => read.table,
        Err(error) => {
            tried.push(Tried { what: "the disk".to_owned(), why_not: chain(&error) });
            return FirmwareResult { booted: None, tried };
        }
    };
    for via in attempts {
        let Some(number) = via.number() else { continue };
        match try_entry(disk, vars, &table, number, via) {
            Ok(booted) => return FirmwareResult { booted: Some(booted), tried },
            Err(why_not) => tried.push(Tried { what: via.to_string(), why_not }),
        }
    }
    for entry in table.entries.iter().filter(|entry| entry.type_guid == TYPE_ESP) {
        let via = Via::Removable { partition: entry.number };
        match load(disk, entry, UKI_PATH, via) {
            Ok(booted) => return FirmwareResult { booted: Some(booted), tried },
            Err(why_not) => tried.push(Tried { what: via.to_string(), why_not }),
        }
    }
    FirmwareResult { booted: None, tried }
}

fn try_entry(
    disk: &dyn ReadAt,
    vars: &dyn VarStore,
    table: &GptTable,
    number: u16,
    via: Via,
) -> Result<Booted, String> {
    let var = vars.get(&boot_entry_name(number), &EFI_GLOBAL).map_err(|error| chain(&error))?;
    let var = var.ok_or("there is no such entry")?;
    let option = LoadOption::decode(&var.data).map_err(|error| chain(&error))?;
    let named = |why: &str| format!("{:?} {why}", option.description);
    // The one try is taken even from an entry that is switched off.
    if !option.active && !matches!(via, Via::BootNext { .. }) {
        return Err(named("is switched off"));
    }
    let (drive, file) = match (option.path.target(), option.path.0.as_slice()) {
        (Some((drive, file)), _) => (*drive, file),
        // A partition without a file stands for its removable-media path (UEFI 2.10 §3.1.2).
        (None, [.., Node::HardDrive(drive)]) => (*drive, UKI_PATH.to_owned()),
        (None, _) => return Err(named("is not a file on a disk; what it boots is not modelled")),
    };
    let entry = table.entries.iter().find(|entry| drive.signature == 2 && entry.guid == drive.guid);
    let entry = entry.ok_or_else(|| named(&format!("names partition {}, not on this disk", drive.guid)))?;
    load(disk, entry, &file, via).map_err(|why| named(&format!("cannot be loaded: {why}")))
}

fn load(disk: &dyn ReadAt, entry: &GptEntry, file: &str, via: Via) -> Result<Booted, String> {
    let volume = FatVolume::open(disk, entry.first_lba * SECTOR, entry.sectors() * SECTOR);
    let image = volume.and_then(|volume| volume.read_file(file, LARGEST_IMAGE)).map_err(|e| chain(&e))?;
    let uki = parse_uki(&image).map_err(|error| chain(&error))?;
    let bytes = |range| image.get::<std::ops::Range<usize>>(range).unwrap_or_default().to_vec();
    Ok(Booted {
        bank: read_layout(disk).ok().and_then(|layout| layout.bank_of(entry.guid)),
        partition_guid: entry.guid,
        kernel: bytes(uki.kernel),
        initrd: bytes(uki.initrd),
        cmdline: uki.cmdline,
        osrel: uki.osrel,
        via,
    })
}
