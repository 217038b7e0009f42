//! `lifeboat bank clean|rebuild|set-next|import` of ESXi banks: plan, ask, save what will be overwritten, change.

use std::io;
use std::path::{Path, PathBuf};

use lifeboat_bank::esx::change::{
    ChangeError, ChangePlan, Fallback, KeepState, NextBy, NextRequest, NextState, RebuildRequest,
    STATE_LIMIT, Step, apply, plan_clean, plan_clear_dirty, plan_import, plan_rebuild, plan_set_next,
    read_removed,
};
use lifeboat_bank::esx::check::CheckReport;
use lifeboat_bank::esx::content::Depth;
use lifeboat_bank::esx::{EsxDisk, find_banks};
use lifeboat_device::BlockFile;

use super::change_report::{Changed, change_error, show_changes};
use super::check::{content_of, examine, foreign_of};
use super::open::{change_esx, look_esx, named};
use super::undo_files::NewUndo;
use crate::args::{ChangeArgs, CleanArgs, ImportArgs, RebuildArgs, SetNextArgs};
use crate::commands::ask;
use crate::commands::release::now;
use crate::error::{CliError, Kind, file_error};
use crate::files::read_bytes;
use crate::output::ProgressLine;
use crate::random::random;
use crate::run::Ctx;
use crate::size::show_size;

/// A planned change of one bank of a disk.
struct Job<'a> {
    path: &'a Path,
    args: &'a ChangeArgs,
    bank: char,
    /// For the name of the undo file.
    verb: &'static str,
    plan: ChangePlan,
    /// Files that are removed, and the folder for their copies.
    removed: Vec<String>,
    keep: Option<PathBuf>,
}

impl<'a> Job<'a> {
    /// A change that removes no file.
    fn new(
        path: &'a Path,
        args: &'a ChangeArgs,
        (bank, verb): (char, &'static str),
        plan: ChangePlan,
    ) -> Self {
        Self { path, args, bank, verb, plan, removed: Vec::new(), keep: None }
    }

    /// The whole of a command.
    fn run_alone(&self, ctx: &Ctx) -> Result<(), CliError> {
        show_changes(ctx, self.path, &[self.run(ctx)?])
    }

    /// Says what would be done, or asks and does it.
    fn run(&self, ctx: &Ctx) -> Result<Changed, CliError> {
        let mut changed = Changed {
            disk: self.path.to_owned(),
            bank: self.bank,
            what: self.plan.what().to_owned(),
            dry_run: ctx.dry_run,
            steps: self.plan.steps(),
            notes: self.plan.notes().to_vec(),
            bytes: self.plan.bytes(),
            undo: None,
            kept: Vec::new(),
            next_boot: String::new(),
        };
        // Also a rehearsal finds out whether the disk could be had for writing.
        let mut disk = change_esx(self.path, self.args.force)?;
        if ctx.dry_run {
            NewUndo::rehearse(self.args.undo.as_deref())?;
        }
        if !ctx.dry_run && !self.plan.is_empty() {
            let size = show_size(self.plan.bytes());
            let question = format!(
                "{} of {}? {size} are overwritten; bank undo takes it back",
                self.plan.what(),
                self.path.display()
            );
            ask(ctx, &question)?;
            let mut undo = NewUndo::create(
                &ctx.state,
                self.args.undo.as_deref(),
                &format!("{}-{}", self.verb, self.bank),
            )?;
            changed.kept = self.keep_copies(&disk, &undo)?;
            self.apply(&mut disk, &mut undo)?;
            changed.undo = Some(undo.path().to_owned());
        }
        let esx = find_banks(&disk).map_err(|cause| {
            CliError::new(Kind::Failed, format!("{}: looking at it again", self.path.display()))
                .because(cause)
        })?;
        changed.next_boot = esx.next_boot(&esx.selection());
        Ok(changed)
    }

    fn apply(&self, disk: &mut BlockFile, undo: &mut NewUndo) -> Result<(), CliError> {
        let mut line = ProgressLine::bytes(self.verb, 0);
        let mut last = None;
        let mut tell = |step: Step, done: u64, total: u64| {
            if last != Some(step) {
                line.step(format!("bank {}: {step}", self.bank), total);
                last = Some(step);
            }
            line.set(done);
        };
        let applied = apply(disk, &self.plan, undo, now(), &mut tell);
        line.finish();
        applied.map(drop).map_err(|cause| {
            let error = change_error(self.path, cause);
            if undo.is_sealed() {
                let undo = undo.path().display();
                error.remedy(format!(
                    "run the same command again, or take it back: lifeboat bank undo {} {undo}",
                    self.path.display()
                ))
            } else {
                error
            }
        })
    }

    /// Copies what will be removed, as far as it can be read.
    fn keep_copies(&self, disk: &BlockFile, undo: &NewUndo) -> Result<Vec<PathBuf>, CliError> {
        if self.removed.is_empty() {
            return Ok(Vec::new());
        }
        let folder = self.keep.clone().unwrap_or_else(|| undo.path().with_extension("files"));
        let mut kept = Vec::new();
        for (number, path) in self.removed.iter().enumerate() {
            // A name on a foreign volume is not a name of ours: numbered, and reduced to harmless letters.
            let copy = folder.join(format!("{}-{:03}-{}", self.bank, number + 1, harmless(path)));
            std::fs::create_dir_all(&folder)
                .map_err(|source| file_error("making the folder", &folder, source))?;
            let mut content = Vec::new();
            let mut take = |piece: &[u8]| {
                content.extend_from_slice(piece);
                if content.len() as u64 > KEPT_LIMIT {
                    Err(io::ErrorKind::FileTooLarge.into())
                } else {
                    Ok(())
                }
            };
            match read_removed(disk, &self.plan, path, &mut take) {
                Ok(_) => {
                    std::fs::write(&copy, &content).map_err(|source| file_error("writing", &copy, source))?;
                    kept.push(copy);
                }
                // What cannot be read whole: the undo file leads back to it all the same.
                Err(ChangeError::Fat { .. } | ChangeError::Io { .. }) => {}
                Err(cause) => return Err(change_error(self.path, cause)),
            }
        }
        Ok(kept)
    }
}

/// Most bytes of a removed file that are copied; larger ones are in the undo file only as far as their entries go.
const KEPT_LIMIT: u64 = 512 << 20;

fn harmless(path: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    path.chars().map(letter).take(80).collect()
}

/// What `bank clean` does to a bank, in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleaning {
    Foreign,
    Dirty,
}

