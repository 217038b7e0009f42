//! Carrying out a plan: save, then step for step write, flush and read back.

use lifeboat_model::io::WriteAt;
use sha2::{Digest, Sha256};

use super::error::ChangeError;
use super::judge::chosen_now;
use super::plan::{ChangePlan, Data, Epoch, PIECE, SECTOR, Step, Write};
use super::rebuild::digest_of;
use super::target::Target;
use crate::esx::undo::{UndoSink, save_undo};
use crate::fat::FatVolume;

/// Called with the step, the bytes done and the bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(Step, u64, u64);

/// A change that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Applied {
    /// What was done.
    pub what: String,
    /// Bytes that were written.
    pub written: u64,
    /// Bytes of the undo file.
    pub undo_bytes: u64,
}

/// Carries out a plan.
///
/// Before the first write: what the plan rests on is compared with the disk, and everything that will be overwritten
/// goes into `undo`, which is sealed. Then each step is written, flushed and read back from the device. At the end the
/// loader's choice is made over what lies on the disk, and must be the planned one. `now` is the time in seconds since
/// 1970, for the undo file.
///
/// # Errors
/// After an error the bank that the plan may write is as the steps before left it: the loader chooses a whole bank if
/// it did before. The same command again goes on; the undo file leads back.
pub fn apply(
    disk: &mut dyn WriteAt,
    plan: &ChangePlan,
    undo: &mut dyn UndoSink,
    now: u64,
    progress: Progress<'_>,
) -> Result<Applied, ChangeError> {
    check_guards(disk, plan)?;
    let total = plan.bytes();
    let undo_bytes = save_undo(&*disk, plan, now, undo, &mut |done| progress(Step::Save, done, total))?;
    let mut target = Target::new(disk, plan.place());
    // A run before this one may have been killed: what it wrote must not be overtaken by what comes now.
    target.flush()?;
    let mut seen = vec![0; usize::try_from(PIECE).unwrap_or(0)];
    let mut proved = false;
    for epoch in &plan.epochs {
        if epoch.step == Step::Release {
            prove(&target, plan, progress)?;
            proved = true;
        }
        write_epoch(&mut target, epoch, &mut seen, progress)?;
        target.flush()?;
        verify_epoch(&mut target, epoch, &mut seen, progress)?;
    }
    if !proved {
        prove(&target, plan, progress)?;
    }
    let found = chosen_now(disk);
    if found != plan.then_chosen {
        let name = |offset: Option<u64>| match offset {
            Some(offset) => format!("the bank at byte {offset}"),
            None => "no bank".to_owned(),
        };
        return Err(ChangeError::Outcome { found: name(found), wanted: name(plan.then_chosen) });
    }
    Ok(Applied { what: plan.what.clone(), written: total, undo_bytes })
}

/// Reads every file of the new bank through its file system and compares its digest with the source's.
fn prove(target: &Target<'_>, plan: &ChangePlan, progress: Progress<'_>) -> Result<(), ChangeError> {
    if plan.proofs.is_empty() {
        return Ok(());
    }
    let place = plan.place();
    let fat = |source| ChangeError::Fat {
        doing: "reading back the files",
        letter: place.letter,
        source: Box::new(source),
    };
    let total = plan.proofs.iter().map(|proof| proof.len).sum();
    let mut done = 0;
    let volume = FatVolume::open(target.reader(), place.offset, place.bytes).map_err(fat)?;
    for proof in &plan.proofs {
        let span = volume.locate(&proof.path, proof.len).map_err(fat)?;
        let digest = digest_of(target.reader(), &span.extents)?;
        if span.len != proof.len || digest != proof.sha256 {
            let offset = span.extents.first().map_or(place.offset, |run| run.offset);
            return Err(ChangeError::ReadBack { offset, step: Step::Verify.word() });
        }
        done += proof.len;
        progress(Step::Verify, done, total);
    }
    Ok(())
}

fn check_guards(disk: &dyn WriteAt, plan: &ChangePlan) -> Result<(), ChangeError> {
    for guard in &plan.guards {
        let mut now = vec![0; guard.bytes.len()];
        disk.read_at(guard.offset, &mut now).map_err(|source| ChangeError::Io {
            doing: "comparing the disk with the plan",
            offset: guard.offset,
            source,
        })?;
        if let Some(at) = now.iter().zip(&guard.bytes).position(|(now, then)| now != then) {
            return Err(ChangeError::DiskChanged { offset: guard.offset + at as u64 });
        }
    }
    Ok(())
}

