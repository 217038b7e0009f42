//! `bench plan`: the planner on pools of 3 to 10,000 hosts, beside its lower bounds and what others do.
//!
//! Owns: which pools, rules and ways are compared. Promises: counts are exact and repeatable, and every way is played
//! on the same field under the same rules; times of a roll are the stated formula, times of the planner are measured
//! here. Does not: run real programs but `hroller`; the others are re-implementations, and are called so.

mod chart;
mod even;
mod field;
mod hroller;
mod options;
mod ours;
mod page;
mod sample;
mod table;
mod waves;
mod window;

use std::path::PathBuf;

use crate::Failure;
use crate::pools::{Mix, Rule, Shape};
use options::Arguments;
use sample::{Case, Sample};

/// Hosts, GiB of each, hosts in flight.
const POOLS: [(usize, u64, u32); 4] = [(3, 256, 1), (32, 512, 4), (1_000, 768, 50), (10_000, 1024, 300)];
const LOADS: [u64; 5] = [45, 60, 70, 80, 85];
const RULES: [Rule; 4] = [Rule::Apart, Rule::Pinned, Rule::Generations, Rule::Racks];

/// What is measured, in order.
fn cases(arguments: &Arguments) -> Vec<Case> {
    let mut cases = Vec::new();
    for (hosts, gib, in_flight) in POOLS {
        for percent in LOADS.into_iter().filter(|&percent| percent != 45 || hosts == 3) {
            let mut add = |rule, mix| cases.push(Case { hosts, gib, in_flight, percent, rule, mix });
            add(Rule::None, Mix::Azure);
            // What constraints and larger guests change is shown at two loads, and on the largest pool at one.
            let shown = match hosts {
                3 => percent == 60,
                32 | 1_000 => percent == 70 || percent == 85,
                _ => percent == 70,
            };
            if shown {
                add(Rule::None, Mix::Enterprise);
                for rule in RULES {
                    // One rack of three hosts would be the pool.
                    if !(rule == Rule::Racks && hosts == 3) {
                        add(rule, Mix::Azure);
                    }
                }
            }
        }
    }
    cases.retain(|case| arguments.wants(case));
    cases.sort_by_key(|case| (case.rule, case.mix) != (Rule::None, Mix::Azure));
    cases
}

/// Measures and prints. See the usage text for the arguments.
pub(crate) fn run(args: &[String]) -> Result<(), Failure> {
    let arguments = Arguments::parse(args)?;
    let program: Result<(PathBuf, String), String> = hroller::find();
    let cases = cases(&arguments);
    if cases.is_empty() {
        return Err("no pool has these hosts, load, mix and rule".into());
    }
    let mut table =
        table::Table::new(cases.len(), program.as_ref().map(|found| found.1.clone()).map_err(Clone::clone));
    'cases: for case in cases {
        let mut samples = Vec::new();
        for seed in 0..arguments.seeds(&case) {
            let shape = Shape {
                hosts: case.hosts,
                gib: case.gib,
                percent: case.percent,
                seed,
                rule: case.rule,
                mix: case.mix,
            };
            // The real program is slow at 1,000 hosts: few seeds there.
            let asked = seed < if case.hosts >= 1_000 { arguments.peer_seeds } else { u64::MAX };
            let peer = program.as_ref().ok().map(|found| found.0.as_path()).filter(|_| asked);
            match Sample::take(&case, shape, peer, arguments.limit) {
                Ok(sample) => samples.push(sample),
                Err(error) if case.rule == Rule::Generations => {
                    let why = format!("the planner does not keep to this rule: {error}");
                    if !arguments.json {
                        println!(
                            "\n{} hosts, load .{}, {}: skipped, {why}",
                            case.hosts,
                            case.percent,
                            case.rule.word()
                        );
                    }
                    table.skipped.push((case, why));
                    continue 'cases;
                }
                Err(error) => return Err(error),
            }
        }
        table.add(case, &samples);
        if !arguments.json {
            table.say_last()?;
        }
        // Again and again, so that a run of hours that is ended leaves what it had.
        if let Some(folder) = &arguments.write {
            if !arguments.chart {
                page::write(folder, &table, &arguments)?;
            }
            chart::write(folder, &table)?;
        }
    }
    if arguments.json {
        println!("{:#}", table.json());
    } else {
        println!();
        for note in page::NOTES {
            println!("* {note}");
        }
    }
    Ok(())
}
