//! What it costs to spread guests evenly after the last host.
//!
//! Owns: one simple way to do it, the same for all. Promises: no host ends with more than 1.10 times the average load
//! unless it is counted as uneven. Does not: claim that fewer moves are impossible.

use std::collections::BTreeSet;

use super::field::Field;

/// Moves guests from the fullest hosts to the emptiest until every host has at most 1.10 times the average load.
pub(crate) fn spread(mut field: Field) -> super::field::Cost {
    let limit = field.load() / field.hosts().max(1) as u64 * 11 / 10;
    let mut loads: BTreeSet<(u64, usize)> =
        (0..field.hosts()).map(|host| (field.load_of(host), host)).collect();
    let mut cost = field.cost.clone();
    while let Some(&(load, host)) = loads.last().filter(|entry| entry.0 > limit) {
        let Some((guest, to)) = choose(&field, &loads, host, load - limit, limit) else {
            loads.remove(&(load, host));
            cost.uneven += 1;
            continue;
        };
        loads.remove(&(load, host));
        loads.remove(&(field.load_of(to), to));
        field.put(guest, to);
        loads.insert((field.load_of(host), host));
        loads.insert((field.load_of(to), to));
        cost.even_moves += 1;
        cost.even_mib += field.size[guest];
    }
    cost
}

/// The smallest guest that ends the excess, else the largest that the emptiest hosts can take within the limit.
fn choose(
    field: &Field,
    loads: &BTreeSet<(u64, usize)>,
    host: usize,
    excess: u64,
    limit: u64,
) -> Option<(usize, usize)> {
    let guests = field.movers(host);
    let enough = guests.iter().rev().filter(|&&guest| field.size[guest] >= excess);
    let less = guests.iter().filter(|&&guest| field.size[guest] < excess);
    enough.chain(less).find_map(|&guest| {
        let fits = |entry: &&(u64, usize)| entry.0 + field.size[guest] <= limit;
        let mut targets = loads.iter().take_while(fits).map(|entry| entry.1);
        targets.find(|&to| field.may(guest, to)).map(|to| (guest, to))
    })
}