/// Calls `each(at, length)` for the pieces of a write.
fn pieces(
    write: &Write,
    mut each: impl FnMut(u64, usize) -> Result<(), ChangeError>,
) -> Result<(), ChangeError> {
    let (len, mut at) = (write.len(), 0);
    while at < len {
        let count = (len - at).min(PIECE);
        each(at, usize::try_from(count).unwrap_or(0))?;
        at += count;
    }
    Ok(())
}

fn write_epoch(
    target: &mut Target<'_>,
    epoch: &Epoch,
    buf: &mut [u8],
    progress: Progress<'_>,
) -> Result<(), ChangeError> {
    let total = epoch.writes.iter().map(Write::len).sum();
    let mut done = 0;
    progress(epoch.step, 0, total);
    for write in &epoch.writes {
        let mut digest = CopyDigest::of(write);
        pieces(write, |at, count| {
            let piece = buf.get_mut(..count).unwrap_or(&mut []);
            fill(target, write, at, piece)?;
            digest.update(at, piece);
            target.write(write.offset + at, piece)?;
            done += count as u64;
            progress(epoch.step, done, total);
            Ok(())
        })?;
        digest.check(write)?;
    }
    Ok(())
}

fn verify_epoch(
    target: &mut Target<'_>,
    epoch: &Epoch,
    buf: &mut [u8],
    progress: Progress<'_>,
) -> Result<(), ChangeError> {
    let total = epoch.writes.iter().map(Write::len).sum();
    let mut done = 0;
    let mut wanted = Vec::new();
    for write in &epoch.writes {
        target.drop_cache(write.offset, write.len())?;
        let mut digest = CopyDigest::of(write);
        pieces(write, |at, count| {
            let piece = buf.get_mut(..count).unwrap_or(&mut []);
            target.read(write.offset + at, piece)?;
            digest.update(at, piece);
            let offset = write.offset + at;
            if matches!(write.data, Data::Bytes(_)) {
                wanted.resize(count, 0);
                fill(target, write, at, &mut wanted)?;
                if let Some(first) = wanted.iter().zip(&*piece).position(|(wanted, seen)| wanted != seen) {
                    return Err(ChangeError::ReadBack {
                        offset: offset + first as u64,
                        step: epoch.step.word(),
                    });
                }
            }
            done += count as u64;
            progress(Step::Verify, done, total);
            Ok(())
        })?;
        // A copy is compared by the digest that its source had when it was checked.
        digest
            .check(write)
            .map_err(|_| ChangeError::ReadBack { offset: write.offset, step: epoch.step.word() })?;
    }
    Ok(())
}

fn fill(target: &Target<'_>, write: &Write, at: u64, piece: &mut [u8]) -> Result<(), ChangeError> {
    write.fill(target.reader(), at, piece).map_err(|source| ChangeError::Io {
        doing: "reading the source of a copy",
        offset: write.offset + at,
        source,
    })
}

/// The digest of a copied file, as far as it was seen; the padding of its last sector is not part of it.
struct CopyDigest {
    hasher: Option<Sha256>,
    len: u64,
}

impl CopyDigest {
    fn of(write: &Write) -> Self {
        match &write.data {
            Data::Bytes(_) => Self { hasher: None, len: 0 },
            Data::Copy { len, .. } => Self { hasher: Some(Sha256::new()), len: *len },
        }
    }

    fn update(&mut self, at: u64, piece: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            let rest = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
            hasher.update(piece.get(..rest).unwrap_or(&[]));
        }
    }

    fn check(self, write: &Write) -> Result<(), ChangeError> {
        let found: Option<[u8; 32]> = self.hasher.map(|hasher| hasher.finalize().into());
        match &write.data {
            Data::Copy { name, sha256, .. } if found != Some(*sha256) => {
                Err(ChangeError::SourceChanged { name: name.clone() })
            }
            Data::Copy { .. } | Data::Bytes(_) => Ok(()),
        }
    }
}

const _: () = assert!(PIECE.is_multiple_of(SECTOR));
