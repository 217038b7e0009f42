//! The page of the documents with the table.
//!
//! Owns: its text and conditions. Promises: what every figure means and what it does not show stands beside it. Does
//! not: keep anything of the page that was there before.

use std::fmt::Write as _;
use std::path::Path;

use super::options::Arguments;
use super::sample::{Case, Way};
use super::table::{Block, Table, bounds_text, even, rule};
use crate::Failure;
use crate::pools::{Mix, Rule};
use crate::report::load_average;

/// Name of the page in its folder.
const PAGE: &str = "bench-plan.md";

/// What must be read with the figures; also printed under the table.
pub(crate) const NOTES: [&str; 9] = [
    "Ways marked * are re-implementations in this program of how others choose order and placement, not those \
     programs. `hroller` is Ganeti's real program. All are played on the same pools under the same rules.",
    "Medians over the seeds, worst seed in brackets; max, down, headroom, no target and backward are those of the \
     worst seed. Seeds in which Lifeboat blocks hosts are left out of all rows, if there are others; `no target` \
     counts all seeds.",
    "Hours are a formula, not real migrations: 10 GbE = 1.1 GiB/s, 1.2 times a guest's memory, 5 s per guest, two \
     migrations of a host at a time, 15 min per upgrade. CPU, NUMA, storage, unequal hosts and failures are not in \
     it; contention at a receiving port only roughly.",
    "`/bound` is the ratio to what no way of that kind can go below: for moves and GB of ways that bring guests back \
     (xapi + restore, hroller) two moves per guest, for all others the bound of `keep`; for hours the bound of \
     `keep`, at most K hosts in flight (hroller does not keep to K).",
    "hroller reaches the smallest number of batches, but with up to 40 % of the pool down, hardly a host to spare and \
     no canary. Its moves are those it lists, twice, since by its man page every guest moves back after each group.",
    "The ramp pays time for fewest moves: compare its hours with those of the window and the waves with the same K. \
     Spill K buys most of that time with 3 to 11 % more moves. Lock-step waves of K come near to spill K in both, but \
     begin with K hosts at once: no host proves the release first.",
    "Parallelism itself costs moves of memory: serial least loaded may move less GB than the parallel ramp and its \
     evening out together.",
    "`to even out`: further moves per guest until no host has more than 1.10 times the average load, by one simple \
     greedy way for all; with (n!), n hosts of the worst seed cannot be brought there so. Headroom: memory to spare \
     at the worst moment, in hosts.",
    "`no target`: guests that had nowhere to go when their host's turn came. Real tools fail there, or reboot the \
     host with them; waves and window wait for room, StarlingX's lists are fixed beforehand and cannot. Lifeboat names such a host as blocked before anything begins.",
];

/// Writes the page.
pub(crate) fn write(folder: &Path, table: &Table, arguments: &Arguments) -> Result<(), Failure> {
    let mut page = head(table, arguments)?;
    let plain = |case: &Case| case.rule == Rule::None && case.mix == Mix::Azure;
    writeln!(page, "\n## Pools without constraints\n")?;
    for block in table.blocks.iter().filter(|block| plain(&block.case)) {
        write_block(&mut page, block)?;
    }
    if table.blocks.iter().any(|block| !plain(&block.case)) {
        writeln!(page, "## Larger guests, and constraints\n")?;
        writeln!(
            page,
            "`enterprise`: 4, 8, 16 and 64 GiB, a quarter each; this mix is invented. `5% apart`: 5 % of the guests are in \
             groups of three that must not share a host. `1% pinned`: 1 % of the guests cannot be moved; by the policy \
             they are shut down just before their host's upgrade and started just after, in all ways alike. `2 CPUs`: \
             every second host is of a newer generation, and half of the guests that begin there need it. `racks`: 20 \
             hosts each, at most one host of a rack out of service.\n"
        )?;
        for block in table.blocks.iter().filter(|block| !plain(&block.case)) {
            write_block(&mut page, block)?;
        }
    }
    for (case, why) in &table.skipped {
        writeln!(
            page,
            "Skipped: {} hosts, load .{}, constraint {}: {why}\n",
            case.hosts,
            case.percent,
            rule(case)
        )?;
    }
    let path = folder.join(PAGE);
    std::fs::write(&path, page.trim_end().to_owned() + "\n")
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(())
}

