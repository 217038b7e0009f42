//! `lifeboat check fixes|undo`

use lifeboat_model::{PoolName, Timestamp};
use lifeboat_store::{Remedy, RemedyState, Store};
use serde::Serialize;

use super::look::store_if_there;
use super::mend::Mender;
use crate::commands::ask;
use crate::commands::roll::store_error;
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Paint, Table};
use crate::run::Ctx;

#[derive(Serialize)]
struct Line {
    id: u64,
    state: &'static str,
    code: String,
    subject: String,
    what: String,
    fix: lifeboat_model::Fix,
    reason: Option<String>,
    who: String,
    ordered: String,
    changed: String,
    roll: Option<String>,
    /// What happens to it: `ends-with-roll`, `undo`, `cannot-be-undone`, `over`.
    undo: &'static str,
}

impl Line {
    fn of(remedy: &Remedy) -> Self {
        let undo = match (remedy.state.may_stand(), remedy.fix.ends_with_roll(), remedy.fix.can_be_undone()) {
            (false, _, _) => "over",
            (true, true, _) => "ends-with-roll",
            (true, false, true) => "undo",
            (true, false, false) => "cannot-be-undone",
        };
        Self {
            id: remedy.id,
            state: remedy.state.word(),
            code: remedy.code.clone(),
            subject: remedy.subject.clone(),
            what: remedy.fix.to_string(),
            fix: remedy.fix.clone(),
            reason: remedy.reason.clone(),
            who: remedy.who.clone(),
            ordered: time(remedy.ordered),
            changed: time(remedy.changed),
            roll: remedy.roll.as_ref().map(ToString::to_string),
            undo,
        }
    }
}

