//! Which guests would be lost with their host.

use std::collections::BTreeMap;

use lifeboat_model::{HostId, Severity};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "local-guests", title: "which guests would be lost with their host", pages: &[LOCAL], run };

const LOCAL: Page = Page {
    code: "guests-only-on-host",
    title: "guests have disks that only their host has",
    severity: Severity::Warning,
    looks_at: "guests of hosts with a turn, running or not: disks on storage of the host itself",
    means: "The upgrade does not touch them. But if the host had to be installed anew, they would be lost.",
    remedy: "Be sure that each has a backup that can be restored, or move its disks to a shared storage.",
    undo: "",
    incidents: &["I-08"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let survey = pool.ground.survey;
    if !survey.guests_known {
        found.unknown("the driver does not tell which guests have local disks");
    }
    let mut by_host: BTreeMap<&HostId, Vec<&str>> = BTreeMap::new();
    for (id, _) in survey.guests.iter().filter(|(_, facts)| facts.local_disk.is_some()) {
        if let Some(guest) = survey.world.guest(id) {
            by_host.entry(&guest.host).or_default().push(id.as_str());
        }
    }
    for (host, guests) in by_host {
        if pool.host(host).is_some_and(|host| host.turn) {
            found.add(
                &LOCAL,
                host,
                format!("{} with disks on {host} alone: {}", count(guests.len(), "guest"), names(&guests)),
                "be sure that each has a backup that can be restored",
            );
        }
    }
}
