//! Replacing the saved state of a bank.

use lifeboat_model::chain;
use lifeboat_model::io::ReadAt;

use super::cfgedit::entry_write;
use super::error::ChangeError;
use super::fatmap::{FatMap, Spot};
use super::judge::{BankView, Banks};
use super::plan::{ChangePlan, Data, SECTOR, SECTOR_LEN, Step, Write};
use crate::bytes::{le_u16, put};
use crate::esx::EsxDisk;
use crate::esx::state::validate_state;
use crate::fat::examine;

/// The name of the saved state in a directory entry.
const STATE_NAME: &[u8; 11] = b"STATE   TGZ";
/// The same for people.
const STATE_PATH: &str = "state.tgz";
/// Most bytes of a saved state that are taken.
pub const STATE_LIMIT: u64 = 256 << 20;
/// Attribute of an ordinary file that was changed.
const ARCHIVE: u8 = 0x20;

/// Plans to replace the saved state (`state.tgz`) of a bank by `state`, which must be the saved state of a host.
///
/// The new file is written beside the old one, flushed and read back; then the directory entry is switched in one
/// sector; then the old clusters are given free. At every moment the bank has the old state or the new one, whole.
pub fn plan_import(
    disk: &dyn ReadAt,
    esx: &EsxDisk,
    letter: char,
    state: &[u8],
) -> Result<ChangePlan, ChangeError> {
    let what = format!("importing a saved state of {} bytes into bank {letter}", state.len());
    let banks = Banks::of(disk, esx)?;
    let bank = banks.get(letter, &what)?;
    let refused = |why: String, remedy: &str| ChangeError::refused(what.clone(), why, remedy.to_owned());
    if state.is_empty() || state.len() as u64 > STATE_LIMIT {
        return Err(refused(
            format!("a saved state has 1 to {STATE_LIMIT} bytes"),
            "give the file that `bank export` made",
        ));
    }
    validate_state(&state, STATE_LIMIT).map_err(|error| {
        refused(
            format!("the file is no saved state that a host could use: {}", chain(&error)),
            "export one from a bank",
        )
    })?;
    sound(disk, bank, &what)?;
    let wrong = |doing: &'static str, why: String| ChangeError::Fat { doing, letter, source: why.into() };
    let map = FatMap::open(disk, bank.offset, bank.bytes)
        .map_err(|why| wrong("reading the volume", format!("the volume {why}")))?;
    let mut plan = ChangePlan::new(what.clone(), banks.identity, bank.place(None));
    plan.then_chosen = banks.chosen(&banks.select());
    if !bank.names(STATE_PATH) {
        plan.note("boot.cfg of this bank does not name state.tgz: the loader will not load it");
    }
    let io = |error: std::io::Error| wrong("reading the volume", error.to_string());
    let tables: Vec<Vec<u8>> =
        (0..map.fats).map(|copy| map.read_fat(disk, copy)).collect::<Result<_, _>>().map_err(io)?;
    let first = tables.first().ok_or_else(|| wrong("reading the volume", "it has no FAT".to_owned()))?;
    let needed = (state.len() as u64).div_ceil(map.cluster_bytes());
    let fresh = pick_free(&map, first, needed);
    if (fresh.len() as u64) < needed {
        let (missing, cluster) = (needed - fresh.len() as u64, map.cluster_bytes());
        return Err(refused(
            format!(
                "there is no room beside the old one: {} bytes are missing in bank {letter}",
                missing * cluster
            ),
            "remove foreign files (`bank clean`), or rebuild the bank with this state",
        ));
    }
    let (old, slot) = entry_slot(&map, disk)
        .map_err(io)?
        .ok_or_else(|| refused("the root directory is full".to_owned(), "remove foreign files"))?;
    let old_chain = match &old {
        Some(old) if old.cluster() != 0 => {
            map.chain(first, old.cluster()).map_err(|why| wrong("reading the saved state", why))?
        }
        Some(_) | None => Vec::new(),
    };

    // What the plan rests on: geometry, tables, directory.
    plan.guard(disk, map.base(), SECTOR)?;
    plan.guard(disk, slot - slot % SECTOR, SECTOR)?;
    for copy in 0..map.fats {
        let (offset, len) = map.fat_range(copy);
        plan.guard(disk, offset, len)?;
    }

    plan.push(
        Step::Content,
        "the new state, into clusters that nobody owns",
        content_writes(&map, &fresh, state),
    )?;
    let linked: Vec<Vec<u8>> = tables.iter().map(|table| link(&map, table, &fresh)).collect();
    let why = "the new clusters get an owner in both tables";
    plan.push(Step::Tables, why, table_writes(&map, &tables, &linked))?;
    let raw = entry(old.as_ref(), fresh.first().copied().unwrap_or(0), state.len() as u64);
    plan.push(
        Step::Directory,
        "state.tgz names the new clusters: one sector",
        vec![entry_write(disk, slot, &raw)?],
    )?;
    let freed: Vec<Vec<u8>> = linked
        .iter()
        .map(|table| {
            let mut table = table.clone();
            for cluster in &old_chain {
                map.set(&mut table, *cluster, 0);
            }
            table
        })
        .collect();
    plan.push(Step::Tables, "the old clusters are free", table_writes(&map, &linked, &freed))?;
    Ok(plan)
}

