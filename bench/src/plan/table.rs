//! Medians and worst seeds of what was measured, as text and as JSON.
//!
//! Owns: the figures of the table and their form. Promises: a way that was not measured stands there with its reason.
//! Does not: hide seeds; those in which hosts are blocked are counted.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::{Value, json};

use super::field::Cost;
use super::sample::{Case, Sample, Way};
use crate::pools::{Mix, Rule};
use crate::report::{float, load_average, quantile};

/// The figures of one way on one kind of pool.
pub(crate) struct Row {
    pub(crate) way: Way,
    pub(crate) figures: Result<Figures, String>,
}

/// Medians over the seeds, unless said otherwise.
pub(crate) struct Figures {
    pub(crate) seeds: usize,
    /// Moves per guest.
    pub(crate) moves: f64,
    pub(crate) moves_worst: f64,
    pub(crate) moves_ratio: f64,
    /// Memory moved for each unit of load.
    pub(crate) moved: f64,
    pub(crate) moved_ratio: f64,
    /// Worst.
    pub(crate) most_moves: f64,
    pub(crate) hours: f64,
    pub(crate) hours_worst: f64,
    pub(crate) hours_ratio: f64,
    /// Worst.
    pub(crate) peak_down: f64,
    /// Worst, in hosts.
    pub(crate) headroom: f64,
    /// Worst of all seeds, also of those with blocked hosts.
    pub(crate) without_target: f64,
    /// Worst.
    pub(crate) backward: f64,
    pub(crate) not_returned: f64,
    pub(crate) stopped: f64,
    /// Further moves per guest to spread guests evenly.
    pub(crate) even: f64,
    pub(crate) even_moved: f64,
    /// Worst.
    pub(crate) uneven: f64,
    pub(crate) think: Option<f64>,
}

/// One kind of pool.
pub(crate) struct Block {
    pub(crate) case: Case,
    pub(crate) seeds: usize,
    pub(crate) guests: f64,
    pub(crate) blocked_seeds: usize,
    pub(crate) blocked: usize,
    pub(crate) blocked_if_forbidden: f64,
    pub(crate) bound_moves: f64,
    pub(crate) bound_moved: f64,
    pub(crate) bound_hours: f64,
    pub(crate) waves: f64,
    pub(crate) plan_ms: f64,
    pub(crate) plan_ms_worst: f64,
    pub(crate) rss_mib: f64,
    pub(crate) rows: Vec<Row>,
}

/// All of it.
pub(crate) struct Table {
    /// Kinds of pools that are to be measured.
    pub(crate) kinds: usize,
    pub(crate) blocks: Vec<Block>,
    /// Kinds of pools that could not be measured, and why.
    pub(crate) skipped: Vec<(Case, String)>,
    /// Version of the real program, or why it is not there.
    pub(crate) program: Result<String, String>,
    pub(crate) load_before: String,
}

impl Table {
    pub(crate) fn new(kinds: usize, program: Result<String, String>) -> Self {
        Self { kinds, blocks: Vec::new(), skipped: Vec::new(), program, load_before: load_average() }
    }

    pub(crate) fn add(&mut self, case: Case, samples: &[Sample]) {
        let whole: Vec<&Sample> = samples.iter().filter(|sample| sample.blocked == 0).collect();
        // Seeds in which hosts are blocked would hide what the others cost.
        let shown = if whole.is_empty() { samples.iter().collect() } else { whole };
        let mid = |value: &dyn Fn(&Sample) -> f64| {
            quantile(&mut shown.iter().map(|sample| value(sample)).collect::<Vec<_>>(), 0.5)
        };
        let worst = |value: &dyn Fn(&Sample) -> f64| {
            quantile(&mut shown.iter().map(|sample| value(sample)).collect::<Vec<_>>(), 1.0)
        };
        self.blocks.push(Block {
            case,
            seeds: samples.len(),
            guests: mid(&|sample| number(sample.guests)),
            blocked_seeds: samples.iter().filter(|sample| sample.blocked > 0).count(),
            blocked: samples.iter().map(|sample| sample.blocked).max().unwrap_or(0),
            blocked_if_forbidden: mid(&|sample| float(sample.blocked_if_forbidden)),
            bound_moves: mid(&|sample| ratio(sample.bounds.moves, sample.guests)),
            bound_moved: mid(&|sample| ratio(sample.bounds.mib, sample.load)),
            bound_hours: mid(&|sample| hours(sample.bounds.millis)),
            waves: mid(&|sample| f64::from(sample.waves)),
            plan_ms: mid(&|sample| sample.plan_ms),
            plan_ms_worst: worst(&|sample| sample.plan_ms),
            rss_mib: worst(&|sample| sample.rss_mib),
            rows: Way::ALL.into_iter().map(|way| row(way, &case, &shown, samples)).collect(),
        });
    }

