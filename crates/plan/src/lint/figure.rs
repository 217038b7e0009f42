//! Checks of the figures of a plan.
//!
//! Owns: the comparison of what a plan says it costs with what its steps give. Does not: estimate time again; it only
//! asks that no figure is better than its bound.

use std::collections::BTreeSet;

use lifeboat_model::{Finding, HostId, Plan, PlanStep, Severity, World};

use super::replay::Replay;
use super::{codes, finding};

/// All findings about figures.
pub(super) fn check(world: &World, plan: &Plan, replay: &Replay, findings: &mut Vec<Finding>) {
    let figures = &plan.figures;
    let mut wrong = |name: &str, says: String, is: String| {
        if says != is {
            let evidence = format!("the plan says {says}, the steps give {is}");
            findings.push(finding(codes::FIGURE_WRONG, Severity::Warning, name, evidence));
        }
    };
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX).to_string();
    let waves = || plan.steps.chunk_by(|a, b| a.wave == b.wave);
    let peak = waves().map(<[_]>::len).max().unwrap_or(0);
    let mut sizes: Vec<u64> =
        plan.steps.iter().filter_map(|step| world.host(&step.host)).map(|host| host.memory.0).collect();
    sizes.sort_unstable();
    let unavailable: u64 = sizes.iter().rev().take(peak).sum();
    wrong("moves", figures.moves.planned.to_string(), replay.moves.to_string());
    wrong("moved", figures.moved.planned.0.to_string(), replay.moved.to_string());
    wrong("most moves of a guest", figures.most_moves_of_a_guest.to_string(), replay.most_moves.to_string());
    wrong("waves", figures.waves.to_string(), number(waves().count()));
    wrong("peak hosts down", figures.peak_hosts_down.planned.to_string(), number(peak));
    wrong("peak unavailable", figures.peak_unavailable.planned.0.to_string(), unavailable.to_string());
    wrong("no failover", format!("{:?}", figures.no_failover), format!("{:?}", no_failover(world, plan)));
    let pairs = [
        ("moves", figures.moves.planned, figures.moves.bound),
        ("moved", figures.moved.planned.0, figures.moved.bound.0),
        ("makespan", figures.makespan.planned.0, figures.makespan.bound.0),
        ("peak unavailable", figures.peak_unavailable.planned.0, figures.peak_unavailable.bound.0),
    ];
    for (name, planned, bound) in pairs {
        if planned < bound {
            let evidence =
                format!("planned {planned} is better than the bound {bound}, which nothing can be");
            findings.push(finding(codes::FIGURE_WRONG, Severity::Warning, name, evidence));
        }
    }
}

/// Ranges of waves in which the loss of the largest remaining host could not be covered, by plain sums.
fn no_failover(world: &World, plan: &Plan) -> Vec<(u32, u32)> {
    let serving = || world.hosts().filter(|host| host.reachable && !host.maintenance);
    let load: u64 = serving().map(|host| world.load_of(&host.id).0).sum();
    let mut by_size: Vec<_> = serving().collect();
    by_size.sort_by_key(|host| std::cmp::Reverse(host.memory));
    let capacity: u64 = by_size.iter().map(|host| host.memory.0).sum();
    let mut bad = BTreeSet::new();
    for wave in plan.steps.chunk_by(|a, b| a.wave == b.wave) {
        let down: BTreeSet<&HostId> = wave.iter().map(|step| &step.host).collect();
        let kept =
            |step: &PlanStep| step.stops.iter().fold(0, |sum: u64, stop| sum.saturating_add(stop.memory.0));
        let out =
            wave.iter().filter_map(|step| Some(world.host(&step.host)?.memory.0.saturating_sub(kept(step))));
        let out: u64 = out.sum();
        let lost = by_size.iter().find(|host| !down.contains(&host.id)).map_or(0, |host| host.memory.0);
        if capacity.saturating_sub(out).saturating_sub(lost) < load {
            bad.extend(wave.first().map(|step| step.wave));
        }
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for wave in bad {
        match ranges.last_mut() {
            Some((_, last)) if last.saturating_add(1) == wave => *last = wave,
            Some(_) | None => ranges.push((wave, wave)),
        }
    }
    ranges
}