fn head(table: &Table, arguments: &Arguments) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(page, "# The planner beside others\n")?;
    writeln!(
        page,
        "Written by `cargo run --release -p lifeboat-bench -- plan --write docs`; what it is and how to read it stands in \
         [Benchmarks](bench.md). One core of {processors}, load average {} before and {} after{}. hroller: {}.\n",
        table.load_before,
        load_average(),
        match (arguments.is_whole(), table.blocks.len() + table.skipped.len() < table.kinds) {
            (true, false) => "",
            (false, _) => "; only some kinds of pools or fewer seeds than usual",
            (true, true) => "; ended before all kinds of pools were measured",
        },
        table.program.as_ref().map_or_else(|why| format!("skipped, {why}"), Clone::clone),
    )?;
    writeln!(
        page,
        "Start: each guest on the emptier of two random hosts. Guest memory: the distribution that Azure published for \
         2019, except where another is named. K: hosts in flight at most.\n"
    )?;
    writeln!(
        page,
        "![Moves per guest and hours of each way, with the bounds of both](images/bench-plan.svg)\n"
    )?;
    for note in NOTES {
        writeln!(page, "* {note}")?;
    }
    Ok(page)
}

fn write_block(page: &mut String, block: &Block) -> std::fmt::Result {
    let case = &block.case;
    let extra = match (case.mix, case.rule) {
        (Mix::Azure, Rule::None) => String::new(),
        (Mix::Azure, _) => format!(", {}", rule(case)),
        (Mix::Enterprise, _) => format!(", {}", case.mix.word()),
    };
    writeln!(
        page,
        "### {} × {} GiB, load .{}, K {}{extra}\n",
        case.hosts, case.gib, case.percent, case.in_flight
    )?;
    writeln!(page, "{} guests, {} seeds; {}.\n", block.guests, block.seeds, bounds_text(block))?;
    writeln!(
        page,
        "| way | moves/guest (worst) | /bound | GB/load | /bound | max | hours (worst) | /bound | down | headroom | no target | backward | to even out |"
    )?;
    writeln!(page, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")?;
    for row in &block.rows {
        let name = match row.way {
            Way::Ramp | Way::RampSpill => format!("**{}**", row.way.name()),
            Way::Random
            | Way::Serial
            | Way::Waves
            | Way::Window
            | Way::StarlingX
            | Way::XoOld
            | Way::XoNew
            | Way::Hroller => row.way.name().replace('*', "\\*"),
        };
        match &row.figures {
            Err(why) => writeln!(page, "| {name} | – {why} | | | | | | | | | | | |")?,
            Ok(f) => {
                let back = if f.not_returned > 0.0 {
                    format!("; {} not back", f.not_returned)
                } else {
                    String::new()
                };
                let think = f
                    .think
                    .map_or_else(String::new, |s| format!("; answered in {s:.2} s, {} seeds", f.seeds));
                writeln!(
                    page,
                    "| {name} | {:.3} ({:.3}){back}{think} | {:.3} | {:.3} | {:.3} | {} | {:.1} ({:.1}) | {:.2} | {} | {:.1} | {} | {} | {} |",
                    f.moves,
                    f.moves_worst,
                    f.moves_ratio,
                    f.moved,
                    f.moved_ratio,
                    f.most_moves,
                    f.hours,
                    f.hours_worst,
                    f.hours_ratio,
                    f.peak_down,
                    f.headroom,
                    f.without_target,
                    f.backward,
                    even(f)
                )?;
            }
        }
    }
    writeln!(page)
}
