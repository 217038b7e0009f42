//! `lifeboat roll watch|status|list`

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_executor::Snapshot;
use lifeboat_model::RollId;
use lifeboat_roll::Journal;
use lifeboat_store::{RollRow, RollState, Store};
use serde::Serialize;

use super::drive::board_path;
use super::{find, open_store, store_error};
use crate::args::RollRef;
use crate::drivers;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Out, Paint, Table, with_schema};
use crate::run::Ctx;
use crate::view::{Board, EventLine, LiveView, Style, Timeline, render, tell};

/// Time between two looks at the journal.
const LOOK: Duration = Duration::from_millis(250);

pub(super) fn watch(ctx: &Ctx, roll: &RollRef) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let mut row = find(&store, roll)?;
    let style = Style::fitting(&ctx.out);
    let mut view = LiveView::new(style, &ctx.out, ctx.verbose, None);
    let mut seen = 0;
    let mut begun = None;
    loop {
        let news = store.events(&row, seen).map_err(store_error)?;
        for link in &news {
            seen = link.event.seq;
            let begun = *begun.get_or_insert(link.event.at);
            match style {
                Style::Jsonl => ctx.out.text(&with_schema("event", &EventLine::of(&link.event), false)?)?,
                Style::Lines => {
                    if let Some(line) = tell(&link.event, ctx.verbose > 0) {
                        ctx.out.text(&format!("{:>7}  {line}\n", link.event.at.since(begun).to_string()))?;
                    }
                }
                Style::Board => {}
            }
        }
        // The plan does not change, and may be large.
        row.state = store.state(&row.id).map_err(store_error)?.0;
        let held = store.holder(&row.pool).is_some();
        if style == Style::Board
            && let Some(board) = published(ctx, &row)
        {
            view.put(&board);
        }
        if row.state != RollState::Active && news.is_empty() {
            return Ok(());
        }
        if !held && news.is_empty() {
            return Err(CliError::new(
                Kind::PartlyDone,
                format!("no controller is at work on roll {}", row.id),
            )
            .remedy("take it up: lifeboat roll resume"));
        }
        std::thread::sleep(LOOK);
    }
}

pub(super) fn status(ctx: &Ctx, roll: &RollRef) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let row = find(&store, roll)?;
    let board = board(ctx, &store, &row)?;
    ctx.out.object("roll", &board, &board.roll, || {
        let mut text = render(&board, Out::width(), None, ctx.out.colour);
        match store.holder(&row.pool) {
            Some(holder) => text.push_str(&format!("\ncontroller {} since {}\n", holder.name, holder.since)),
            None if row.state == RollState::Active => {
                text.push_str("\nno controller is at work; take it up: lifeboat roll resume\n");
            }
            None => {}
        }
        text
    })
}

/// The board of a roll: from its controller if there is one, else from the journal and the pool itself.
pub(crate) fn board(ctx: &Ctx, store: &Store, row: &RollRow) -> Result<Board, CliError> {
    if store.holder(&row.pool).is_some()
        && let Some(board) = published(ctx, row)
    {
        return Ok(board);
    }
    let (journal, timeline) = read(store, row)?;
    let (pool, dir) = ctx.state.pool(row.pool.as_str())?;
    let mut driver = drivers::look(&pool, &dir, None)?;
    let world = driver.observe().map_err(|cause| drivers::driver_error(&pool, cause))?;
    let now = if row.state == RollState::Active { driver.now() } else { journal.last_at() };
    let progress = BTreeMap::new();
    let snapshot = Snapshot { roll: &row.id, journal: &journal, world: &world, progress: &progress, now };
    Ok(Board::of(snapshot, &timeline))
}

/// The state of a roll, and its times, from its events.
pub(super) fn read(store: &Store, row: &RollRow) -> Result<(Journal, Timeline), CliError> {
    let mut journal = Journal::new(Arc::clone(&row.plan), row.plan_hash);
    let mut timeline = Timeline::default();
    for link in store.events(row, 0).map_err(store_error)? {
        journal.apply(&link.event).map_err(|cause| {
            let what = format!("roll {} cannot be read from its journal", row.id);
            CliError::new(Kind::Verification, what).because(cause)
        })?;
        timeline.note(&link.event);
    }
    Ok((journal, timeline))
}

