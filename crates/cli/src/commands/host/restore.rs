//! `lifeboat host restore`

use std::path::Path;

use lifeboat_hoststate::restore::{
    Action, Blocker, Decision, NicChoice, Plan, Report, RestoreError, RestoreOptions, Step, carry_out,
    next_steps, plan_restore, resume, standing, undo,
};
use lifeboat_hoststate::{Backup, Section};
use serde::Serialize;

use super::backup::{Place, backup_error, form_error, made_now, open, root_error};
use crate::args::{DeviceWord, HostRestoreArgs, NicWord};
use crate::commands::ask;
use crate::error::{CliError, Kind};
use crate::output::{ProgressLine, Table};
use crate::random::random;
use crate::run::Ctx;

#[derive(Serialize)]
struct Done<'a> {
    backup: Option<&'a Path>,
    host: Option<&'a str>,
    dry_run: bool,
    sections: &'a [Section],
    decisions: &'a [Decision],
    devices: &'a [lifeboat_hoststate::devices::DeviceChoice],
    nics: &'a [lifeboat_hoststate::facts::NicMove],
    blockers: &'a [Blocker],
    notes: &'a [String],
    report: Option<&'a Report>,
    next_steps: Vec<String>,
}

pub(super) fn restore(ctx: &Ctx, args: &HostRestoreArgs) -> Result<(), CliError> {
    let place = Place::open(ctx, &args.place)?;
    match &args.file {
        Some(file) => forward(ctx, args, &place, &open(file)?),
        None => again(ctx, args, &place),
    }
}

fn forward(ctx: &Ctx, args: &HostRestoreArgs, place: &Place, backup: &Backup) -> Result<(), CliError> {
    if let Some(state) = standing(&place.root).map_err(restore_error)?
        && state.ended.is_none()
    {
        return Err(restore_error(RestoreError::Unfinished { time: state.begun.made.time }));
    }
    let options = RestoreOptions {
        only: (!args.only.is_empty()).then(|| args.only.clone()),
        keep: args.keep.clone(),
        accept_version: args.accept_version.clone(),
        as_other_host: args.as_other_host,
        nics: match args.nics {
            None => NicChoice::Ask,
            Some(NicWord::Pin) => NicChoice::Pin,
            Some(NicWord::AsIs) => NicChoice::AsIs,
        },
        devices_as_is: matches!(args.devices, Some(DeviceWord::AsIs)),
        device_nodes: args.device_nodes,
    };
    let request = place.request();
    let plan = plan_restore(&place.root, backup, &request, &options).map_err(restore_error)?;
    if !plan.blockers.is_empty() {
        report(ctx, backup, &plan, None, true)?;
        let error = restore_error(RestoreError::Blocked(plan.blockers.clone()));
        return Err(if ctx.out.format.is_json() { error.told() } else { error });
    }
    if ctx.dry_run || plan.writes() == 0 {
        return report(ctx, backup, &plan, None, ctx.dry_run);
    }
    let host = backup.index().host.hostname.as_deref().unwrap_or("a host without a name");
    ask(
        ctx,
        &format!(
            "{}write {} paths of {host} ({}, {}) to {}?",
            preview(&plan),
            plan.writes(),
            backup.index().product,
            backup.index().made.time,
            place.root.path().display()
        ),
    )?;
    let id = format!("{:016x}", u64::from_le_bytes(random::<8>()?));
    let mut line = ProgressLine::bytes("restoring", 0);
    let mut watch = |step: Step<'_>| tell(&mut line, step);
    let done = carry_out(&place.root, backup, &plan, &id, &made_now(), &mut watch);
    line.finish();
    let done = done.map_err(restore_error)?;
    report(ctx, backup, &plan, Some(&done), false)
}

fn tell(line: &mut ProgressLine, step: Step<'_>) {
    let path = step.path.map(ToString::to_string).unwrap_or_default();
    line.step(format!("{} {path}", step.doing), 0);
}

fn preview(plan: &Plan) -> String {
    const SHOWN: usize = 20;
    let written: Vec<&Decision> = plan.decisions.iter().filter(|decision| decision.action.writes()).collect();
    let mut text = String::new();
    for decision in written.iter().take(SHOWN) {
        text.push_str(&format!("{} {}\n", decision.action.word(), decision.path));
    }
    if written.len() > SHOWN {
        text.push_str(&format!("and {} more (--dry-run lists all)\n", written.len() - SHOWN));
    }
    text
}

fn again(ctx: &Ctx, args: &HostRestoreArgs, place: &Place) -> Result<(), CliError> {
    let state = standing(&place.root).map_err(restore_error)?;
    let what = if args.undo { "take back" } else { "finish" };
    if let Some(state) = &state {
        let what =
            format!("{what} the restore of {} that began at {}", state.begun.backup, state.begun.made.time);
        if ctx.dry_run {
            ctx.out.say(&format!("would {what}"));
            return Ok(());
        }
        ask(ctx, &format!("{what}?"))?;
    }
    let mut line = ProgressLine::bytes("restoring", 0);
    let mut watch = |step: Step<'_>| tell(&mut line, step);
    let go = if args.undo { undo } else { resume };
    let done = go(&place.root, args.overwrite_changed, &mut watch);
    line.finish();
    let done = done.map_err(restore_error)?;
    ctx.out.object("host-restored", &done, &done.id, || words(&done))
}

