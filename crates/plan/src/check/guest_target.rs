//! Whether there is another host on which each guest could run, and whether networks and storages are on all hosts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Guest, Host, Pool, mib};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "guest-target",
    title: "every guest has another host on which it could run",
    pages: &[NO_TARGET, TOO_LARGE, NETWORK, STORAGE],
    run,
};

const NO_TARGET: Page = Page {
    code: "guest-without-target",
    title: "no other host offers what a guest needs",
    severity: Severity::Blocker,
    looks_at: "running guests that are to be moved from hosts with a turn: the networks, storages and CPU features that \
               they need, and what every other host in service offers",
    means: "The guest cannot be moved anywhere, so its host cannot be emptied and is not upgraded. It is never skipped.",
    remedy: "Give another host what the finding names (connect the network or storage there), or let the guest be down \
             while its host is upgraded: `strategy = \"stop-start\"`.",
    undo: "With `stop-start` the roll starts the guest again.",
    incidents: &["I-23"],
};

const TOO_LARGE: Page = Page {
    code: "guest-too-large",
    title: "a guest has more memory than any other host that it could run on",
    severity: Severity::Blocker,
    looks_at: "running guests that are to be moved from hosts with a turn: their memory, against all memory of the \
               largest other host that offers what they need",
    means: "The guest has nowhere to go even if that host were empty, so its own host cannot be emptied.",
    remedy: "Give the guest less memory, add a larger host, or let the guest be down while its host is upgraded: \
             `strategy = \"stop-start\"`.",
    undo: "With `stop-start` the roll starts the guest again. Memory that you took you give back by hand.",
    incidents: &["I-23"],
};

const NETWORK: Page = Page {
    code: "network-not-on-every-host",
    title: "a network that guests need is not on every host",
    severity: Severity::Warning,
    looks_at: "networks that running guests need, and every host in service",
    means: "These guests can be moved to fewer hosts; the roll may take more moves, or find no room for them.",
    remedy: "Connect the network on the hosts that the finding names, or accept it.",
    undo: "",
    incidents: &[],
};

