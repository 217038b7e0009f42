//! The replay of the moves after the last host.
//!
//! Owns: whether they are what the policy's placement asks for, each possible after those before it. Does not: ask
//! that a placement is reached; what is open is a note.

use std::collections::BTreeMap;

use lifeboat_model::{Finding, GuestId, HostId, Placement, Severity};

use super::replay::{Replay, State};
use super::{blocker, codes, finding};

/// No host may have more of its memory used than so many per cent of the average.
const EVEN_PERCENT: u128 = 110;

/// Replays the placement and adds what is wrong.
pub(super) fn run(state: &mut State<'_>, counts: &mut Replay, findings: &mut Vec<Finding>) {
    let plan = state.plan;
    let moved: Vec<&GuestId> = state.moves_of.keys().copied().collect();
    let limits = limits(state);
    let mut times: BTreeMap<&GuestId, u32> = BTreeMap::new();
    for each in &plan.placement {
        let subject = each.guest.as_str();
        counts.moves += 1;
        counts.moved = counts.moved.saturating_add(each.memory.0);
        *times.entry(&each.guest).or_default() += 1;
        if !state.upgraded.contains(&each.to) {
            let evidence =
                format!("after the last host it goes to {}, which does not run the release", each.to);
            findings.push(blocker(codes::PLACEMENT, subject, evidence));
        }
        state.go(each, findings);
        let load = state.load.get(&each.to).copied().unwrap_or(0);
        let refused = match plan.policy.placement {
            Placement::Keep => Some("the policy keeps guests where the roll put them".to_owned()),
            Placement::Rebalance => limits
                .get(&each.to)
                .filter(|limit| load > **limit)
                .map(|limit| format!("it brings {} to {load} MiB, above its share of {limit} MiB", each.to)),
            Placement::Restore => {
                (!moved.contains(&&each.guest)).then(|| "no turn of a host moved it".to_owned())
            }
        };
        if let Some(why) = refused {
            findings.push(blocker(codes::PLACEMENT, subject, why));
        }
    }
    // A guest may have to go out of the way of another before it goes home.
    let most = if plan.policy.placement == Placement::Restore { 2 } else { 1 };
    for (guest, times) in times.into_iter().filter(|(_, times)| *times > most) {
        let evidence = format!("after the last host it moves {times} times; {most} are enough");
        findings.push(blocker(codes::TOO_MANY_MOVES, guest.as_str(), evidence));
    }
    if !plan.steps.is_empty() {
        open(state, &limits, findings);
    }
}

/// The most that each host may have to be even with the others, in MiB.
fn limits(state: &State<'_>) -> BTreeMap<HostId, u64> {
    let hosts = state.upgraded.iter().filter_map(|id| state.world.host(id));
    let hosts: Vec<_> = hosts.filter(|host| host.reachable && !host.maintenance).collect();
    let memory: u128 = hosts.iter().map(|host| u128::from(host.memory.0)).sum();
    let load = |id: &HostId| u128::from(state.load.get(id).copied().unwrap_or(0));
    let total: u128 = hosts.iter().map(|host| load(&host.id)).sum();
    let limit = |own: u128| (total * EVEN_PERCENT * own / (100 * memory.max(1))).min(own);
    hosts
        .iter()
        .map(|host| (host.id.clone(), u64::try_from(limit(u128::from(host.memory.0))).unwrap_or(u64::MAX)))
        .collect()
}

/// What the placement leaves open.
fn open(state: &State<'_>, limits: &BTreeMap<HostId, u64>, findings: &mut Vec<Finding>) {
    match state.plan.policy.placement {
        Placement::Keep => {}
        Placement::Rebalance => {
            for (host, limit) in limits {
                let load = state.load.get(host).copied().unwrap_or(0);
                if load > *limit {
                    let evidence = format!("it ends with {load} MiB, above its share of {limit} MiB");
                    findings.push(finding(codes::PLACEMENT_OPEN, Severity::Note, host.as_str(), evidence));
                }
            }
        }
        Placement::Restore => {
            for guest in state.world.guests().filter(|guest| state.moves_of.contains_key(&guest.id)) {
                if let Some(at) = state.at.get(&guest.id).filter(|at| ***at != guest.host) {
                    let evidence = format!("it ends on {at} and was on {}", guest.host);
                    let subject = guest.id.as_str();
                    findings.push(finding(codes::PLACEMENT_OPEN, Severity::Note, subject, evidence));
                }
            }
        }
    }
}
