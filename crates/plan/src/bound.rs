//! What no plan can go below.
//!
//! Owns: the lower bounds of moves, moved memory, time and lost capacity for the hosts that have a turn. Promises:
//! each is a true bound for the order that the policy asks for, whatever the placement. Does not: claim that a plan
//! reaches it.
//!
//! Every guest that runs on a host that has a turn, and that the policy moves, moves once: `V`. The guests of the first host can end only on hosts
//! that have no turn (upgraded before, or staying old); those that do not fit there land on a host whose turn comes,
//! and move again.

use lifeboat_model::{Placement, Policy};

use crate::layout::Layout;
use crate::options::Timing;
use crate::placement::Placed;
use crate::pool::Pool;
use crate::ramp::Rules;
use crate::room::Role;
use crate::standing::Spare;

/// All that figures are counted from.
pub(crate) struct Ground<'g, 'w> {
    pub(crate) pool: &'g Pool<'w>,
    pub(crate) roles: &'g [Role],
    pub(crate) layout: &'g Layout,
    pub(crate) rules: &'g Rules,
    pub(crate) spare: Spare,
    pub(crate) policy: &'g Policy,
}

/// The bounds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) moves: u64,
    /// Of these, moves in turns of hosts; more may come with the placement.
    pub(crate) in_turns: u64,
    /// MiB.
    pub(crate) moved: u64,
    /// Milliseconds.
    pub(crate) makespan: u64,
    /// MiB.
    pub(crate) unavailable: u64,
}

/// Bounds for the hosts of the layout.
pub(crate) fn bounds(ground: &Ground<'_, '_>, timing: &Timing, placed: &Placed) -> Bounds {
    let pool = ground.pool;
    let turns: Vec<usize> = ground.layout.steps.iter().map(|step| step.host).collect();
    if turns.is_empty() {
        return Bounds::default();
    }
    // Who goes last is not first, unless nobody else has a turn.
    let mut firsts: Vec<usize> =
        turns.iter().copied().filter(|host| !ground.rules.last.contains(host)).collect();
    if let Some(first) = ground.rules.first {
        firsts = vec![first];
    } else if firsts.is_empty() {
        firsts.clone_from(&turns);
    }
    let lasting = lasting_room(ground, &turns);
    let guests = |host: usize| pool.hosts[host].guests.len();
    let again = firsts.iter().map(|&host| moves_again(pool, host, lasting)).min().unwrap_or(0);
    let memory_again =
        firsts.iter().map(|&host| pool.hosts[host].moving.saturating_sub(lasting)).min().unwrap_or(0);
    let load = turns.iter().map(|&host| pool.hosts[host].moving).sum::<u64>();
    let once = turns.iter().map(|&host| guests(host)).sum::<usize>();
    let in_turns = (once + again) as u64;
    let back = back(ground, placed);
    Bounds {
        in_turns,
        moves: in_turns.max(once as u64 + back.0),
        moved: (load + memory_again).max(load + back.1),
        makespan: makespan(ground, timing, &turns),
        unavailable: turns.iter().map(|&host| pool.hosts[host].memory).max().unwrap_or(0),
    }
}

/// Guests that end where they were before the roll though their host had a turn, and their memory: each of them moves
/// away and back.
fn back(ground: &Ground<'_, '_>, placed: &Placed) -> (u64, u64) {
    if ground.policy.placement != Placement::Restore {
        return (0, 0);
    }
    let turns = ground.layout.steps.iter().flat_map(|step| &ground.pool.hosts[step.host].guests);
    let memory = |guest: usize| ground.pool.guests[guest].memory;
    let (mut guests, mut total) = (0, 0);
    for &guest in turns {
        guests += 1;
        total += memory(guest);
    }
    let away = placed.away.iter().map(|&guest| memory(guest)).sum::<u64>();
    (guests - placed.away.len() as u64, total - away)
}

/// Room on hosts that have no turn: a guest that goes there need not move again.
fn lasting_room(ground: &Ground<'_, '_>, turns: &[usize]) -> u64 {
    let mut has_turn = vec![false; ground.pool.hosts.len()];
    for &host in turns {
        has_turn[host] = true;
    }
    let hosts = ground.pool.hosts.iter().zip(ground.roles).zip(has_turn);
    let lasting = hosts.filter(|((_, role), turn)| !turn && **role != Role::None);
    lasting.map(|((host, _), _)| host.memory.saturating_sub(host.load)).sum()
}

/// How many guests of a host at least do not fit into `room`, the smallest going first.
fn moves_again(pool: &Pool<'_>, host: usize, room: u64) -> usize {
    let guests = &pool.hosts[host].guests;
    let mut used = 0;
    let fit = guests.iter().rev().take_while(|&&guest| {
        used += pool.guests[guest].memory;
        used <= room
    });
    guests.len() - fit.count()
}

/// `max(ceil(n/D) · upgrade + shortest drain, Σ(drain + upgrade) / K) + soak`: K hosts have their turn at once by the
/// policy, D of them can be down at once since the guests must be elsewhere.
fn makespan(ground: &Ground<'_, '_>, timing: &Timing, turns: &[usize]) -> u64 {
    let lanes = ground.policy.migrations_per_host;
    let drains = || {
        turns.iter().map(|&host| {
            let host = &ground.pool.hosts[host];
            timing.drain(host.moving, host.guests.len() as u64, lanes)
        })
    };
    let count = turns.len() as u64;
    let allowed = ground.policy.in_flight_of(ground.pool.hosts.len());
    let down = down_at_once(ground, turns, allowed) as u64;
    let in_rounds = count.div_ceil(down) * timing.upgrade.0 + drains().min().unwrap_or(0);
    let in_work = (drains().sum::<u64>() + count * timing.upgrade.0) / allowed as u64;
    let soak = if count > 1 { ground.policy.soak.0 } else { 0 };
    in_rounds.max(in_work) + soak
}

/// Most hosts that can be down at once: so many of the smallest as the spare memory covers. Guests that are down with
/// their host need no room elsewhere.
fn down_at_once(ground: &Ground<'_, '_>, turns: &[usize], allowed: usize) -> usize {
    let mut sizes: Vec<u64> = turns.iter().map(|&host| ground.pool.hosts[host].lost()).collect();
    sizes.sort_unstable();
    let mut out = 0;
    let fit = sizes.into_iter().take_while(|size| {
        out += size;
        out <= ground.spare.usable()
    });
    fit.take(allowed).count().max(1)
}
