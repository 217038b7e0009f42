//! What a plan costs, beside its bounds.
//!
//! Owns: [`Figures`] and the notes that a person should read before approving. Promises: counts are exact; times are
//! estimates and said to be so. Does not: change the layout.

use lifeboat_model::{Bound, Figures, Mib, Millis};

use crate::bound::{Bounds, Ground, bounds};
use crate::makespan;
use crate::options::Timing;
use crate::room::Role;

/// Counts a layout.
pub(crate) fn count(ground: &Ground<'_, '_>, timing: &Timing) -> (Figures, Vec<String>) {
    let steps = &ground.layout.steps;
    if steps.is_empty() {
        return (Figures::default(), Vec::new());
    }
    let bounds = bounds(ground, timing);
    let peak = steps.chunk_by(|a, b| a.wave == b.wave).map(<[_]>::len).max().unwrap_or(0);
    let mut moves_of = vec![0_u32; ground.pool.guests.len()];
    for &(guest, _) in steps.iter().flat_map(|step| &step.moves) {
        moves_of[guest] += 1;
    }
    let moved =
        moves_of.iter().zip(&ground.pool.guests).map(|(&moves, guest)| u64::from(moves) * guest.memory);
    let figures = Figures {
        moves: Bound { planned: steps.iter().map(|step| step.moves.len() as u64).sum(), bound: bounds.moves },
        moved: Bound { planned: Mib(moved.sum()), bound: Mib(bounds.moved) },
        makespan: Bound {
            planned: Millis(makespan::estimate(ground, timing, peak)),
            bound: Millis(bounds.makespan),
        },
        peak_hosts_down: Bound { planned: u32::try_from(peak).unwrap_or(u32::MAX), bound: 1 },
        peak_unavailable: Bound { planned: Mib(largest_turns(ground, peak)), bound: Mib(bounds.unavailable) },
        most_moves_of_a_guest: moves_of.iter().copied().max().unwrap_or(0),
        waves: steps.last().map_or(0, |step| step.wave),
        no_failover: no_failover(ground),
        prices: None,
    };
    let notes = notes(ground, timing, &figures, bounds, peak);
    (figures, notes)
}

/// Memory of the `count` largest hosts that have a turn: hosts of neighbouring waves may be down together.
fn largest_turns(ground: &Ground<'_, '_>, count: usize) -> u64 {
    let mut sizes: Vec<u64> =
        ground.layout.steps.iter().map(|step| ground.pool.hosts[step.host].memory).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.into_iter().take(count).sum()
}

/// Ranges of waves in which the hosts that remain could not carry the load if the largest of them were lost too.
fn no_failover(ground: &Ground<'_, '_>) -> Vec<(u32, u32)> {
    let pool = ground.pool;
    let (capacity, load) = (pool.capacity(), pool.load());
    let mut by_size: Vec<usize> = (0..pool.hosts.len()).filter(|&host| pool.hosts[host].in_service).collect();
    by_size.sort_unstable_by_key(|&host| std::cmp::Reverse(pool.hosts[host].memory));
    let mut down = vec![false; pool.hosts.len()];
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for wave in ground.layout.steps.chunk_by(|a, b| a.wave == b.wave) {
        let hosts = || wave.iter().map(|step| step.host);
        hosts().for_each(|host| down[host] = true);
        let out: u64 = hosts().map(|host| pool.hosts[host].memory).sum();
        let lost = by_size.iter().find(|&&host| !down[host]).map_or(0, |&host| pool.hosts[host].memory);
        hosts().for_each(|host| down[host] = false);
        let Some(number) = wave.first().map(|step| step.wave) else { continue };
        if capacity.saturating_sub(out + lost) < load {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == number => *last = number,
                Some(_) | None => ranges.push((number, number)),
            }
        }
    }
    ranges
}

fn notes(
    ground: &Ground<'_, '_>,
    timing: &Timing,
    figures: &Figures,
    bounds: Bounds,
    peak: usize,
) -> Vec<String> {
    let pool = ground.pool;
    let mut notes = Vec::new();
    if !figures.no_failover.is_empty() {
        let ranges = figures
            .no_failover
            .iter()
            .map(|&(first, last)| if first == last { format!("{first}") } else { format!("{first}–{last}") });
        let ranges: Vec<String> = ranges.collect();
        let hosts = pool.hosts.iter().filter(|host| host.in_service).count() as u64;
        notes.push(format!(
            "no failover capacity in waves {}: the loss of one more host could not be covered. With one host down at \
             a time this needs a load of at most {} %; it is {} %",
            ranges.join(", "),
            hosts.saturating_sub(2) * 100 / hosts.max(1),
            pool.load() * 100 / pool.capacity().max(1)
        ));
    }
    let allowed = ground.policy.in_flight_of(pool.hosts.len());
    if ground.rules.in_flight < allowed {
        notes.push(format!(
            "the reserve ({}) allows {peak} hosts out of service at once, fewer than the {allowed} of the policy",
            Mib(ground.spare.reserve)
        ));
    }
    let waiting = |step: &&crate::layout::LaidStep| {
        step.moves.iter().filter(|&&(_, target)| ground.roles[target] == Role::Staying).count()
    };
    let staying: usize = ground.layout.steps.iter().map(|step| waiting(&step)).sum();
    if staying > 0 {
        notes.push(format!(
            "{staying} guests end on hosts that stay on their old release, for lack of other room"
        ));
    }
    if bounds.moves < figures.moves.planned && ground.policy.spill == 0 {
        notes.push(format!(
            "{} moves more than the lower bound: another first host would have fewer guests to move twice, or the \
             bound counts room that the largest guests cannot use",
            figures.moves.planned - bounds.moves
        ));
    }
    notes.push(format!(
        "times are estimates: {} per second and host, {} % of a guest's memory sent, {} per guest, {} per upgrade",
        timing.network, timing.dirty_percent, timing.per_guest, timing.upgrade
    ));
    notes
}