    /// The whole as JSON.
    pub(crate) fn json(&self) -> Value {
        let blocks: Vec<Value> = self.blocks.iter().map(block_json).collect();
        let skipped: Vec<Value> = self
            .skipped
            .iter()
            .map(|(case, why)| json!({"hosts": case.hosts, "load": case.percent, "rule": rule(case), "reason": why}))
            .collect();
        json!({
            "schema": "lifeboat.bench.plan/1",
            "hroller": self.program.as_ref().map_or_else(|why| json!({"skipped": why}), |version| json!(version)),
            "load_average": {"before": self.load_before, "after": load_average()},
            "pools": blocks,
            "skipped": skipped,
        })
    }

    /// The newest block as text.
    pub(crate) fn say_last(&self) -> std::io::Result<()> {
        let Some(block) = self.blocks.last() else { return Ok(()) };
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{}", title(block))?;
        writeln!(out, "  {}", bounds_text(block))?;
        writeln!(
            out,
            "  {:<28} {:>16} {:>6} {:>7} {:>6} {:>4} {:>15} {:>6} {:>5} {:>8} {:>9} {:>8} {:>8} {:>13}",
            "",
            "moves/guest",
            "/bound",
            "GB/load",
            "/bound",
            "max",
            "hours",
            "/bound",
            "down",
            "headroom",
            "no target",
            "backward",
            "not back",
            "to even out"
        )?;
        for row in &block.rows {
            let name = row.way.name();
            match &row.figures {
                Err(why) => writeln!(out, "  {name:<28} skipped: {why}")?,
                Ok(f) => writeln!(
                    out,
                    "  {name:<28} {:>7.3} ({:>6.3}) {:>6.3} {:>7.3} {:>6.3} {:>4} {:>6.1} ({:>6.1}) {:>6.2} {:>5} {:>8.1} {:>9} {:>8} {:>8} {:>13}{}",
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
                    f.not_returned,
                    even(f),
                    f.think
                        .map_or_else(String::new, |seconds| format!("  ({seconds:.2} s, {} seeds)", f.seeds)),
                )?,
            }
        }
        out.flush()
    }
}

/// What it costs to even out, and for how many hosts that is impossible.
pub(crate) fn even(figures: &Figures) -> String {
    let hosts = if figures.uneven > 0.0 { format!(" ({}!)", figures.uneven) } else { String::new() };
    format!("{:.3}{hosts}", figures.even)
}

pub(crate) fn rule(case: &Case) -> &'static str {
    match case.rule.word() {
        "" => "none",
        word => word,
    }
}

/// Which pool it is.
pub(crate) fn title(block: &Block) -> String {
    let Block { case, seeds, guests, .. } = block;
    format!(
        "{} hosts of {} GiB, load .{}, K {}, guests {}, constraint {}: {guests} guests, {seeds} seeds",
        case.hosts,
        case.gib,
        case.percent,
        case.in_flight,
        case.mix.word(),
        rule(case)
    )
}

/// Its bounds, what is blocked, and what planning took.
pub(crate) fn bounds_text(block: &Block) -> String {
    let mut text = format!(
        "bound {:.3} moves/guest, {:.3} GB/load, {:.1} h; {} waves; plan {:.1} ms (worst {:.1})",
        block.bound_moves,
        block.bound_moved,
        block.bound_hours,
        block.waves,
        block.plan_ms,
        block.plan_ms_worst
    );
    // Beyond them the process still has memory of larger pools before.
    if (block.case.rule, block.case.mix) == (Rule::None, Mix::Azure) {
        let _ = write!(text, ", peak RSS {:.0} MiB", block.rss_mib);
    }
    if block.blocked_seeds > 0 {
        let _ = write!(
            text,
            "; Lifeboat blocks up to {} hosts in {} seeds and says why{}",
            block.blocked,
            block.blocked_seeds,
            if block.blocked_seeds < block.seeds { ", which are left out" } else { "" }
        );
    }
    if block.blocked_if_forbidden > 0.0 {
        let _ = write!(
            text,
            "; {} hosts would be blocked if pinned guests might not be stopped",
            block.blocked_if_forbidden
        );
    }
    text
}

