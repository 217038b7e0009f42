//! Making a bank anew from another one.

use lifeboat_model::io::ReadAt;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::ChangeError;
use super::fatmap::FatMap;
use super::judge::{BankView, Banks};
use super::plan::{ChangePlan, Data, PIECE, Proof, SECTOR, SECTOR_LEN, Step, Write};
use super::rebuild_parts::{Member, members, own_state, updated_below};
use crate::bytes::put;
use crate::esx::EsxDisk;
use crate::esx::bootcfg::{CfgChanges, QuickBoot, write_strict};
use crate::fat::{BANK_MAGIC, BankFormat, BankPlan, Extent, PlannedFile};

/// What the rebuilt bank is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fallback {
    /// State 3: the loader passes it over until the next update. Nothing can go wrong with it.
    AfterNextUpdate,
    /// State 0 with a lower `updated` than the source: when the source is marked invalid, the loader takes this one.
    Usable,
}

/// Whose saved state the rebuilt bank gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepState {
    /// Its own, if that can be read whole; else the source's.
    Own,
    /// The source's.
    Source,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RebuildRequest {
    /// The bank that is made anew.
    pub bank: char,
    /// The bank that is copied. It is never written.
    pub from: char,
    /// What the bank is good for afterwards.
    pub fallback: Fallback,
    /// Whose saved state it gets.
    pub state: KeepState,
    /// Random bytes: the new identity of the bank.
    pub uuid: [u8; 16],
    /// Random number: serial number of the new volume.
    pub serial: u32,
}

/// Plans to make a bank anew: fresh file system, copy of every file that belongs to the source bank, saved state kept,
/// `boot.cfg` written strictly.
///
/// Every file of the source is looked through first (gzip length and checksum, as the loader does), and its digest
/// kept; a source that is not whole is refused. Foreign files are not copied.
pub fn plan_rebuild(
    disk: &dyn ReadAt,
    esx: &EsxDisk,
    request: &RebuildRequest,
) -> Result<ChangePlan, ChangeError> {
    let what = format!("rebuilding bank {} from bank {}", request.bank, request.from);
    let refused = |why: String, remedy: &str| ChangeError::refused(what.clone(), why, remedy.to_owned());
    let banks = Banks::of(disk, esx)?;
    let (target, source) = (banks.get(request.bank, &what)?, banks.get(request.from, &what)?);
    if target.offset == source.offset {
        return Err(refused("a bank cannot be copied onto itself".to_owned(), "name two banks"));
    }
    let cfg = source.cfg.as_ref().ok_or_else(|| {
        refused(format!("bank {} has no boot.cfg", source.letter), "rebuild from a bank that is whole")
    })?;
    let after = banks.chosen(&banks.select_without(target.offset));
    let Some(next) = after.and_then(|offset| banks.at(offset)) else {
        let why = format!("without bank {} the loader would find no bank to boot", target.letter);
        return Err(refused(why, "make the source the next to boot first (`bank set-next`)"));
    };

    let whole = esx.bank(request.from).ok_or_else(|| "it is not there".to_owned());
    let mut files = whole.and_then(|bank| members(disk, bank)).map_err(|why| {
        let why =
            format!("bank {} is not whole ({why}), and nothing good comes of copying it", source.letter);
        refused(why, "rebuild from a bank that is whole, or install ESXi anew")
    })?;

    let mut plan = ChangePlan::new(what.clone(), banks.identity, target.place(Some(request.uuid)));
    plan.then_chosen = after;
    if next.offset != source.offset {
        plan.note(format!(
            "the loader would choose bank {}, not the source, while this goes on",
            next.letter
        ));
    }
    let (state, updated) = end_state(&banks, target, source, request.fallback, &what)?;
    let changes = CfgChanges { state, updated: Some(updated), build: None, quickboot: QuickBoot::Drop };
    let text = write_strict(cfg, &changes).map_err(|source| ChangeError::Fat {
        doing: "writing the new boot.cfg",
        letter: target.letter,
        source: Box::new(source),
    })?;
    plan.note(format!(
        "boot.cfg: bootstate={state}, updated={updated} (bank {} has {})",
        source.letter, cfg.values.updated
    ));

    keep_state(disk, target, source, request, &mut files, &mut plan);
    let format = format_of(disk, target, request, &mut plan);
    let layout = lay_out(&format, &text, &files)
        .map_err(|why| refused(why, "make room in the source, or give the host a larger medium"))?;
    guard_source(disk, source, &mut plan)?;
    push_steps(disk, target, &layout, &text, &files, state, &mut plan)?;
    Ok(plan)
}

