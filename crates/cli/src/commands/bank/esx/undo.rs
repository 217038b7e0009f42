//! `lifeboat bank undo`

use std::path::{Path, PathBuf};

use lifeboat_bank::esx::EsxBank;
use lifeboat_bank::esx::undo::{DiskIdentity, UndoFile, UndoState, Undone, examine_undo, undo};
use lifeboat_device::BlockFile;
use serde::Serialize;

use super::open::change_esx;
use super::undo_files::{all, folder, open, undo_error};
use crate::args::UndoArgs;
use crate::commands::ask;
use crate::commands::bank::errors::device_error;
use crate::error::{CliError, Kind};
use crate::files::FileAt;
use crate::output::{ProgressLine, Table};
use crate::run::Ctx;
use crate::size::show_size;

#[derive(Serialize)]
struct Row {
    file: PathBuf,
    when: String,
    what: Option<String>,
    disk: Option<String>,
    bytes: u64,
    problem: Option<String>,
}

pub(in crate::commands::bank) fn run(ctx: &Ctx, args: &UndoArgs) -> Result<(), CliError> {
    match (&args.disk, args.list) {
        (_, true) | (None, false) => list(ctx),
        (Some(disk), false) => back(ctx, disk, args),
    }
}

fn list(ctx: &Ctx) -> Result<(), CliError> {
    let rows: Vec<Row> = all(&ctx.state)?.into_iter().map(row).collect();
    ctx.out.list(
        "undo-files",
        &rows,
        |row| row.file.display().to_string(),
        || {
            if rows.is_empty() {
                return format!("no undo files in {}\n", folder(&ctx.state).display());
            }
            let mut table =
                Table::new().column("WHEN").number("SIZE").column("DISK").flexible("WHAT").column("FILE");
            for row in &rows {
                let what = row.what.clone().or_else(|| row.problem.clone()).unwrap_or_default();
                let name =
                    row.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                table.row([
                    row.when.clone(),
                    show_size(row.bytes),
                    row.disk.clone().unwrap_or_default(),
                    what,
                    name,
                ]);
            }
            format!("{}\nin {}\n", ctx.out.render(&table), folder(&ctx.state).display())
        },
    )
}

