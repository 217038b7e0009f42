//! Removing foreign files from a bank.

use std::io;

use lifeboat_model::io::ReadAt;

use super::error::ChangeError;
use super::judge::Banks;
use super::plan::{ChangePlan, Step};
use crate::esx::EsxDisk;
use crate::fat::{FatVolume, clear_dirty, remove};

/// What a bank cannot do without, beside what its boot.cfg names.
const KEPT: [&str; 2] = ["boot.cfg", "state.tgz"];
/// Bytes of a file that are handed over at a time.
const PIECE: usize = 1 << 20;

/// Plans to remove files and whole directories from a bank. `paths` are as the examination of the volume names them.
///
/// Directory entries are struck out first, then their clusters are given free; boot.cfg and what it names are refused.
/// The files can be read with [`read_removed`] until the plan is applied.
pub fn plan_clean(
    disk: &dyn ReadAt,
    esx: &EsxDisk,
    letter: char,
    paths: &[String],
) -> Result<ChangePlan, ChangeError> {
    let what = format!("removing {} foreign files from bank {letter}", paths.len());
    let banks = Banks::of(disk, esx)?;
    let bank = banks.get(letter, &what)?;
    for path in paths {
        let bare = path.trim_matches('/');
        let inside = |file: &str| {
            let (file, bare) = (file.to_ascii_lowercase(), bare.to_ascii_lowercase());
            file == bare || file.strip_prefix(&bare).is_some_and(|rest| rest.starts_with('/'))
        };
        let named = bank.cfg.as_ref().is_some_and(|cfg| cfg.files().iter().any(|file| inside(file)));
        if bare.is_empty() || named || KEPT.iter().any(|kept| inside(kept)) {
            return Err(ChangeError::refused(
                what,
                format!("{path:?} is no foreign file: bank {letter} needs it"),
                "leave it out",
            ));
        }
    }
    let mut plan = ChangePlan::new(what, banks.identity, bank.place(None));
    plan.then_chosen = banks.chosen(&banks.select());
    if paths.is_empty() {
        plan.note("there is nothing to remove");
        return Ok(plan);
    }
    let edits = remove(disk, bank.offset, bank.bytes, paths).map_err(|source| ChangeError::Fat {
        doing: "planning the removal of files",
        letter: bank.letter,
        source: Box::new(source),
    })?;
    let steps = [
        (Step::Directory, "the entries of the foreign files are struck out"),
        (Step::Tables, "their clusters become free in both tables"),
    ];
    plan.push_edits(steps, edits)?;
    Ok(plan)
}

/// Plans to clear the dirty bits of a bank's volume. Empty when none is set.
pub fn plan_clear_dirty(disk: &dyn ReadAt, esx: &EsxDisk, letter: char) -> Result<ChangePlan, ChangeError> {
    let what = format!("clearing the dirty bits of bank {letter}");
    let banks = Banks::of(disk, esx)?;
    let bank = banks.get(letter, &what)?;
    let mut plan = ChangePlan::new(what, banks.identity, bank.place(None));
    plan.then_chosen = banks.chosen(&banks.select());
    let edits = clear_dirty(disk, bank.offset, bank.bytes).map_err(|source| ChangeError::Fat {
        doing: "planning to clear the dirty bits",
        letter: bank.letter,
        source: Box::new(source),
    })?;
    plan.push_edits([(Step::Tables, "dirty bits are cleared"); 2], edits)?;
    Ok(plan)
}

/// Hands over the content of a file before it is removed, in pieces of at most 1 MiB. Returns its length.
///
/// # Errors
/// When the file cannot be read whole (a ghost entry, a damaged chain), or `out` fails.
pub fn read_removed(
    disk: &dyn ReadAt,
    plan: &ChangePlan,
    path: &str,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, ChangeError> {
    let place = plan.place();
    let fat = |source| ChangeError::Fat {
        doing: "reading a file that is to be removed",
        letter: place.letter,
        source: Box::new(source),
    };
    let volume = FatVolume::open(disk, place.offset, place.bytes).map_err(fat)?;
    let span = volume.locate(path, u64::from(u32::MAX)).map_err(fat)?;
    let mut buf = vec![0; PIECE];
    for run in &span.extents {
        let mut at = 0;
        while at < run.len {
            let count = usize::try_from(run.len - at).unwrap_or(PIECE).min(PIECE);
            let piece = buf.get_mut(..count).unwrap_or(&mut []);
            let offset = run.offset + at;
            let io = |doing: &'static str| move |source| ChangeError::Io { doing, offset, source };
            disk.read_at(offset, piece).map_err(io("reading a file that is to be removed"))?;
            out(piece).map_err(io("keeping a copy of a file that is to be removed"))?;
            at += count as u64;
        }
    }
    Ok(span.len)
}