/// State and `updated` of the rebuilt bank.
fn end_state(
    banks: &Banks,
    target: &BankView,
    source: &BankView,
    fallback: Fallback,
    what: &str,
) -> Result<(u8, u32), ChangeError> {
    let running = source.cfg.as_ref().map_or(0, |cfg| cfg.values.updated);
    let others: Vec<u32> = banks
        .list
        .iter()
        .filter(|bank| bank.offset != target.offset)
        .filter_map(|bank| bank.cfg.as_ref())
        .map(|cfg| cfg.values.updated)
        .collect();
    match (fallback, updated_below(running, &others)) {
        (Fallback::AfterNextUpdate, updated) => Ok((3, updated.unwrap_or(0))),
        (Fallback::Usable, Some(updated)) => Ok((0, updated)),
        (Fallback::Usable, None) => Err(ChangeError::refused(
            what,
            format!("bank {} has `updated` {running}, and no value below it is free", source.letter),
            "leave the option out: the bank is then used from the next update on",
        )),
    }
}

/// Replaces the source's saved state by the bank's own where that was asked for and is possible.
fn keep_state(
    disk: &dyn ReadAt,
    target: &BankView,
    source: &BankView,
    request: &RebuildRequest,
    files: &mut Vec<Member>,
    plan: &mut ChangePlan,
) {
    let of_source = || format!("saved state: that of bank {}", source.letter);
    if request.state == KeepState::Source {
        plan.note(of_source());
        return;
    }
    match own_state(disk, target) {
        Ok(bytes) => {
            plan.note(format!("saved state: bank {}'s own, {} bytes", target.letter, bytes.len()));
            files.retain(|file| !file.is_state());
            files.push(Member::state(bytes));
        }
        Err(why) => plan.note(format!("{}; bank {}'s own {why}", of_source(), target.letter)),
    }
}

fn format_of(
    disk: &dyn ReadAt,
    target: &BankView,
    request: &RebuildRequest,
    plan: &mut ChangePlan,
) -> BankFormat {
    let usual = BankFormat::default_for(target.bytes, target.offset);
    let mut format = match BankFormat::like(disk, target.offset, target.bytes) {
        // An old volume that could not hold a bank is no model for a new one.
        Some(like) if like.capacity() > 0 => like,
        Some(_) | None => usual,
    };
    format.serial = request.serial;
    format.second_sector = [0; 512];
    put(&mut format.second_sector, 0, BANK_MAGIC);
    put(&mut format.second_sector, 16, &request.uuid);
    plan.note(format!(
        "file system: {}, clusters of {} bytes, new identity {}",
        format.kind,
        format.cluster_bytes(),
        crate::esx::uuid_text(request.uuid)
    ));
    format
}

/// A planned volume and where its files go; boot.cfg is the first.
fn lay_out(format: &BankFormat, text: &[u8], files: &[Member]) -> Result<BankPlan, String> {
    let mut planned =
        vec![PlannedFile { name: "boot.cfg".to_owned(), len: text.len() as u64, modified: None }];
    planned.extend(files.iter().map(|file| PlannedFile {
        name: file.path.clone(),
        len: file.len(),
        modified: file.modified,
    }));
    BankPlan::new(format, &planned).map_err(|error| error.to_string())
}