fn time(at: Timestamp) -> String {
    let millis = i64::try_from(at.0).ok();
    let time = millis.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(
        || format!("{} ms after 1970", at.0),
        |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// Remedies of a pool whose controller died in the middle.
pub(super) fn open(ctx: &Ctx, pool: &PoolName) -> Result<Vec<Remedy>, CliError> {
    let Some(store) = store_if_there(ctx)? else { return Ok(Vec::new()) };
    let all = store.remedies(pool).map_err(store_error)?;
    Ok(all.into_iter().filter(|remedy| remedy.state.is_open()).collect())
}

/// What stands in a pool because of remedies and waits to be taken back, a line for each.
pub(crate) fn standing(store: &Store, pool: &PoolName) -> Result<Vec<String>, CliError> {
    let all = store.remedies(pool).map_err(store_error)?;
    let waits =
        |remedy: &&Remedy| remedy.state.is_open() || (remedy.state.may_stand() && remedy.fix.can_be_undone());
    let line = |remedy: &Remedy| {
        let (fix, id) = (&remedy.fix, remedy.id);
        let how = match remedy.state {
            RemedyState::Intent | RemedyState::UndoIntent => {
                format!(
                    "interrupted; take it up: lifeboat check run {pool} --fix, or lifeboat check undo {pool} {id}"
                )
            }
            RemedyState::UndoFailed => {
                let reason = remedy.reason.as_deref().unwrap_or("unknown");
                format!("could not be taken back: {reason}; again: lifeboat check undo {pool} {id}")
            }
            _ if fix.ends_with_roll() => "taken back when the roll has ended".to_owned(),
            _ => format!("to take it back: lifeboat check undo {pool} {id}"),
        };
        format!("{fix} (by {} at {}): {how}", remedy.who, time(remedy.ordered))
    };
    Ok(all.iter().filter(waits).map(line).collect())
}

pub(super) fn list(ctx: &Ctx, pool: &str) -> Result<(), CliError> {
    let (pool, _) = ctx.state.pool(pool)?;
    let remedies = match store_if_there(ctx)? {
        Some(store) => store.remedies(&pool.name).map_err(store_error)?,
        None => Vec::new(),
    };
    let lines: Vec<Line> = remedies.iter().map(Line::of).collect();
    ctx.out.list("check-fix", &lines, |line| line.id.to_string(), || people(ctx, &pool.name, &lines))
}

fn people(ctx: &Ctx, pool: &PoolName, lines: &[Line]) -> String {
    let over = lines.iter().filter(|line| line.undo == "over" && line.state != "failed").count();
    let shown: Vec<&Line> = lines
        .iter()
        .filter(|line| ctx.verbose > 0 || line.undo != "over" || line.state == "failed")
        .collect();
    let more =
        if over > 0 && ctx.verbose == 0 { format!("{over} that are over: add -v\n") } else { String::new() };
    if shown.is_empty() {
        return format!("no remedy stands in pool {pool}\n{more}");
    }
    let mut table = Table::new()
        .number("FIX")
        .column("STATE")
        .flexible("WHAT")
        .flexible("FOUND")
        .flexible("BY")
        .flexible("NEXT");
    for line in shown {
        let paint = match line.state {
            "intent" | "undo-intent" | "undo-failed" => Paint::Warn,
            "failed" => Paint::Bad,
            "done" => Paint::Good,
            _ => Paint::Dim,
        };
        let next = match (line.undo, line.state) {
            (_, "intent" | "undo-intent") => format!("interrupted; take it up: check run {pool} --fix"),
            (_, "failed") => line.reason.clone().unwrap_or_default(),
            (_, "undo-failed") => {
                format!(
                    "{}; again: check undo {pool} {}",
                    line.reason.as_deref().unwrap_or("unknown"),
                    line.id
                )
            }
            ("ends-with-roll", _) => "taken back when the roll has ended".to_owned(),
            ("undo", _) => format!("check undo {pool} {}", line.id),
            ("cannot-be-undone", _) => "cannot be taken back".to_owned(),
            _ => "-".to_owned(),
        };
        table.row([
            Cell::from(line.id.to_string()),
            Cell::painted(line.state, paint),
            Cell::from(line.what.clone()),
            Cell::from(line.code.clone()),
            Cell::from(format!("{}, {}", line.who, line.ordered)),
            Cell::from(next),
        ]);
    }
    ctx.out.wrap(&table) + &more
}

pub(super) fn undo(ctx: &Ctx, pool: &str, id: Option<u64>, all: bool) -> Result<(), CliError> {
    let (pool, dir) = ctx.state.pool(pool)?;
    let store = store_if_there(ctx)?;
    let remedies = match &store {
        Some(store) => store.remedies(&pool.name).map_err(store_error)?,
        None => Vec::new(),
    };
    drop(store);
    let chosen = choose(&pool.name, &remedies, id, all)?;
    if chosen.is_empty() {
        ctx.out.say(&format!("no remedy stands in pool {}", pool.name));
        return ctx.out.list(
            "check-mended",
            &Vec::<super::mend::Mended>::new(),
            |_| String::new(),
            String::new,
        );
    }
    let plan: Vec<String> = chosen.iter().map(|remedy| format!("{}: {}", remedy.id, remedy.fix)).collect();
    if ctx.dry_run {
        return ctx.out.text(&format!("would take back in pool {}:\n  {}\n", pool.name, plan.join("\n  ")));
    }
    ask(ctx, &format!("This is taken back in pool {}:\n  {}", pool.name, plan.join("\n  ")))?;
    let mut driver = drivers::open(&pool, &dir, None)?;
    let mut mender = Mender::take(ctx, driver.as_mut(), &pool)?;
    // The newest first: an older one may be below it.
    let done = chosen.iter().rev().map(|remedy| mender.unmend(remedy)).collect::<Result<Vec<_>, _>>()?;
    drop(mender);
    let lines = || done.iter().map(|mended| mended.line() + "\n").collect();
    ctx.out.list("check-mended", &done, |mended| mended.id.unwrap_or(0).to_string(), lines)?;
    let failed: Vec<String> =
        done.iter().filter(|mended| mended.failed()).map(super::mend::Mended::line).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::new(
        Kind::NeedsPerson,
        format!("not everything could be taken back: {}", failed.join("; ")),
    )
    .remedy(format!("mend it, then: lifeboat check undo {} --all", pool.name))
    .told())
}

/// The remedies that are meant.
fn choose<'r>(
    pool: &PoolName,
    remedies: &'r [Remedy],
    id: Option<u64>,
    all: bool,
) -> Result<Vec<&'r Remedy>, CliError> {
    let list = format!("see: lifeboat check fixes {pool} -v");
    let can = |remedy: &&Remedy| remedy.state.may_stand() && remedy.fix.can_be_undone();
    let Some(id) = id else {
        let standing: Vec<&Remedy> = remedies.iter().filter(can).collect();
        if standing.len() > 1 && !all {
            let names: Vec<String> = standing.iter().map(|remedy| remedy.id.to_string()).collect();
            let what =
                format!("{} remedies stand in pool {pool}: {}", names.len(), crate::state::shorten(&names));
            return Err(CliError::new(Kind::NotFound, what).remedy("name one, or give --all"));
        }
        return Ok(standing);
    };
    let Some(remedy) = remedies.iter().find(|remedy| remedy.id == id) else {
        return Err(CliError::new(Kind::NotFound, format!("pool {pool} has no remedy {id}")).remedy(list));
    };
    let refuse = |why: &str| {
        Err(CliError::new(Kind::Conflict, format!("remedy {id} ({}) {why}", remedy.fix)).remedy(list.clone()))
    };
    if !remedy.fix.can_be_undone() {
        return refuse("cannot be taken back");
    }
    if !remedy.state.may_stand() {
        return refuse(match remedy.state {
            RemedyState::Undone => "was taken back already",
            _ => "does not stand any more",
        });
    }
    Ok(vec![remedy])
}
