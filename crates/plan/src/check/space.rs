//! Whether every place that is written has room.

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::{Found, bytes};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "space", title: "every place that is written has room", pages: &[MISSING], run };

const MISSING: Page = Page {
    code: "space-missing",
    title: "a place that is written during the upgrade is too small",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: free bytes of every place that an upgrade writes (banks, staging area, state), \
               against what the release needs there",
    means: "The transfer or the installation would end in the middle. The host stays with its old bank, but its turn \
            is lost.",
    remedy: "Free the bytes that the finding names, in the place that it names. If a bank itself is too small, the disk \
             must be partitioned anew: `lifeboat bank init`.",
    undo: "",
    incidents: &["I-04", "I-29"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if pool.target.is_none() {
        found.unknown("no release was named, so what it needs is not known: add --release BUNDLE");
    }
    for (host, spaces) in found.facts(pool, "free space", |host| host.turn, |facts| &facts.spaces) {
        for space in spaces.iter().filter(|space| space.free < space.needed) {
            let name = host.name();
            let missing = space.needed - space.free;
            found.add(
                &MISSING,
                name,
                format!(
                    "{}: {} free, {} needed, {} missing ({missing} bytes)",
                    space.place,
                    bytes(space.free),
                    bytes(space.needed),
                    bytes(missing)
                ),
                format!(
                    "free {} in {} of {name}, or leave the host out: lifeboat plan create POOL … --exclude {name}",
                    bytes(missing),
                    space.place
                ),
            );
        }
    }
}