const STORAGE: Page = Page {
    code: "storage-not-on-every-host",
    title: "a storage that guests need is not on every host",
    severity: Severity::Warning,
    looks_at: "storages that running guests need, and every host in service",
    means: "These guests can be moved to fewer hosts; the roll may take more moves, or find no room for them.",
    remedy: "Connect the storage on the hosts that the finding names, or accept it.",
    undo: "",
    incidents: &["I-16"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let offers = Offers::new(pool);
    // Guests with the same needs have the same candidates.
    let mut known: HashMap<&BTreeSet<String>, [Option<usize>; 2]> = HashMap::new();
    let mut needed: BTreeMap<&str, usize> = BTreeMap::new();
    for (guest, host) in pool.guests_with_turn().filter(|(guest, _)| guest.moves()) {
        for need in &guest.view.needs {
            *needed.entry(need).or_default() += 1;
        }
        let largest =
            *known.entry(&guest.view.needs).or_insert_with(|| offers.largest_two(&guest.view.needs));
        // The largest host that is not its own.
        let target = largest.into_iter().flatten().find(|&target| target != guest.host);
        match target.and_then(|target| pool.hosts.get(target)) {
            None => without_target(&offers, guest, host, found),
            Some(target) if target.view.memory < guest.view.memory => too_large(guest, host, target, found),
            Some(_) => {}
        }
    }
    for (need, guests) in needed {
        let page = match need.split_once(':') {
            Some(("net", _)) => &NETWORK,
            Some(("storage", _)) => &STORAGE,
            Some(_) | None => continue,
        };
        not_everywhere(&offers, page, need, guests, found);
    }
}

/// What the hosts in service offer.
struct Offers<'p, 'a> {
    pool: &'p Pool<'a>,
    /// Hosts in service, the largest first.
    by_size: Vec<usize>,
    /// Those that offer something, in the same order.
    of: HashMap<&'a str, Vec<usize>>,
}

impl<'p, 'a> Offers<'p, 'a> {
    fn new(pool: &'p Pool<'a>) -> Self {
        let mut by_size: Vec<usize> = (0..pool.hosts.len())
            .filter(|&host| pool.hosts.get(host).is_some_and(|host| host.in_service))
            .collect();
        by_size.sort_by_key(|&host| std::cmp::Reverse(pool.hosts.get(host).map(|host| host.view.memory)));
        let mut of: HashMap<&'a str, Vec<usize>> = HashMap::new();
        for &host in &by_size {
            for offer in pool.hosts.get(host).into_iter().flat_map(|host| &host.view.offers) {
                of.entry(offer).or_default().push(host);
            }
        }
        Self { pool, by_size, of }
    }

    fn hosts_with(&self, need: &str) -> &[usize] {
        self.of.get(need).map_or(&[], Vec::as_slice)
    }

    /// The two largest hosts that offer all of this.
    fn largest_two(&self, needs: &BTreeSet<String>) -> [Option<usize>; 2] {
        // From the rarest need: what remains to be compared is short.
        let rarest = needs.iter().map(|need| self.hosts_with(need)).min_by_key(|hosts| hosts.len());
        let mut all =
            rarest.unwrap_or(&self.by_size).iter().copied().filter(|&host| {
                self.pool.hosts.get(host).is_some_and(|host| needs.is_subset(&host.view.offers))
            });
        [all.next(), all.next()]
    }
}

fn without_target(offers: &Offers<'_, '_>, guest: &Guest<'_>, host: &Host<'_>, found: &mut Found) {
    let (name, own) = (&guest.view.id, host.name());
    let nowhere = |need: &&String| offers.hosts_with(need).iter().all(|&host| host == guest.host);
    let missing: Vec<&String> = guest.view.needs.iter().filter(nowhere).collect();
    let (why, remedy) = if offers.by_size.iter().all(|&host| host == guest.host) {
        ("there is no other host in service".to_owned(), "bring another host into service".to_owned())
    } else if missing.is_empty() {
        let needs = names(&guest.view.needs);
        (format!("no other host offers all of {needs}"), "give one other host all of it".to_owned())
    } else {
        let list = names(missing);
        (format!("no other host offers {list}"), format!("give another host {list}"))
    };
    found.add(
        &NO_TARGET,
        name,
        format!("it runs on {own} and needs {}; {why}", guest.view.memory),
        format!("{remedy}, or give {name} strategy = \"stop-start\" in the policy"),
    );
}

fn too_large(guest: &Guest<'_>, host: &Host<'_>, target: &Host<'_>, found: &mut Found) {
    let name = &guest.view.id;
    found.add(
        &TOO_LARGE,
        name,
        format!(
            "it runs on {} and needs {}; the largest other host that it could run on is {} with {}: {} are missing",
            host.name(),
            guest.view.memory,
            target.name(),
            target.view.memory,
            mib(guest.view.memory.0.saturating_sub(target.view.memory.0))
        ),
        format!("give {name} less memory, add a larger host, or give it strategy = \"stop-start\" in the policy"),
    );
}

fn not_everywhere(offers: &Offers<'_, '_>, page: &Page, need: &str, guests: usize, found: &mut Found) {
    let (with, all) = (offers.hosts_with(need), offers.by_size.len());
    if with.is_empty() || with.len() == all {
        // On no host at all: each guest is named above.
        return;
    }
    // Both lists have the same order, so those that are missing come out in one pass.
    let mut have = with.iter().peekable();
    let lacking = offers.by_size.iter().filter(|host| have.next_if_eq(host).is_none());
    let lacking = lacking.filter_map(|&host| offers.pool.hosts.get(host).map(Host::name));
    let lacking = names(lacking);
    found.add(
        page,
        need,
        format!(
            "{} of {all} hosts in service offer it, {} need it; not on {lacking}",
            with.len(),
            count(guests, "guest")
        ),
        format!("connect it on {lacking}, or accept it"),
    );
}
