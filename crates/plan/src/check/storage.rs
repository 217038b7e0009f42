//! Whether every storage is reached by all its paths.

use lifeboat_model::{Fix, Severity};

use super::catalogue::Page;
use super::found::{Found, uneven};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "storage",
    title: "every storage is reached by all its paths",
    pages: &[GONE, LOST, UNEVEN],
    run,
};

const GONE: Page = Page {
    code: "storage-not-reached",
    title: "a host does not reach a storage at all",
    severity: Severity::Blocker,
    looks_at: "every host that answers: paths to its storages",
    means: "Guests that need it cannot run on this host: neither stay there nor come there.",
    remedy: "Plug the storage in again. *A program can do it*: `lifeboat check run POOL --fix`. If that does not help: \
             cable, switch port, zoning, login of the target.",
    undo: "",
    incidents: &["I-16"],
};

const LOST: Page = Page {
    code: "storage-path-lost",
    title: "a host has lost paths to a storage",
    severity: Severity::Warning,
    looks_at: "every host that answers: paths to its storages",
    means: "The remaining paths carry the load; after a reboot they may be fewer. Paths that are lost before the \
            upgrade would be blamed on it.",
    remedy: "Plug the storage in again. *A program can do it*: `lifeboat check run POOL --fix`. If that does not help: \
             cable, switch port, zoning, login of the target.",
    undo: "",
    incidents: &["I-16"],
};

const UNEVEN: Page = Page {
    code: "storage-missing-on-host",
    title: "a storage of the pool is not on every host",
    severity: Severity::Warning,
    looks_at: "storages that at least two hosts have, and every host in service; those that running guests need stand \
               under `storage-not-on-every-host`",
    means: "Guests whose disks come to be there can be moved to fewer hosts.",
    remedy: "Connect the storage on the hosts that the finding names, or accept it.",
    undo: "",
    incidents: &["I-16"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let known = found.facts(pool, "storage paths", |host| host.view.reachable, |facts| &facts.storages);
    for (host, storages) in &known {
        for storage in storages.iter().filter(|storage| storage.alive < storage.paths) {
            let page = if storage.alive == 0 { &GONE } else { &LOST };
            found
                .add(
                    page,
                    host.name(),
                    format!("{}: {} of {} paths work", storage.name, storage.alive, storage.paths),
                    format!(
                        "plug {} of {} in again: lifeboat check run POOL --fix does so",
                        storage.name,
                        host.name()
                    ),
                )
                .fix = Some(Fix::RescanStorage { host: host.view.id.clone(), storage: storage.name.clone() });
        }
    }
    let needed = pool.needed("storage:");
    let in_service = known.iter().filter(|(host, _)| host.in_service);
    let have = in_service.map(|(host, storages)| {
        (host.name(), storages.iter().map(|storage| storage.name.as_str()).collect())
    });
    let have: Vec<_> = have.collect();
    for storage in uneven(&have).into_iter().filter(|storage| !needed.contains_key(storage.name)) {
        found.add(
            &UNEVEN,
            storage.name,
            format!("{} of {} hosts in service have it; not {}", storage.with, have.len(), storage.lacking),
            format!("connect it on {}, or accept it", storage.lacking),
        );
    }
}
