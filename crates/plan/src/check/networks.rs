//! Whether every network carries traffic.

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::{Found, count, uneven};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "networks", title: "every network carries traffic", pages: &[DOWN, UNUSED, UNEVEN], run };

const DOWN: Page = Page {
    code: "network-down",
    title: "a network that guests need is down on a host",
    severity: Severity::Blocker,
    looks_at: "every host that answers: whether its networks carry traffic, and which of them running guests need",
    means: "A guest that is moved there would run without its network, and look well from the pool's side.",
    remedy: "Look at cable, switch port and settings. Or take the host out of the pool until it is mended.",
    undo: "",
    incidents: &["I-11"],
};

const UNUSED: Page = Page {
    code: "unused-network-down",
    title: "a network that no guest needs is down on a host",
    severity: Severity::Note,
    looks_at: "every host that answers: whether its networks carry traffic, and which of them running guests need",
    means: "Nothing, for guests. If backups or the transfer of guests use it, they take longer or fail.",
    remedy: "Look at cable and switch port if it should be up.",
    undo: "",
    incidents: &[],
};

const UNEVEN: Page = Page {
    code: "network-missing-on-host",
    title: "a network of the pool is not on every host",
    severity: Severity::Warning,
    looks_at: "networks that at least two hosts have, and every host in service; those that running guests need stand \
               under `network-not-on-every-host`",
    means: "Guests that come to use it can be moved to fewer hosts; transfers and backups may miss it.",
    remedy: "Connect the network on the hosts that the finding names, or accept it.",
    undo: "",
    incidents: &["I-11"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let needed = pool.needed("net:");
    let known = found.facts(pool, "networks", |host| host.view.reachable, |facts| &facts.networks);
    for (host, links) in &known {
        for link in links.iter().filter(|link| !link.up) {
            let (name, network) = (host.name(), &link.name);
            match needed.get(network.as_str()) {
                Some(&guests) => found.add(
                    &DOWN,
                    name,
                    format!("{network} is down; {} of the pool need it", count(guests, "running guest")),
                    format!("look at cable, switch port and settings of {network} on {name}"),
                ),
                None => found.add(
                    &UNUSED,
                    name,
                    format!("{network} is down; no running guest needs it"),
                    format!("look at cable and switch port of {network} on {name} if it should be up"),
                ),
            };
        }
    }
    let in_service = known.iter().filter(|(host, _)| host.in_service);
    let have =
        in_service.map(|(host, links)| (host.name(), links.iter().map(|link| link.name.as_str()).collect()));
    let have: Vec<_> = have.collect();
    for network in uneven(&have).into_iter().filter(|network| !needed.contains_key(network.name)) {
        found.add(
            &UNEVEN,
            network.name,
            format!("{} of {} hosts in service have it; not {}", network.with, have.len(), network.lacking),
            format!("connect it on {}, or accept it", network.lacking),
        );
    }
}