fn row(file: PathBuf) -> Row {
    let bytes = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    let mut row = Row { file, when: String::new(), what: None, disk: None, bytes, problem: None };
    match FileAt::open(&row.file, "the undo file") {
        Ok(source) => match open(&row.file, &source) {
            Ok(undo) => {
                row.when = time(undo.created());
                row.what = Some(undo.what().to_owned());
                row.disk = Some(undo.disk().to_string());
            }
            Err(error) => row.problem = Some(error.causes().join(": ")),
        },
        Err(error) => row.problem = Some(error.to_string()),
    }
    row
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| seconds.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The newest wanted undo file of which `each` makes something; it is given the file and how the disk stands to it.
/// A damaged file is named by --list; it must not stand in the way of the others.
fn newest_of<T>(
    ctx: &Ctx,
    disk: &BlockFile,
    is_wanted: impl Fn(&UndoFile<'_>) -> bool,
    each: impl Fn(&Path, &UndoFile<'_>, &UndoState) -> Option<T>,
) -> Result<Option<T>, CliError> {
    for candidate in all(&ctx.state)? {
        let Ok(source) = FileAt::open(&candidate, "the undo file") else { continue };
        let Ok(file) = open(&candidate, &source) else { continue };
        if !is_wanted(&file) {
            continue;
        }
        let state = examine_undo(disk, &file).map_err(|cause| undo_error(&candidate, cause))?;
        if let Some(found) = each(&candidate, &file, &state) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The newest file of this disk that has anything to take back.
fn newest(ctx: &Ctx, path: &Path, force: bool) -> Result<PathBuf, CliError> {
    let disk = BlockFile::open_read(path).map_err(device_error)?;
    let identity = DiskIdentity::of(&disk).map_err(|cause| undo_error(path, cause))?;
    let found = newest_of(
        ctx,
        &disk,
        |file| *file.disk() == identity,
        |candidate, _, state| {
            (state.reached > 0 || (force && state.differing_sectors > 0)).then(|| candidate.to_owned())
        },
    )?;
    found.ok_or_else(|| {
        let folder = folder(&ctx.state);
        let what = format!(
            "nothing on {} can be taken back: no undo file of it in {} has a change that is there",
            path.display(),
            folder.display()
        );
        CliError::new(Kind::NotFound, what)
            .remedy("see them with: lifeboat bank undo --list; or name the file")
    })
}

/// The undo file of a rebuild of this bank that was cut before its end, if the last change of the bank was one.
pub(super) fn unfinished_rebuild(
    ctx: &Ctx,
    disk: &BlockFile,
    bank: &EsxBank,
) -> Result<Option<PathBuf>, CliError> {
    let Ok(identity) = DiskIdentity::of(disk) else { return Ok(None) };
    let of_bank = |file: &UndoFile<'_>| *file.disk() == identity && file.place().offset == bank.offset;
    let last = newest_of(ctx, disk, of_bank, |candidate, file, state| {
        if state.reached == 0 && state.differing_sectors == 0 {
            return None;
        }
        let cut = file.what().starts_with("rebuilding")
            && (1..state.steps).contains(&state.reached)
            && state.differing_sectors == 0;
        Some(cut.then(|| candidate.to_owned()))
    })?;
    Ok(last.flatten())
}

/// Takes a change back without a word.
pub(super) fn take_back(path: &Path, name: &Path, force: bool) -> Result<(), CliError> {
    let source = FileAt::open(name, "the undo file")?;
    let file = open(name, &source)?;
    let mut disk = change_esx(path, force)?;
    undo(&mut disk, &file, false, &mut |_, _| {}).map(drop).map_err(|cause| undo_error(name, cause))
}

fn back(ctx: &Ctx, path: &Path, args: &UndoArgs) -> Result<(), CliError> {
    let name = match &args.file {
        Some(name) if !name.exists() && folder(&ctx.state).join(name).exists() => {
            folder(&ctx.state).join(name)
        }
        Some(name) => name.clone(),
        None => newest(ctx, path, args.force)?,
    };
    let source = FileAt::open(&name, "the undo file")?;
    let file = open(&name, &source)?;
    let mut disk = change_esx(path, args.force)?;
    let fail = |cause| undo_error(&name, cause);
    let state = examine_undo(&disk, &file).map_err(fail)?;
    let what = format!("take back on {}: {} ({})", path.display(), file.what(), time(file.created()));
    if ctx.dry_run {
        let differ = state.differing_sectors;
        return ctx.out.object("bank-undo-plan", &state, &name.display().to_string(), || {
            format!(
                "would {what}; {} of {} steps are on the disk, {differ} sectors were changed since\n",
                state.reached, state.steps
            )
        });
    }
    ask(ctx, &format!("{what}?"))?;
    let mut line = ProgressLine::bytes("taking back", file.bytes());
    let undone = undo(&mut disk, &file, args.force, &mut |done, total| {
        line.step("taking back", total);
        line.set(done);
    });
    line.finish();
    show(ctx, path, &name, file.what(), &undone.map_err(fail)?)
}

fn show(ctx: &Ctx, path: &Path, name: &Path, what: &str, undone: &Undone) -> Result<(), CliError> {
    #[derive(Serialize)]
    struct Shown<'a> {
        disk: &'a Path,
        file: &'a Path,
        what: &'a str,
        undone: &'a Undone,
    }
    let shown = Shown { disk: path, file: name, what, undone };
    ctx.out.object("bank-undo", &shown, &name.display().to_string(), || {
        if undone.written == 0 {
            format!("{}: everything is as it was before: {what}\n", path.display())
        } else {
            format!(
                "{}: taken back: {what}; {} written, the undo file is kept\n",
                path.display(),
                show_size(undone.written)
            )
        }
    })
}
