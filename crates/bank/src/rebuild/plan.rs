//! What a rebuild would do, and every reason not to.

use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, BankState, ReleaseRef};
use serde::Serialize;

use super::RebuildError;
use crate::disk::load_record;
use crate::fat::FatVolume;
use crate::install::{BankCheck, CopySource, verify_bank};
use crate::layout::{Layout, RECORD_BYTES};
use crate::manifest::UKI_PATH;
use crate::record::BankRecord;
use crate::uki::{parse_uki, relabel_uki};

/// What a rebuild would do. Making it reads the source whole and writes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuildPlan {
    /// The bank that is copied.
    pub from: Bank,
    /// The bank that is written.
    pub to: Bank,
    /// The release that both hold afterwards.
    pub release: ReleaseRef,
    /// State of the target before.
    pub to_state: BankState,
    /// What the target is said to hold before; it is lost.
    pub to_release: Option<ReleaseRef>,
    /// Whether the target is whole now, so that the rebuild mends nothing.
    pub to_whole: bool,
    /// Bytes of root image and kernel image that are written.
    pub bytes: u64,
    /// What follows, for people.
    pub notes: Vec<String>,
}

/// Everything that was read of the source.
pub(super) struct Source {
    pub(super) record: BankRecord,
    pub(super) copy: CopySource,
}

/// Says what [`super::rebuild()`] would do, after everything that can be refused was refused.
pub fn plan_rebuild(
    disk: &dyn ReadAt,
    layout: &Layout,
    from: Bank,
    to: Bank,
) -> Result<RebuildPlan, RebuildError> {
    let Source { record, copy } = read_source(disk, layout, from, to)?;
    let before = record.bank(to);
    let whole = matches!(before.state, BankState::Good | BankState::Upgraded)
        && verify_bank(disk, layout, Some(&record), to).is_whole();
    let mut notes =
        vec![format!("bank {to} is upgraded afterwards, not good: its first boot is a trial that proves it")];
    if whole {
        notes.push(format!("bank {to} is whole and {}: a rebuild mends nothing", before.state));
    }
    if let Some(held) = before.release.as_ref().filter(|held| **held != copy.release) {
        notes.push(format!("bank {to} loses {held}: it will hold {} as bank {from} does", copy.release));
    }
    Ok(RebuildPlan {
        from,
        to,
        to_state: before.state,
        to_release: before.release.clone(),
        to_whole: whole,
        bytes: copy.root.1 + copy.uki.len() as u64,
        release: copy.release,
        notes,
    })
}

/// Verifies the source whole and reads what is not copied byte for byte.
pub(super) fn read_source(
    disk: &dyn ReadAt,
    layout: &Layout,
    from: Bank,
    to: Bank,
) -> Result<Source, RebuildError> {
    if from == to {
        return Err(RebuildError::Same { bank: to });
    }
    let (record, _) = load_record(disk, layout).map_err(|source| RebuildError::Record { source })?;
    match record.bank(from).state {
        BankState::Good => {}
        state @ (BankState::Empty
        | BankState::Invalid
        | BankState::Upgraded
        | BankState::Trying
        | BankState::Failed) => return Err(RebuildError::SourceNotGood { from, state }),
    }
    if record.bank(to).state == BankState::Trying {
        return Err(RebuildError::OnTrial { to });
    }
    let check = verify_bank(disk, layout, Some(&record), from);
    let damaged = |check: &BankCheck| {
        let reasons: Vec<String> = check.findings.iter().map(|finding| finding.text.clone()).collect();
        RebuildError::SourceDamaged { from, reason: reasons.join("; ") }
    };
    let Some(manifest) = check.manifest.clone().filter(|_| check.is_whole()) else {
        return Err(damaged(&check));
    };
    let boot = layout.volumes(from).boot;
    let read = |source| RebuildError::Read { from, source };
    let volume = FatVolume::open(disk, boot.offset(), boot.bytes()).map_err(read)?;
    let image = volume.read_file(UKI_PATH, manifest.boot_len).map_err(read)?;
    let relabel = |source| RebuildError::Relabel { from, to, source };
    let line = renamed_line(&parse_uki(&image).map_err(relabel)?.cmdline, layout, from, to)
        .map_err(|reason| RebuildError::Line { from, reason })?;
    let uki = relabel_uki(&image, &line).map_err(relabel)?;
    let copy = CopySource {
        root_offset: layout.volumes(from).root.offset(),
        root: (manifest.root_sha256, manifest.root_len),
        verity: manifest.verity,
        release: manifest.release,
        uki,
        kernel_line: line,
    };
    debug_assert!(copy.root.1 <= layout.volumes(from).root.bytes() - RECORD_BYTES, "verified above");
    Ok(Source { record, copy })
}

/// The kernel line with the names of the other bank; every other word stays.
fn renamed_line(line: &str, layout: &Layout, from: Bank, to: Bank) -> Result<String, String> {
    let names = |bank: Bank| {
        [format!("lifeboat.bank={bank}"), format!("root=PARTUUID={}", layout.volumes(bank).root.guid)]
    };
    let mut renamed: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
    for (old, new) in names(from).into_iter().zip(names(to)) {
        let mut places = renamed.iter_mut().filter(|word| **word == old);
        match (places.next(), places.next()) {
            (Some(place), None) => *place = new,
            (None, _) => return Err(format!("it has no {old}")),
            (Some(_), Some(_)) => return Err(format!("it has {old} twice")),
        }
    }
    Ok(renamed.join(" "))
}