fn words(done: &Report) -> String {
    let how = match done.ended {
        lifeboat_hoststate::restore::Ended::Restored => "the state of the backup is there",
        lifeboat_hoststate::restore::Ended::Undone => "the state before the restore is there again",
    };
    let mut text = format!("{how}: {} paths written, {} taken away\n", done.written, done.removed);
    for path in &done.stayed {
        text.push_str(&format!("  {path} stays: somebody put something into it\n"));
    }
    text
}

fn report(
    ctx: &Ctx,
    backup: &Backup,
    plan: &Plan,
    done: Option<&Report>,
    dry_run: bool,
) -> Result<(), CliError> {
    let steps = if done.is_some() || dry_run { next_steps(plan) } else { Vec::new() };
    let value = Done {
        backup: Some(backup.path()),
        host: backup.index().host.hostname.as_deref(),
        dry_run,
        sections: &plan.sections,
        decisions: &plan.decisions,
        devices: &plan.devices,
        nics: &plan.nics,
        blockers: &plan.blockers,
        notes: &plan.notes,
        report: done,
        next_steps: steps,
    };
    let name = done.map_or_else(|| "-".to_owned(), |done| done.id.clone());
    ctx.out.object("host-restore", &value, &name, || people(ctx, &value))
}

fn people(ctx: &Ctx, value: &Done<'_>) -> String {
    let mut text = String::new();
    if value.decisions.is_empty() && value.blockers.is_empty() {
        text.push_str("the host has the state of the backup already\n");
    }
    if !value.decisions.is_empty() {
        let mut table = Table::new().column("ACTION").column("SECTION").column("PATH").flexible("WHY");
        for decision in value.decisions {
            table.row([
                decision.action.word().to_owned(),
                decision.section.to_string(),
                decision.path.to_string(),
                why(decision),
            ]);
        }
        text.push_str(&ctx.out.render(&table));
    }
    for choice in value.devices {
        if let lifeboat_hoststate::devices::Outcome::Renamed { to, why } = &choice.outcome {
            text.push_str(&format!("device in {}: {} is {to} here ({why})\n", choice.file, choice.name));
        }
    }
    for note in value.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for blocker in value.blockers {
        text.push_str(&format!(
            "in the way ({}): {}\n  remedy: {}\n",
            blocker.code, blocker.what, blocker.remedy
        ));
    }
    if let Some(done) = value.report {
        text.push_str(&words(done));
        text.push_str(&format!(
            "  to take it back: lifeboat host restore --undo ({})\n",
            done.undo_file.display()
        ));
    }
    if value.report.is_some() && !value.next_steps.is_empty() {
        text.push_str("what reads these files has to read them again:\n");
        for step in &value.next_steps {
            text.push_str(&format!("  {step}\n"));
        }
    }
    text
}

fn why(decision: &Decision) -> String {
    if let Some(note) = &decision.note {
        return note.clone();
    }
    let since = if decision.changed_since { ", changed on the host since the backup" } else { "" };
    match decision.action {
        Action::Create => "missing on the host".to_owned(),
        Action::OnlyOnHost => format!("only on the host{since}; it stays"),
        Action::Replace | Action::SetMetadata | Action::Keep => {
            format!("{} differs{since}", decision.differs.join(", "))
        }
    }
}

fn restore_error(error: RestoreError) -> CliError {
    const FINISH: &str =
        "finish it: lifeboat host restore --resume; or take it back: lifeboat host restore --undo";
    let (kind, remedy) = match error {
        RestoreError::Root(error) => return root_error(error),
        RestoreError::Form(error) => return form_error(error),
        RestoreError::Present(error) => return backup_error(error, Path::new("the present state")),
        RestoreError::Blocked(ref blockers) => {
            let first = blockers.first().map(|blocker| format!("{}: {}", blocker.code, blocker.remedy));
            return CliError::new(Kind::Blockers, error.to_string())
                .remedy(first.unwrap_or_else(|| "mend what is named above".to_owned()));
        }
        RestoreError::Unfinished { .. } => (Kind::Conflict, FINISH),
        RestoreError::NothingToResume { .. } | RestoreError::NothingToUndo { .. } => {
            (Kind::NotFound, "nothing has to be done; give --root if it was another root")
        }
        RestoreError::Locked { .. } => (Kind::Conflict, "wait until it is done"),
        RestoreError::Changed(_) => (
            Kind::Conflict,
            "look at the changes; to lose them: run it again (with --resume, --undo: --overwrite-changed)",
        ),
        RestoreError::OtherFile { .. } | RestoreError::Journal { .. } => (
            Kind::Verification,
            "put the files of /var/lib/lifeboat/host-restore back as they were; the undo file is a backup too",
        ),
        RestoreError::Stopped { .. } => (Kind::PartlyDone, FINISH),
    };
    CliError::new(kind, error.to_string()).because(error).remedy(remedy)
}