/// Features that are off, and guests that are down, because of this roll, in words.
pub(crate) fn suspended(store: &Store, row: &RollRow) -> Result<Vec<String>, CliError> {
    let (journal, _) = read(store, row)?;
    let off = journal.suspensions().iter().filter(|suspension| !suspension.restored);
    let word = |s: &lifeboat_roll::Suspension| {
        let what = match &s.before_touch {
            Some(before) if !journal.is_suspended(s) => {
                format!(
                    "{}, but somebody has switched it on: it is {} (before that {before})",
                    s.feature, s.original
                )
            }
            Some(before) => format!("{} (somebody had set {}; before that {before})", s.feature, s.original),
            None => format!("{} (was {})", s.feature, s.original),
        };
        format!("{what} since {}, by {}", clock(s.since.0), row.id)
    };
    let guests = journal.stopped_guests().map(|(host, guest, since)| {
        format!("guest {guest}, shut down on {host} since {}, by {}", clock(since.0), row.id)
    });
    Ok(off.map(word).chain(guests).collect())
}

/// What a roll left switched off or shut down.
pub(crate) enum LeftOff {
    /// As its journal tells.
    Told(Vec<String>),
    /// Its journal was lost; as was salvaged from it.
    Recovered(Vec<String>),
    /// Its journal cannot be read, and nothing was salvaged yet.
    Damaged,
}

/// What a roll left switched off or shut down, also when its journal cannot be read any more.
pub(crate) fn left_off(store: &Store, id: &RollId) -> LeftOff {
    if let Ok(left) = super::salvaged::adoptable(store, id) {
        let told = |(kind, value, _): (lifeboat_model::FeatureKind, String, RollId)| {
            format!("{kind} (was {value}), by {id}, whose journal was lost")
        };
        let mut list: Vec<String> = left.into_iter().map(told).collect();
        let open = super::salvaged::unsettled(store, id).into_iter();
        list.extend(open.map(|kind| {
            format!("{kind}, by {id}, whose journal was lost; its value before is not proved: lifeboat roll recover {id}")
        }));
        return LeftOff::Recovered(list);
    }
    let read = store.roll(id).map_err(store_error).and_then(|row| suspended(store, &row));
    read.map_or(LeftOff::Damaged, LeftOff::Told)
}

fn published(ctx: &Ctx, row: &RollRow) -> Option<Board> {
    let bytes = std::fs::read(board_path(ctx, &row.id)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[derive(Serialize)]
struct RollLine {
    roll: String,
    pool: String,
    target: String,
    state: &'static str,
    created: String,
    plan: String,
    controller: Option<String>,
}

pub(super) fn list(ctx: &Ctx) -> Result<(), CliError> {
    let store = open_store(ctx)?;
    let rolls = store.rolls().map_err(store_error)?;
    let lines: Vec<RollLine> = rolls
        .iter()
        .map(|row| RollLine {
            roll: row.id.to_string(),
            pool: row.pool.to_string(),
            target: format!("{} {}", row.plan.target.name, row.plan.target.version),
            state: row.state.word(),
            created: clock(row.created.0),
            plan: row.plan_hash.short(),
            controller: store
                .holder(&row.pool)
                .filter(|_| row.state == RollState::Active)
                .map(|holder| holder.name),
        })
        .collect();
    ctx.out.list(
        "roll-row",
        &lines,
        |line| line.roll.clone(),
        || {
            let titles = ["ROLL", "POOL", "TARGET", "STATE", "CREATED", "PLAN"];
            let mut table = titles.into_iter().fold(Table::new(), Table::column).flexible("CONTROLLER");
            for line in &lines {
                let controller = line.controller.as_deref().unwrap_or("none");
                let paint = if line.state == "ended" { Paint::Dim } else { Paint::Warn };
                table.row([
                    Cell::from(line.roll.clone()),
                    Cell::from(line.pool.clone()),
                    Cell::from(line.target.clone()),
                    Cell::painted(line.state, paint),
                    Cell::from(line.created.clone()),
                    Cell::from(line.plan.clone()),
                    Cell::from(controller),
                ]);
            }
            table.render(Out::width(), ctx.out.colour)
        },
    )
}

pub(super) fn clock(millis: u64) -> String {
    let time = i64::try_from(millis).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    time.map_or_else(|| millis.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