/// Refuses to edit a volume with damage.
pub(super) fn sound(disk: &dyn ReadAt, bank: &BankView, what: &str) -> Result<(), ChangeError> {
    let report = examine(disk, bank.offset, bank.bytes);
    if report.is_sound() {
        return Ok(());
    }
    let worst = report.findings.iter().max_by_key(|finding| finding.severity);
    let text = worst.map_or("it cannot be read", |finding| finding.text.as_str());
    Err(ChangeError::refused(
        what,
        format!("the file system of bank {} is damaged: {text}", bank.letter),
        "rebuild the bank from the other one",
    ))
}

/// Free clusters, from one run if there is one that is long enough.
fn pick_free(map: &FatMap, fat: &[u8], needed: u64) -> Vec<u64> {
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let mut run: Vec<u64> = Vec::new();
    for cluster in map.free(fat) {
        if run.last().is_some_and(|last| last + 1 != cluster) {
            run.clear();
        }
        run.push(cluster);
        if run.len() == needed {
            return run;
        }
    }
    map.free(fat).take(needed).collect()
}

/// The entry of the old state, and where the new one goes.
fn entry_slot(map: &FatMap, disk: &dyn ReadAt) -> std::io::Result<Option<(Option<Spot>, u64)>> {
    if let Some(old) = map.find(disk, STATE_NAME)? {
        let at = old.offset;
        return Ok(Some((Some(old), at)));
    }
    let root = map.root(disk)?;
    let mut before_end = true;
    for (index, spot) in root.iter().enumerate() {
        let free = match spot.raw[0] {
            0xe5 => true,
            0 => {
                // Behind the first free entry nothing is looked at; what stands there must not come to life.
                let next_is_end = root.get(index + 1).is_none_or(|next| next.raw[0] == 0);
                let usable = before_end && next_is_end;
                before_end = false;
                usable
            }
            _ => false,
        };
        if free && (before_end || spot.raw[0] == 0) {
            return Ok(Some((None, spot.offset)));
        }
        if !before_end {
            break;
        }
    }
    Ok(None)
}

fn content_writes(map: &FatMap, clusters: &[u64], content: &[u8]) -> Vec<Write> {
    let size = usize::try_from(map.cluster_bytes()).unwrap_or(usize::MAX);
    let mut writes: Vec<Write> = Vec::new();
    for (cluster, part) in clusters.iter().zip(content.chunks(size)) {
        let Some(offset) = map.cluster_offset(*cluster) else { continue };
        let mut bytes = part.to_vec();
        bytes.resize(part.len().next_multiple_of(SECTOR_LEN), 0);
        match writes.last_mut() {
            Some(Write { offset: at, data: Data::Bytes(before) }) if *at + before.len() as u64 == offset => {
                before.extend_from_slice(&bytes);
            }
            Some(_) | None => writes.push(Write { offset, data: Data::Bytes(bytes) }),
        }
    }
    writes
}

fn link(map: &FatMap, table: &[u8], chain: &[u64]) -> Vec<u8> {
    let mut table = table.to_vec();
    for pair in chain.windows(2) {
        if let [cluster, next] = pair {
            map.set(&mut table, *cluster, *next);
        }
    }
    if let Some(last) = chain.last() {
        map.set(&mut table, *last, map.end_mark());
    }
    table
}

/// The sectors of the tables that change, in every copy.
fn table_writes(map: &FatMap, old: &[Vec<u8>], new: &[Vec<u8>]) -> Vec<Write> {
    let mut writes = Vec::new();
    for ((old, new), copy) in old.iter().zip(new).zip(0_u64..) {
        let (base, _) = map.fat_range(copy);
        let pairs = old.chunks(SECTOR_LEN).zip(new.chunks(SECTOR_LEN)).zip(0_u64..);
        for ((_, new), index) in pairs.filter(|((old, new), _)| old != new) {
            writes.push(Write { offset: base + index * SECTOR, data: Data::Bytes(new.to_vec()) });
        }
    }
    writes
}

/// The directory entry, with the times of the old one.
fn entry(old: Option<&Spot>, cluster: u64, len: u64) -> [u8; 32] {
    let mut raw = [0; 32];
    if let Some(old) = old {
        raw = old.raw;
    } else {
        put(&mut raw, 0, STATE_NAME);
        put(&mut raw, 11, &[ARCHIVE]);
    }
    put(&mut raw, 26, &u16::try_from(cluster).unwrap_or(0).to_le_bytes());
    put(&mut raw, 28, &u32::try_from(len).unwrap_or(0).to_le_bytes());
    debug_assert_eq!(le_u16(&raw, 26).map(u64::from), Some(cluster));
    raw
}
