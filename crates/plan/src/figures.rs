//! What a plan costs, beside its bounds.
//!
//! Owns: [`Figures`] and the notes that a person should read before approving. Promises: counts are exact; times are
//! estimates and said to be so. Does not: change the layout.

use lifeboat_model::{Bound, Figures, GuestStrategy, Mib, Millis, Placement, Prices};

use crate::bound::{Bounds, Ground, bounds};
use crate::makespan;
use crate::options::Timing;
use crate::placement::{After, EVEN_PERCENT, Placed};
use crate::room::Role;

/// What is moved after the last host, what it all costs, and what a person should know.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) placed: Placed,
    pub(crate) figures: Figures,
    pub(crate) notes: Vec<String>,
}

/// Counts a layout.
pub(crate) fn count(ground: &Ground<'_, '_>, timing: &Timing) -> Counted {
    let steps = &ground.layout.steps;
    if steps.is_empty() {
        let figures = Figures { prices: Some(Prices::default()), ..Figures::default() };
        return Counted { figures, ..Counted::default() };
    }
    let after = || After::new(ground.pool, ground.roles, ground.layout);
    let rebalance = after().rebalance();
    let memory_of = |placed: &Placed| -> u64 {
        placed.moves.iter().map(|&(guest, _, _)| ground.pool.guests[guest].memory).sum()
    };
    let price = |placed: &Placed| (placed.moves.len() as u64, Mib(memory_of(placed)));
    // Each guest that is away needs one move back, and hardly ever one more: so the price is known without the moves.
    let mut prices = Prices { rebalance: price(&rebalance), restore: after().away() };
    let placed = match ground.policy.placement {
        Placement::Keep => Placed::default(),
        Placement::Rebalance => rebalance,
        Placement::Restore => {
            let restore = after().restore();
            prices.restore = price(&restore);
            restore
        }
    };
    let bounds = bounds(ground, timing, &placed);
    let peak = steps.chunk_by(|a, b| a.wave == b.wave).map(<[_]>::len).max().unwrap_or(0);
    let mut moves_of = vec![0_u32; ground.pool.guests.len()];
    for &(guest, _) in steps.iter().flat_map(|step| &step.moves) {
        moves_of[guest] += 1;
    }
    let in_turns: u64 = steps.iter().map(|step| step.moves.len() as u64).sum();
    for &(guest, _, _) in &placed.moves {
        moves_of[guest] += 1;
    }
    let moved =
        moves_of.iter().zip(&ground.pool.guests).map(|(&moves, guest)| u64::from(moves) * guest.memory);
    let time = makespan::estimate(ground, timing, peak) + makespan::placement(ground, timing, &placed.moves);
    let figures = Figures {
        moves: Bound { planned: in_turns + placed.moves.len() as u64, bound: bounds.moves },
        moved: Bound { planned: Mib(moved.sum()), bound: Mib(bounds.moved) },
        makespan: Bound { planned: Millis(time), bound: Millis(bounds.makespan) },
        peak_hosts_down: Bound { planned: u32::try_from(peak).unwrap_or(u32::MAX), bound: 1 },
        peak_unavailable: Bound { planned: Mib(largest_turns(ground, peak)), bound: Mib(bounds.unavailable) },
        most_moves_of_a_guest: moves_of.iter().copied().max().unwrap_or(0),
        waves: steps.last().map_or(0, |step| step.wave),
        no_failover: no_failover(ground),
        prices: Some(prices),
    };
    let notes = notes(ground, timing, &figures, bounds, peak, &placed);
    Counted { placed, figures, notes }
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
        let out: u64 = hosts().map(|host| pool.hosts[host].lost()).sum();
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
    placed: &Placed,
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
    let more =
        figures.moves.planned.saturating_sub(placed.moves.len() as u64).saturating_sub(bounds.in_turns);
    if more > 0 && ground.policy.spill == 0 {
        notes.push(format!(
            "{more} moves more than the lower bound: another first host would have fewer guests to move twice, or the \
             bound counts room that the largest guests, or those that need what few hosts offer, cannot use"
        ));
    }
    notes.extend(stops(ground));
    notes.extend(endings(ground, placed));
    notes.push(format!(
        "times are estimates: {} per second and host, {} % of a guest's memory sent, {} per guest, {} per upgrade",
        timing.network, timing.dirty_percent, timing.per_guest, timing.upgrade
    ));
    notes
}

/// Guests that do not move when the turn of their host comes.
fn stops(ground: &Ground<'_, '_>) -> Vec<String> {
    let pool = ground.pool;
    let of = |strategy: GuestStrategy| -> Vec<String> {
        let hosts = ground.layout.steps.iter().map(|step| &pool.hosts[step.host]);
        let guests =
            hosts.flat_map(|host| host.staying.iter().map(move |guest| (host, &pool.guests[*guest])));
        let asked = guests.filter(|(_, guest)| guest.strategy == strategy);
        asked.map(|(host, guest)| format!("{} on {}", guest.view.id, host.view.id)).collect()
    };
    let mut notes = Vec::new();
    let stopped = of(GuestStrategy::StopStart);
    if !stopped.is_empty() {
        notes.push(format!(
            "{} guests are shut down just before their host is upgraded, and started there just after: {}",
            stopped.len(),
            list(&stopped)
        ));
    }
    let left = of(GuestStrategy::Leave);
    if !left.is_empty() {
        notes.push(format!(
            "{} guests are left to their owners: their hosts wait until somebody shut them down or moved them, each at \
             most {} (timeouts.owner); Lifeboat does not start them again: {}",
            left.len(),
            ground.policy.timeouts.owner,
            list(&left)
        ));
    }
    notes
}

/// What the placement cannot bring about.
fn endings(ground: &Ground<'_, '_>, placed: &Placed) -> Vec<String> {
    let pool = ground.pool;
    let mut notes = Vec::new();
    if !placed.away.is_empty() {
        let names = placed.away.iter().map(|&guest| {
            let guest = &pool.guests[guest];
            format!("{} to {}", guest.view.id, pool.hosts[guest.home].view.id)
        });
        let names: Vec<String> = names.collect();
        notes.push(format!(
            "{} guests cannot be brought back, for lack of room there or on the way, and stay where the roll put them: \
             {}",
            names.len(),
            list(&names)
        ));
    }
    if !placed.uneven.is_empty() {
        let names: Vec<String> =
            placed.uneven.iter().map(|&host| pool.hosts[host].view.id.to_string()).collect();
        notes.push(format!(
            "{} hosts keep more than {EVEN_PERCENT} % of the average load, since none of their guests fits elsewhere: {}",
            names.len(),
            list(&names)
        ));
    }
    notes
}

/// Names, not more than a person reads.
pub(crate) fn list(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown = names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
