//! The figures as a page.
//!
//! Owns: the words of `docs/bench-images.md`. Promises: what was skipped stands there with its reason, and the load of
//! the machine. Does not: leave a way out because it is faster than ours.

use std::fmt::Write as _;

use super::ways::Kind;
use super::{Figures, Measured, of_kind};
use crate::report::float;

/// The page, with what does not change from run to run.
pub(super) fn whole(figures: &str) -> String {
    format!("{HEAD}\n{figures}\n{TAIL}")
}

const HEAD: &str = include_str!("page-head.txt");
const TAIL: &str = include_str!("page-tail.txt");

pub(super) fn markdown(measured: &Measured) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let Measured { load: (before, after), rounds, inputs, .. } = measured;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(out, "Input: {inputs}.\n")?;
    writeln!(
        out,
        "Medians of {rounds} rounds in changing order, {processors} processors, targets {}; load average {before} before, {after} after.\n",
        if measured.disk { "on the disk, flushed" } else { "in memory" }
    )?;
    table(&mut out, measured, Kind::Full, "Full install of v2")?;
    table(&mut out, measured, Kind::Delta, "From v1 to v2")?;
    let skipped: Vec<_> =
        measured.rows.iter().filter_map(|row| Some((row.way.name, row.outcome.as_ref().err()?))).collect();
    for (name, why) in skipped {
        writeln!(out, "Skipped: {name}: {why}.\n")?;
    }
    checks(&mut out, measured)?;
    Ok(out)
}

fn table(out: &mut String, measured: &Measured, kind: Kind, title: &str) -> std::fmt::Result {
    let rows = of_kind(measured, kind);
    // The faster one of ours; without any there are no ratios.
    let ours = rows.iter().find(|(way, _)| way.ours).map(|(_, figures)| *figures);
    let (wall, bytes) = (ours.map_or(f64::NAN, Figures::wall), ours.and_then(|ours| ours.bytes));
    writeln!(out, "## {title}\n")?;
    writeln!(
        out,
        "| way | wall s (least–most) | ÷ ours | CPU s | peak RSS MiB | to fetch MB | ÷ ours | |\n|---|---|---|---|---|---|---|---|"
    )?;
    for (way, figures) in &rows {
        let (least, most) = figures.spread();
        let name = if way.ours { format!("**{}**", way.name) } else { way.name.to_owned() };
        writeln!(
            out,
            "| {name} | {:.2} ({least:.2}–{most:.2}) | {:.2} | {:.2} | {:.0} | {} | {} | {} |",
            figures.wall(),
            figures.wall() / wall,
            figures.cpu(),
            figures.rss(),
            megabytes(figures),
            ratio(figures.bytes, bytes),
            way.note
        )?;
    }
    writeln!(out)
}

fn megabytes(figures: &Figures) -> String {
    figures.bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.1}", in_mb(bytes)))
}

fn ratio(bytes: Option<u64>, ours: Option<u64>) -> String {
    bytes
        .zip(ours)
        .map_or_else(|| "–".to_owned(), |(bytes, ours)| format!("{:.2}", in_mb(bytes) / in_mb(ours)))
}

/// Millions of bytes.
pub(super) fn in_mb(bytes: u64) -> f64 {
    float(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6
}

fn checks(out: &mut String, measured: &Measured) -> std::fmt::Result {
    let checks = &measured.checks;
    if let Some(why) = &checks.why_not {
        return writeln!(out, "Skipped: a look at a 500 MB bank: {why}.\n");
    }
    let Some(ours) = checks.median(0) else { return Ok(()) };
    writeln!(out, "## A look at a 500 MB bank of ESXi (FAT16, 131 files)\n")?;
    writeln!(
        out,
        "| program | median ms of {} | ÷ ours |\n|---|---|---|",
        checks.rows.first().map_or(0, |row| row.1.len())
    )?;
    for (index, (name, _)) in checks.rows.iter().enumerate() {
        let median = checks.median(index).unwrap_or(f64::NAN);
        writeln!(out, "| {name} | {:.1} | {:.2} |", median * 1000.0, median / ours)?;
    }
    writeln!(out)
}
