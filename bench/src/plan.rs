//! `bench plan`: the planner on pools of 3 to 10,000 hosts, beside its lower bounds and two baselines.
//!
//! Owns: the table. Promises: counts are exact and repeatable; times of a roll are the stated formula, times of the
//! planner are measured here. Does not: compare with real programs; the baselines are re-implementations.

mod baselines;

use std::io::Write as _;
use std::time::Instant;

use lifeboat_model::{InFlight, Plan, Policy, Severity, World};
use lifeboat_plan::{Options, lint, plan};

use crate::pools::{Rule, Shape, pool, target};
use baselines::{Choice, Cost, roll};

/// Hosts, GiB of each, hosts in flight.
const POOLS: [(usize, u64, u32); 4] = [(3, 256, 1), (32, 512, 4), (1_000, 768, 50), (10_000, 1024, 300)];
const LOADS: [u64; 5] = [45, 60, 70, 80, 85];
/// Tried on one pool only; the baselines do not know these rules and break them.
const RULES: [Rule; 4] = [Rule::None, Rule::Apart, Rule::Pinned, Rule::Racks];

const HEAD: &str = "\
 hosts   u    K rule      seeds  guests | moves/guest (worst) bound | GB/load bound | hours bound | waves max blocked | \
plan ms (worst) peak RSS | random: moves GB max hours | least loaded serial: moves GB max hours | \
least loaded in waves of K: moves GB max hours";

struct Arguments {
    seeds: Option<u64>,
    hosts: Option<usize>,
    load: Option<u64>,
    spill: u32,
}

struct Row {
    guests: u64,
    load: u64,
    plan: Plan,
    millis: f64,
    rss_mib: u64,
    random: Cost,
    serial: Cost,
    parallel: Cost,
}

/// Prints the table. Arguments: `--seeds N` (default 20, and 5 at 10,000 hosts), `--hosts N` (only that pool),
/// `--load PERCENT`, `--spill N`.
///
/// # Errors
/// A text that says which argument has no meaning, or which plan the linter does not accept.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let arguments = parse(args)?;
    say(HEAD)?;
    for (hosts, gib, in_flight) in POOLS {
        if arguments.hosts.is_some_and(|only| only != hosts) {
            continue;
        }
        let loads = match arguments.load {
            Some(percent) => vec![percent],
            None => LOADS.into_iter().filter(|&percent| percent != 45 || hosts == 3).collect(),
        };
        for percent in loads {
            let seeds = arguments.seeds.unwrap_or(if hosts >= 10_000 { 5 } else { 20 });
            let policy = Policy {
                max_in_flight: InFlight::Hosts(in_flight),
                spill: arguments.spill,
                ..Policy::default()
            };
            let rules: &[Rule] = if (hosts, percent) == (1_000, 70) { &RULES } else { &[Rule::None] };
            for &rule in rules {
                let rows = (0..seeds).map(|seed| row(Shape { hosts, gib, percent, seed, rule }, &policy));
                let rows = rows.collect::<Result<Vec<_>, _>>()?;
                say(&line(hosts, percent, in_flight, rule, &rows))?;
            }
        }
    }
    say(
        "\nMedians over the seeds; worst seed in brackets, worst of max and peak RSS. blocked: most blocked hosts / seeds with\n\
         any; the other columns are of the seeds without, if there are such. bound: ratio of the plan's\n\
         figure to its lower bound on the same pool. max: most moves of one guest. Hours by the formula\n\
         1.1 GiB/s, 1.2 x memory, 5 s per guest, 2 lanes, 15 min per upgrade: not real migrations.\n\
         Baselines are re-implementations in this program, in lock-step waves; homeless: guests that found no room when\n\
         their host was drained, worst seed; they do not know the rules of the fourth column.\n\
         A pool whose guests do not fit without one host is blocked: nothing can be rolled there by migration alone.",
    )
}

fn parse(args: &[String]) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: None, hosts: None, load: None, spill: 0 };
    let mut args = args.iter();
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a number after it"))?;
        let number: u32 = value.parse().map_err(|_| format!("{name} {value}: not a number"))?;
        match name.as_str() {
            "--seeds" => arguments.seeds = Some(u64::from(number.max(1))),
            "--hosts" => arguments.hosts = usize::try_from(number).ok(),
            "--load" if number <= 100 => arguments.load = Some(u64::from(number)),
            "--spill" => arguments.spill = number,
            other => {
                return Err(format!(
                    "{other} is unknown: --seeds N, --hosts N, --load PERCENT and --spill N are known"
                ));
            }
        }
    }
    Ok(arguments)
}

