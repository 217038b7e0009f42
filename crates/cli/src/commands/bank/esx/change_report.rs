//! What a change did or would do, and what its failure means.

use std::path::{Path, PathBuf};

use lifeboat_bank::esx::change::{ChangeError, PlannedStep};
use serde::Serialize;

use crate::error::{CliError, Kind};
use crate::run::Ctx;
use crate::size::show_size;

/// What was done to a bank, or would be.
#[derive(Serialize)]
pub(super) struct Changed {
    pub(super) disk: PathBuf,
    pub(super) bank: char,
    pub(super) what: String,
    pub(super) dry_run: bool,
    pub(super) steps: Vec<PlannedStep>,
    pub(super) notes: Vec<String>,
    pub(super) bytes: u64,
    pub(super) undo: Option<PathBuf>,
    pub(super) kept: Vec<PathBuf>,
    pub(super) next_boot: String,
}

pub(super) fn show_changes(ctx: &Ctx, path: &Path, changes: &[Changed]) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Shown<'a> {
        disk: &'a Path,
        changes: &'a [Changed],
    }
    let shown = Shown { disk: path, changes };
    let name = changes
        .iter()
        .filter_map(|change| change.undo.as_ref())
        .map(|undo| undo.display().to_string())
        .collect::<Vec<_>>()
        .join("\n");
    ctx.out.object("bank-change", &shown, &name, || people(path, changes))
}

fn people(path: &Path, changes: &[Changed]) -> String {
    if changes.is_empty() {
        return format!("{}: there is nothing to change\n", path.display());
    }
    let mut text = String::new();
    for change in changes {
        let would = if change.dry_run { "would be done" } else { "done" };
        if change.steps.is_empty() {
            text.push_str(&format!("{}: nothing has to be written\n", change.what));
        } else {
            text.push_str(&format!("{}: {would}, {} written\n", change.what, show_size(change.bytes)));
        }
        if change.dry_run {
            for (number, step) in change.steps.iter().enumerate() {
                text.push_str(&format!(
                    "  {}. {}: {} ({})\n",
                    number + 1,
                    step.step,
                    step.why,
                    show_size(step.bytes)
                ));
            }
        }
        for note in &change.notes {
            text.push_str(&format!("  {note}\n"));
        }
        if let (Some(first), count) = (change.kept.first(), change.kept.len()) {
            let folder = first.parent().unwrap_or(first);
            text.push_str(&format!("  {count} removed files are kept in {}\n", folder.display()));
        }
        if let Some(undo) = &change.undo {
            text.push_str(&format!(
                "  taken back by: lifeboat bank undo {} {}\n",
                path.display(),
                undo.display()
            ));
        }
    }
    if let Some(last) = changes.last() {
        text.push_str(&format!("boots next: {}\n", last.next_boot));
    }
    text
}

/// A change that was refused or failed.
pub(super) fn change_error(path: &Path, cause: ChangeError) -> CliError {
    let at = path.display();
    let (kind, remedy) = match &cause {
        ChangeError::Refused { what, why, remedy } => {
            return CliError::new(Kind::Blockers, format!("{at}: {what} was refused: {why}"))
                .remedy(remedy.clone());
        }
        ChangeError::Fat { .. } => {
            (Kind::Blockers, "a volume that is damaged is not edited: rebuild the bank from the other one")
        }
        ChangeError::DiskChanged { .. } => (Kind::Conflict, "run the command again"),
        ChangeError::Undo { .. } => {
            (Kind::Failed, "give another place with --undo FILE; nothing was changed")
        }
        ChangeError::Io { .. } => (Kind::Failed, "look at the disk's health (dmesg, smartctl)"),
        ChangeError::SourceChanged { .. } | ChangeError::ReadBack { .. } => (
            Kind::Verification,
            "do not trust this disk; copy what can be read with ddrescue and use another",
        ),
        ChangeError::Outcome { .. } => (Kind::Failed, "take it back: lifeboat bank undo DISK"),
        ChangeError::OutsideBank { .. } | ChangeError::BadWrite { .. } => (Kind::Bug, "report it"),
    };
    CliError::new(kind, format!("{at}")).because(cause).remedy(remedy)
}