pub(in crate::commands::bank) fn clean(ctx: &Ctx, args: &CleanArgs) -> Result<(), CliError> {
    let path = &args.disk;
    let instead = "banks of Lifeboat hosts hold two files each; look at them with: lifeboat bank check";
    let (file, esx) = look_esx(path, instead)?;
    let letters: Vec<char> = match &args.bank {
        Some(name) => vec![named(&esx, name)?.letter],
        None => esx.banks.iter().map(|bank| bank.letter).collect(),
    };
    let report = examine(&file, &esx, Depth::Structure);
    let todo: Vec<(char, Cleaning)> = letters
        .iter()
        .flat_map(|&letter| [(letter, Cleaning::Foreign), (letter, Cleaning::Dirty)])
        .filter(|(letter, cleaning)| is_wanted(&report, *letter, *cleaning))
        .collect();
    if args.change.undo.is_some() && todo.len() > 1 {
        return Err(CliError::usage(format!(
            "--undo names one file, and {} changes are to be made",
            todo.len()
        ))
        .remedy("leave it out, or clean one bank at a time with --bank"));
    }
    let (mut changes, mut refused) = (Vec::new(), None);
    for (letter, cleaning) in todo {
        // Looked at anew: the change before this one changed the disk.
        let (file, esx) = look_esx(path, instead)?;
        match clean_one(ctx, args, &file, &esx, (letter, cleaning)) {
            Ok(change) => changes.push(change),
            // The other bank may still be cleaned.
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    if refused.is_none() || !changes.is_empty() {
        show_changes(ctx, path, &changes)?;
    }
    refused.map_or(Ok(()), Err)
}

fn is_wanted(report: &CheckReport, letter: char, cleaning: Cleaning) -> bool {
    match cleaning {
        Cleaning::Foreign => !foreign_of(report, letter).tops.is_empty(),
        Cleaning::Dirty => report
            .findings
            .iter()
            .any(|finding| finding.bank == Some(letter) && finding.code.starts_with("fat-dirty")),
    }
}

fn clean_one(
    ctx: &Ctx,
    args: &CleanArgs,
    file: &BlockFile,
    esx: &EsxDisk,
    (letter, cleaning): (char, Cleaning),
) -> Result<Changed, CliError> {
    let path = &args.disk;
    let fail = |cause| change_error(path, cause);
    let job = |verb, plan| Job::new(path, &args.change, (letter, verb), plan);
    match cleaning {
        Cleaning::Foreign => {
            let foreign = foreign_of(&examine(file, esx, Depth::Structure), letter);
            let plan = plan_clean(file, esx, letter, &foreign.tops).map_err(fail)?;
            Job { removed: foreign.files, keep: args.keep.clone(), ..job("clean", plan) }.run(ctx)
        }
        Cleaning::Dirty => job("clear-dirty", plan_clear_dirty(file, esx, letter).map_err(fail)?).run(ctx),
    }
}

pub(in crate::commands::bank) fn rebuild(
    ctx: &Ctx,
    args: &RebuildArgs,
    file: &BlockFile,
    esx: &EsxDisk,
) -> Result<(), CliError> {
    let path = &args.disk;
    let bank = named(esx, &args.bank)?;
    if let Some(unfinished) = super::undo::unfinished_rebuild(ctx, file, bank)? {
        if ctx.dry_run {
            return ctx.out.text(&format!(
                "a rebuild of bank {} was cut; it would be taken back first ({}), and then done anew\n",
                bank.letter,
                unfinished.display()
            ));
        }
        ctx.out.say(&format!("a rebuild of bank {} was cut: it is taken back first", bank.letter));
        super::undo::take_back(path, &unfinished, args.change.force)?;
        let (file, esx) = look_esx(path, "")?;
        return rebuild_now(ctx, args, &file, &esx);
    }
    rebuild_now(ctx, args, file, esx)
}

fn rebuild_now(ctx: &Ctx, args: &RebuildArgs, file: &BlockFile, esx: &EsxDisk) -> Result<(), CliError> {
    let path = &args.disk;
    let (bank, from) = (named(esx, &args.bank)?, named(esx, &args.from)?);
    let state = match &args.state_of {
        None => KeepState::Own,
        Some(name) => {
            let of = named(esx, name)?;
            if of.letter == from.letter { KeepState::Source } else { KeepState::Own }
        }
    };
    let request = RebuildRequest {
        bank: bank.letter,
        from: from.letter,
        fallback: if args.fall_back { Fallback::Usable } else { Fallback::AfterNextUpdate },
        state,
        uuid: random()?,
        serial: u32::from_le_bytes(random()?),
    };
    let plan = plan_rebuild(file, esx, &request).map_err(|cause| change_error(path, cause))?;
    Job::new(path, &args.change, (bank.letter, "rebuild"), plan).run_alone(ctx)
}

pub(in crate::commands::bank) fn set_next(ctx: &Ctx, args: &SetNextArgs) -> Result<(), CliError> {
    let path = &args.disk;
    let (file, esx) = look_esx(path, "use: lifeboat bank activate DISK --bank BANK")?;
    let bank = named(&esx, &args.bank)?;
    let report = examine(&file, &esx, Depth::Content);
    let request = NextRequest {
        bank: bank.letter,
        by: if args.other_invalid { NextBy::OtherInvalid } else { NextBy::Counter },
        state: if args.trial { NextState::Trial } else { NextState::Valid },
        content: content_of(&report, &esx, bank.letter),
        force: args.even_damaged,
    };
    let plan = plan_set_next(&file, &esx, &request).map_err(|cause| change_error(path, cause))?;
    Job::new(path, &args.change, (bank.letter, "set-next"), plan).run_alone(ctx)
}

pub(in crate::commands::bank) fn import(ctx: &Ctx, args: &ImportArgs) -> Result<(), CliError> {
    let path = &args.disk;
    let (file, esx) = look_esx(path, "the saved state of a Lifeboat host travels with its banks")?;
    let bank = named(&esx, &args.bank)?;
    let state = read_bytes(&args.file, "the saved state", STATE_LIMIT)?;
    let plan = plan_import(&file, &esx, bank.letter, &state).map_err(|cause| change_error(path, cause))?;
    Job::new(path, &args.change, (bank.letter, "import"), plan).run_alone(ctx)
}