fn row(shape: Shape, policy: &Policy) -> Result<Row, String> {
    let world = pool(shape).map_err(|error| error.to_string())?;
    // Resets the high-water mark of this process (proc(5)), so that it belongs to this pool.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let started = Instant::now();
    let made = plan(&world, &target(), policy, &Options::default()).map_err(|error| error.to_string())?;
    let millis = started.elapsed().as_secs_f64() * 1000.0;
    let rss_mib = peak_rss_mib();
    check(&world, &made)?;
    let at_once = policy.in_flight_of(shape.hosts);
    Ok(Row {
        guests: world.guests().len() as u64,
        load: world.guests().map(|guest| guest.memory.0).sum(),
        plan: made,
        millis,
        rss_mib,
        random: roll(&world, 1, Choice::Random, shape.seed),
        serial: roll(&world, 1, Choice::LeastLoaded, shape.seed),
        parallel: roll(&world, at_once, Choice::LeastLoaded, shape.seed),
    })
}

fn check(world: &World, made: &Plan) -> Result<(), String> {
    match lint(world, made).into_iter().find(|finding| finding.severity > Severity::Note) {
        Some(finding) => Err(format!("the linter does not accept the plan: {finding}")),
        None => Ok(()),
    }
}

fn peak_rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn line(hosts: usize, percent: u64, in_flight: u32, rule: Rule, rows: &[Row]) -> String {
    let seeds = rows.len();
    let blocked = rows.iter().filter(|row| !row.plan.blocked.is_empty());
    let (blocked_seeds, blocked_hosts) =
        (blocked.clone().count(), blocked.map(|row| row.plan.blocked.len()).max());
    // Seeds in which hosts are blocked would hide what the others cost.
    let whole: Vec<&Row> = rows.iter().filter(|row| row.plan.blocked.is_empty()).collect();
    let rows: Vec<&Row> = if whole.is_empty() { rows.iter().collect() } else { whole };
    let of = |value: &dyn Fn(&Row) -> f64| {
        let mut values: Vec<f64> = rows.iter().map(|row| value(row)).collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
        (
            f64::midpoint(at(rows.len() / 2), at(rows.len().saturating_sub(1) / 2)),
            at(rows.len().saturating_sub(1)),
        )
    };
    let mid = |value: &dyn Fn(&Row) -> f64| of(value).0;
    let hours = |millis: u64| float(millis) / 3_600_000.0;
    let moves = of(&|row| ratio(row.plan.figures.moves.planned, row.guests));
    let millis = of(&|row| row.millis);
    let ours = format!(
        "{hosts:>6} .{percent} {in_flight:>4} {:<9} {:>5} {:>7.0} | {:>10.3} ({:.3}) {:.3} | {:>7.3} {:.3} | {:>6.1} {:.2} | \
         {:>5} {:>3} {:>7} | {:>6.1} ({:.1}) {:>5} MiB",
        rule.word(),
        seeds,
        mid(&|row| float(row.guests)),
        moves.0,
        moves.1,
        mid(&|row| ratio(row.plan.figures.moves.planned, row.plan.figures.moves.bound)),
        mid(&|row| ratio(row.plan.figures.moved.planned.0, row.load)),
        mid(&|row| ratio(row.plan.figures.moved.planned.0, row.plan.figures.moved.bound.0)),
        mid(&|row| hours(row.plan.figures.makespan.planned.0)),
        mid(&|row| ratio(row.plan.figures.makespan.planned.0, row.plan.figures.makespan.bound.0)),
        mid(&|row| f64::from(row.plan.figures.waves)),
        of(&|row| f64::from(row.plan.figures.most_moves_of_a_guest)).1,
        format!("{}/{blocked_seeds}", blocked_hosts.unwrap_or(0)),
        millis.0,
        millis.1,
        of(&|row| float(row.rss_mib)).1,
    );
    let baseline = |cost: fn(&Row) -> Cost| {
        let lost = of(&|row| float(cost(row).without_target)).1;
        let text = format!(
            "{:.3} {:.3} {} {:.1}",
            mid(&|row| ratio(cost(row).moves, row.guests)),
            mid(&|row| ratio(cost(row).mib, row.load)),
            of(&|row| f64::from(cost(row).most_moves)).1,
            mid(&|row| hours(cost(row).millis)),
        );
        if lost > 0.0 { format!("{text} ({lost} homeless)") } else { text }
    };
    format!(
        "{ours} | {} | {} | {}",
        baseline(|row| row.random),
        baseline(|row| row.serial),
        baseline(|row| row.parallel)
    )
}

/// One line for the reader of the table.
fn say(text: &str) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("the table cannot be written: {error}"))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { float(part) / float(whole) }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn float(value: u64) -> f64 {
    value as f64
}
