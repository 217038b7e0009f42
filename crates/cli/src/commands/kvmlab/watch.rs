//! `lifeboat kvmlab watch`

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use lifeboat_kvmlab::{GuestReport, KvmLab};
use serde::Serialize;

use super::errors::kvmlab_error;
use super::open;
use crate::args::KvmLabName;
use crate::error::{CliError, Kind};
use crate::output::{Cell, Format, Paint, Table};
use crate::run::Ctx;

/// A guest at the end of a watch.
#[derive(Serialize)]
struct Watched {
    guest: String,
    hosts: Vec<String>,
    counter: Option<u32>,
    counts: u64,
    restarts: u32,
    lost: u64,
    repeated: u64,
    disk_behind: Option<u32>,
    max_gap_ms: Option<u64>,
    silent_ms: u64,
    whole: bool,
    words: String,
}

/// How often people get a new look.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn run(
    ctx: &Ctx,
    lab: &KvmLabName,
    guests: &[String],
    seconds: Option<u64>,
) -> Result<(), CliError> {
    let there = open(ctx, lab)?;
    let watch = there.watch(guests).map_err(|cause| kvmlab_error(lab, cause))?;
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let live = matches!(ctx.out.format, Format::Table) && (end.is_none() || std::io::stderr().is_terminal());
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            break;
        }
        std::thread::sleep(left.unwrap_or(LOOK).min(LOOK));
        if live {
            ctx.out.say(&ctx.out.render(&table(&look(&there, &watch.report()))));
        }
    }
    let lines = look(&there, &watch.report());
    let broken: Vec<&str> = lines.iter().filter(|line| !line.whole).map(|line| line.guest.as_str()).collect();
    ctx.out.list(
        "kvmlab-guest-life",
        &lines,
        |line| line.guest.clone(),
        || ctx.out.render(&table(&lines)),
    )?;
    if broken.is_empty() {
        return Ok(());
    }
    let what = format!("not whole: {}", broken.join(", "));
    Err(CliError::new(Kind::Failed, what).remedy("see the table: restarts, lost and repeated counts").told())
}

fn look(there: &KvmLab, reports: &[GuestReport]) -> Vec<Watched> {
    let one = |report: &GuestReport| {
        // With the disk, if it can be read; else what the serial line says.
        let life = there.guest_life(&report.guest).unwrap_or_else(|_| report.life.clone());
        Watched {
            guest: report.guest.clone(),
            hosts: there.where_runs(&report.guest).unwrap_or_default(),
            counter: life.counter,
            counts: report.counts,
            restarts: life.lives.saturating_sub(1),
            lost: life.lost,
            repeated: life.repeated,
            disk_behind: life.disk_behind,
            max_gap_ms: report.max_gap_ms,
            silent_ms: report.silent_ms,
            whole: life.is_whole(),
            words: life.words(),
        }
    };
    reports.iter().map(one).collect()
}

fn table(lines: &[Watched]) -> Table {
    let mut table = Table::new()
        .column("GUEST")
        .column("HOST")
        .number("COUNTER")
        .number("RESTARTS")
        .number("LOST")
        .number("MAX GAP")
        .column("LIFE");
    for line in lines {
        let dash = || "-".to_owned();
        table.row([
            Cell::from(line.guest.clone()),
            Cell::from(if line.hosts.is_empty() { dash() } else { line.hosts.join(" and ") }),
            Cell::from(line.counter.map_or_else(dash, |counter| counter.to_string())),
            Cell::from(line.restarts.to_string()),
            Cell::from(line.lost.to_string()),
            Cell::from(line.max_gap_ms.map_or_else(dash, |gap| format!("{gap} ms"))),
            match (line.whole, line.hosts.is_empty()) {
                (false, _) => Cell::painted("broken", Paint::Bad),
                (true, true) => Cell::painted("ended", Paint::Warn),
                (true, false) => Cell::painted("whole", Paint::Good),
            },
        ]);
    }
    table
}
