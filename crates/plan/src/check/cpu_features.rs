//! What hosts offer to guests before and after the upgrade.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "cpu-features",
    title: "guests can run on upgraded hosts, and go back to old ones",
    pages: &[CPU_LOST, OFFER_LOST, FEWER, GAINED],
    run,
};

const CPU_LOST: Page = Page {
    code: "cpu-feature-lost",
    title: "guests need a CPU feature that no host offers after the upgrade",
    severity: Severity::Blocker,
    looks_at: "CPU features that running guests need, and what every host offers when it runs the release",
    means: "A guest that was started with the feature cannot be moved from an old host to an upgraded one. The roll \
            would stop when no old host has room any more.",
    remedy: "Restart these guests without the feature (a lower CPU model) before the roll, or let them be down while \
             their host is upgraded: `strategy = \"stop-start\"`. Ask the maker why the release drops it.",
    undo: "",
    incidents: &["I-23"],
};

const OFFER_LOST: Page = Page {
    code: "offer-lost",
    title: "guests need a network or storage that no host offers after the upgrade",
    severity: Severity::Blocker,
    looks_at: "networks, storages and whatever else running guests need, and what every host offers when it runs the \
               release",
    means: "Guests that need it cannot run on any upgraded host.",
    remedy: "Look whether the release lacks a driver. Use another release, or move these guests to another network or \
             storage first.",
    undo: "",
    incidents: &["I-23"],
};

const FEWER: Page = Page {
    code: "offer-on-fewer-hosts",
    title: "something that guests need is on fewer hosts after the upgrade",
    severity: Severity::Warning,
    looks_at: "what running guests need, and what every host offers now and when it runs the release",
    means: "These guests can be moved to fewer of the upgraded hosts; the roll may find no room for them.",
    remedy: "Look why these hosts lose it: different hardware, or a driver that the release lacks. Leave them out if \
             the others have too little room: `lifeboat plan create POOL --exclude HOST`.",
    undo: "",
    incidents: &[],
};

const GAINED: Page = Page {
    code: "cpu-feature-gained",
    title: "upgraded hosts offer a CPU feature that old ones do not",
    severity: Severity::Warning,
    looks_at: "CPU features that every host offers now and when it runs the release",
    means: "A guest that is started on an upgraded host may use the feature, and then cannot be moved back to an old \
            host: bad when the roll stops half way or a host falls back. Guests that are only moved keep what they \
            had.",
    remedy: "Do not start guests by hand before the roll has ended, or give them a CPU model that old hosts have too. \
             Keep `spill = 0`: guests then never go from upgraded hosts to old ones.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if pool.target.is_none() {
        found.unknown("no release was named: add --release BUNDLE");
        return;
    }
    let known =
        found.facts(pool, "what it offers with the release", |host| host.turn, |facts| &facts.offers_after);
    let turns = pool.hosts.iter().filter(|host| host.turn).count();
    let all_known = known.len() == turns;
    // What a host offers now or after: hosts without a turn stay as they are.
    let stay = pool.in_service().filter(|host| !host.turn);
    let mut after: BTreeSet<&str> = stay.flat_map(|host| &host.view.offers).map(String::as_str).collect();
    let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut gained: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (host, offers) in known {
        after.extend(offers.iter().map(String::as_str));
        for offer in host.view.offers.difference(offers) {
            lost.entry(offer).or_default().push(host.name());
        }
        for offer in offers.difference(&host.view.offers).filter(|offer| offer.starts_with("cpu:")) {
            gained.entry(offer).or_default().push(host.name());
        }
    }
    let mut needed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (guest, _) in pool.guests_with_turn().filter(|(guest, _)| guest.moves()) {
        for need in guest.view.needs.iter().filter(|need| lost.contains_key(need.as_str())) {
            needed.entry(need).or_default().push(guest.view.id.as_str());
        }
    }
    for (offer, guests) in needed {
        let hosts = lost.get(offer).map_or(0, Vec::len);
        let list = names(lost.get(offer).into_iter().flatten());
        let need = format!("{} it: {}", needs(guests.len()), names(&guests));
        if all_known && !after.contains(offer) {
            let page = if offer.starts_with("cpu:") { &CPU_LOST } else { &OFFER_LOST };
            found.add(
                page,
                offer,
                format!("no host offers it when it runs the release; {need}"),
                "restart these guests without it before the roll, or give them strategy = \"stop-start\" if they can \
                 start without it",
            );
        } else {
            found.add(
                &FEWER,
                offer,
                format!("{} not offer it any more with the release: {list}; {need}", does(hosts)),
                format!("look why {list} lose{} it, or leave them out: lifeboat plan create POOL … --exclude HOST", s(hosts)),
            );
        }
    }
    for (offer, hosts) in gained {
        found.add(
            &GAINED,
            offer,
            format!(
                "{} of {turns} hosts with a turn offer it only with the release: {}",
                hosts.len(),
                names(&hosts)
            ),
            "start no guests by hand before the roll has ended, or give them a CPU model without it",
        );
    }
}

fn needs(guests: usize) -> String {
    format!("{} need{}", count(guests, "guest"), s(guests))
}

fn does(hosts: usize) -> String {
    format!("{} do{}", count(hosts, "host"), if hosts == 1 { "es" } else { "" })
}

/// The ending of a verb.
fn s(subjects: usize) -> &'static str {
    if subjects == 1 { "s" } else { "" }
}
