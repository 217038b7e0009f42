//! Whether guests start with their host.

use std::collections::BTreeMap;

use lifeboat_model::{FeatureKind, GuestId, HostId, Severity};

use super::catalogue::Page;
use super::found::{Found, count, names};
use super::pool::{Pool, RESTORED, suspended};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "auto-power-on",
    title: "guests that start with their host",
    pages: &[ON, WOULD_START],
    run,
};

const ON: Page = Page {
    code: "auto-start-on",
    title: "guests start with their host, and the roll suspends that",
    severity: Severity::Note,
    looks_at: "the pool's setting",
    means: "Each host that reboots would start guests that somebody has shut down, or that run elsewhere by then.",
    remedy: "Nothing: the roll suspends it before the first host and restores exactly its value after the last.",
    undo: RESTORED,
    incidents: &["I-22"],
};

const WOULD_START: Page = Page {
    code: "guest-would-start",
    title: "guests that are shut down would start when their host reboots",
    severity: Severity::Warning,
    looks_at: "guests on hosts with a turn that do not run and start with their host, in a pool where the roll cannot \
               suspend that",
    means: "The guests run after the upgrade although somebody shut them down, and take room that the plan counts as \
            free.",
    remedy: "Switch the start with the host off for these guests, if they shall stay down.",
    undo: "Switch it on again when the roll has ended.",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let survey = pool.ground.survey;
    if let Some(feature) = pool.feature(FeatureKind::AutoPowerOn) {
        let evidence = format!("its value is \"{}\"", feature.value);
        found.add(&ON, pool.name(), evidence, suspended(&feature.value));
        return;
    }
    if !survey.guests_known {
        found.unknown("the driver does not tell which guests start with their host");
    }
    let mut by_host: BTreeMap<&HostId, Vec<&GuestId>> = BTreeMap::new();
    for (id, _) in survey.guests.iter().filter(|(_, facts)| facts.auto_start) {
        if let Some(guest) = survey.world.guest(id).filter(|guest| !guest.running) {
            by_host.entry(&guest.host).or_default().push(id);
        }
    }
    for (host, guests) in by_host {
        if pool.host(host).is_some_and(|host| host.turn) {
            found.add(
                &WOULD_START,
                host,
                format!("{} down and would start with {host}: {}", are(guests.len()), names(guests)),
                "switch the start with the host off for them, if they shall stay down",
            );
        }
    }
}

fn are(guests: usize) -> String {
    format!("{} {}", count(guests, "guest"), if guests == 1 { "is" } else { "are" })
}