/// The source is what it was when the plan was made: its geometry and its boot.cfg. Its files are held by digests.
fn guard_source(disk: &dyn ReadAt, source: &BankView, plan: &mut ChangePlan) -> Result<(), ChangeError> {
    plan.guard(disk, source.offset, 2 * SECTOR)?;
    if let Ok(map) = FatMap::open(disk, source.offset, source.bytes) {
        let (offset, len) = map.fat_range(0);
        plan.guard(disk, offset, len)?;
    }
    Ok(())
}

fn push_steps(
    disk: &dyn ReadAt,
    target: &BankView,
    layout: &BankPlan,
    text: &[u8],
    files: &[Member],
    state: u8,
    plan: &mut ChangePlan,
) -> Result<(), ChangeError> {
    let base = target.offset;
    // Whatever can be told of the old boot.cfg is marked invalid, for people who look at a bank that was cut.
    match super::set_next::locate(disk, base, target.bytes, target.letter) {
        Ok((map, spot)) => {
            plan.guard(disk, map.base(), SECTOR)?;
            if !spot.push_invalid(plan)? {
                plan.note(
                    "the old boot.cfg has no digit that could be made 3; clearing the boot sector is enough",
                );
            }
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            plan.note(format!(
                "the old boot.cfg cannot be marked invalid ({source}); clearing the boot sector is enough"
            ));
        }
    }
    let zeros = vec![0; SECTOR_LEN];
    let why = "without a boot sector there is no bank: from here to the end nothing can choose this one";
    plan.push(Step::Unseal, why, vec![Write { offset: base, data: Data::Bytes(zeros) }])?;

    let mut invalid = text.to_vec();
    put(&mut invalid, DIGIT, b"3");
    let mut writes = Vec::new();
    for piece in layout.meta() {
        let mut bytes = piece.data.to_vec();
        bytes.resize(usize::try_from(piece.len).unwrap_or(0), 0);
        writes.push(Write { offset: base + piece.offset, data: Data::Bytes(bytes) });
    }
    let place = |index: usize| layout.extent_of(index).unwrap_or(Extent { offset: 0, len: 0 });
    writes.push(Write { offset: base + place(0).offset, data: Data::Bytes(padded(&invalid)) });
    for (file, index) in files.iter().zip(1..) {
        if file.len() > 0 {
            writes.push(Write { offset: base + place(index).offset, data: file.data() });
        }
        plan.proofs.push(Proof { path: file.path.clone(), len: file.len(), sha256: file.sha256 });
    }
    let why = "file system, files and boot.cfg with the state 3; nothing shows them yet";
    plan.push(Step::Content, why, writes)?;
    let why = "every file is there: the volume can be read, and its state is 3";
    plan.push(
        Step::Seal,
        why,
        vec![Write { offset: base, data: Data::Bytes(layout.boot_sector().to_vec()) }],
    )?;
    if state != 3 {
        let first = padded(text).get(..SECTOR_LEN).unwrap_or(&[]).to_vec();
        let why = "every file was read back through the file system: the state becomes 0";
        plan.push(
            Step::Release,
            why,
            vec![Write { offset: base + place(0).offset, data: Data::Bytes(first) }],
        )?;
    }
    Ok(())
}

fn padded(text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    bytes.resize(text.len().next_multiple_of(SECTOR_LEN), 0);
    bytes
}

/// Digest of these runs of the disk, a piece at a time.
pub(super) fn digest_of(disk: &dyn ReadAt, runs: &[Extent]) -> Result<[u8; 32], ChangeError> {
    let mut hasher = Sha256::new();
    let mut buf = vec![0; usize::try_from(PIECE).unwrap_or(0)];
    for run in runs {
        let mut at = 0;
        while at < run.len {
            let count = (run.len - at).min(PIECE);
            let piece = buf.get_mut(..usize::try_from(count).unwrap_or(0)).unwrap_or(&mut []);
            let offset = run.offset + at;
            disk.read_at(offset, piece).map_err(|source| ChangeError::Io {
                doing: "reading a file of a bank",
                offset,
                source,
            })?;
            hasher.update(&*piece);
            at += count;
        }
    }
    Ok(hasher.finalize().into())
}

/// Where a strict boot.cfg has the digit of its state.
const DIGIT: usize = 10;