fn row(way: Way, case: &Case, shown: &[&Sample], all: &[Sample]) -> Row {
    let costs: Vec<(&Sample, &Cost)> =
        shown.iter().filter_map(|sample| Some((*sample, sample.cost(way)?))).collect();
    // Nothing is done there, which is no figure.
    if way.ours() && shown.iter().all(|sample| sample.cost(way).is_some_and(|cost| cost.moves == 0)) {
        let why = "every host is blocked, with the reason, before anything begins".to_owned();
        return Row { way, figures: Err(why) };
    }
    if costs.is_empty() {
        let why = shown.iter().find_map(|sample| sample.why_not(way)).unwrap_or("no seed").to_owned();
        return Row { way, figures: Err(why) };
    }
    let list = |value: &dyn Fn(&Sample, &Cost) -> f64| -> Vec<f64> {
        costs.iter().map(|(sample, cost)| value(sample, cost)).collect()
    };
    let mid = |value: &dyn Fn(&Sample, &Cost) -> f64| quantile(&mut list(value), 0.5);
    let worst = |value: &dyn Fn(&Sample, &Cost) -> f64| quantile(&mut list(value), 1.0);
    let bound = |sample: &Sample| {
        let (moves, mib) = (sample.bounds.moves, sample.bounds.mib);
        if way.restores() { (2 * sample.movable, 2 * sample.load) } else { (moves, mib) }
    };
    let host = float(usize::try_from(case.gib * 1024).unwrap_or(1));
    let figures = Figures {
        seeds: costs.len(),
        moves: mid(&|sample, cost| ratio(cost.moves, sample.guests)),
        moves_worst: worst(&|sample, cost| ratio(cost.moves, sample.guests)),
        moves_ratio: mid(&|sample, cost| ratio(cost.moves, bound(sample).0)),
        moved: mid(&|sample, cost| ratio(cost.mib, sample.load)),
        moved_ratio: mid(&|sample, cost| ratio(cost.mib, bound(sample).1)),
        most_moves: worst(&|_, cost| f64::from(cost.most_moves)),
        hours: mid(&|_, cost| hours(cost.millis)),
        hours_worst: worst(&|_, cost| hours(cost.millis)),
        hours_ratio: mid(&|sample, cost| ratio(cost.millis, sample.bounds.millis)),
        peak_down: worst(&|_, cost| float(cost.peak_down)),
        headroom: -worst(&|_, cost| -signed(cost.headroom) / host),
        without_target: all
            .iter()
            .filter_map(|sample| sample.cost(way))
            .map(|cost| number(cost.without_target))
            .fold(0.0, f64::max),
        backward: worst(&|_, cost| number(cost.backward)),
        not_returned: mid(&|_, cost| number(cost.not_returned)),
        stopped: mid(&|_, cost| number(cost.stopped)),
        even: mid(&|sample, cost| ratio(cost.even_moves, sample.guests)),
        even_moved: mid(&|sample, cost| ratio(cost.even_mib, sample.load)),
        uneven: worst(&|_, cost| number(cost.uneven)),
        think: costs.iter().filter_map(|(_, cost)| cost.think).reduce(f64::max),
    };
    Row { way, figures: Ok(figures) }
}

fn block_json(block: &Block) -> Value {
    let rows: Vec<Value> = block.rows.iter().map(|row| match &row.figures {
        Err(why) => json!({"way": row.way.name(), "skipped": why}),
        Ok(f) => json!({
            "way": row.way.name(), "reimplementation": row.way.name().ends_with('*'), "seeds": f.seeds,
            "moves_per_guest": {"median": f.moves, "worst": f.moves_worst, "to_bound": f.moves_ratio},
            "moved_per_load": {"median": f.moved, "to_bound": f.moved_ratio},
            "most_moves_of_a_guest": f.most_moves,
            "hours": {"median": f.hours, "worst": f.hours_worst, "to_bound": f.hours_ratio},
            "peak_hosts_down": f.peak_down, "least_headroom_hosts": f.headroom,
            "guests_without_target": f.without_target, "backward_moves": f.backward,
            "guests_not_returned": f.not_returned, "guests_stopped": f.stopped,
            "to_even_out": {"moves_per_guest": f.even, "moved_per_load": f.even_moved, "hosts_left": f.uneven},
            "program_seconds": f.think,
        }),
    }).collect();
    json!({
        "hosts": block.case.hosts, "gib": block.case.gib, "load_percent": block.case.percent,
        "in_flight": block.case.in_flight, "mix": block.case.mix.word(), "rule": rule(&block.case),
        "seeds": block.seeds, "guests": block.guests,
        "bound": {"moves_per_guest": block.bound_moves, "moved_per_load": block.bound_moved, "hours": block.bound_hours},
        "blocked": {"seeds": block.blocked_seeds, "hosts": block.blocked, "if_forbidden": block.blocked_if_forbidden},
        "plan_ms": {"median": block.plan_ms, "worst": block.plan_ms_worst}, "peak_rss_mib": block.rss_mib,
        "waves": block.waves, "ways": rows,
    })
}

fn hours(millis: u64) -> f64 {
    number(millis) / 3_600_000.0
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { number(part) / number(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn number(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn signed(value: i64) -> f64 {
    value as f64
}
