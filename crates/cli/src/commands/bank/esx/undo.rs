//! `lifeboat bank undo`

use std::path::{Path, PathBuf};

use lifeboat_bank::esx::EsxBank;
use lifeboat_bank::esx::undo::{DiskIdentity, Undone, examine_undo, undo};
use lifeboat_device::BlockFile;
use serde::Serialize;

use super::open::change_esx;
use super::undo_files::{all, open, undo_error};
use crate::args::UndoArgs;
use crate::commands::ask;
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
                return format!("no undo files in {}\n", ctx.state.root().join("undo").display());
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
            format!("{}\nin {}\n", ctx.out.render(&table), ctx.state.root().join("undo").display())
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

/// The newest file of this disk that has anything to take back.
fn newest(ctx: &Ctx, path: &Path, force: bool) -> Result<PathBuf, CliError> {
    let disk = BlockFile::open_read(path).map_err(crate::commands::bank::errors::device_error)?;
    let identity = DiskIdentity::of(&disk).map_err(|cause| undo_error(path, cause))?;
    for candidate in all(&ctx.state)? {
        // A damaged file is named by --list; it must not stand in the way of the others.
        let Ok(source) = FileAt::open(&candidate, "the undo file") else { continue };
        let Ok(file) = open(&candidate, &source) else { continue };
        if *file.disk() != identity {
            continue;
        }
        let state = examine_undo(&disk, &file).map_err(|cause| undo_error(&candidate, cause))?;
        if state.reached > 0 || (force && state.differing_sectors > 0) {
            return Ok(candidate);
        }
    }
    Err(CliError::new(
        Kind::NotFound,
        format!(
            "nothing on {} can be taken back: no undo file of it in {} has a change that is there",
            path.display(),
            ctx.state.root().join("undo").display()
        ),
    )
    .remedy("see them with: lifeboat bank undo --list; or name the file"))
}

/// The undo file of a rebuild of this bank that was cut before its end, if the last change of the bank was one.
pub(super) fn unfinished_rebuild(
    ctx: &Ctx,
    disk: &BlockFile,
    bank: &EsxBank,
) -> Result<Option<PathBuf>, CliError> {
    let Ok(identity) = DiskIdentity::of(disk) else { return Ok(None) };
    for candidate in all(&ctx.state)? {
        let Ok(source) = FileAt::open(&candidate, "the undo file") else { continue };
        let Ok(file) = open(&candidate, &source) else { continue };
        if *file.disk() != identity || file.place().offset != bank.offset {
            continue;
        }
        let state = examine_undo(disk, &file).map_err(|cause| undo_error(&candidate, cause))?;
        let cut = file.what().starts_with("rebuilding") && state.reached > 0 && state.reached < state.steps;
        if state.reached > 0 || state.differing_sectors > 0 {
            return Ok((cut && state.differing_sectors == 0).then_some(candidate));
        }
    }
    Ok(None)
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
        Some(name) if !name.exists() && ctx.state.root().join("undo").join(name).exists() => {
            ctx.state.root().join("undo").join(name)
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
