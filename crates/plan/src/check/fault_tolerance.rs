//! Whether guests run in lock step.

use lifeboat_model::{FeatureKind, GuestStrategy, Severity};

use super::catalogue::Page;
use super::found::{Found, names};
use super::pool::{Pool, RESTORED, suspended};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "fault-tolerance", title: "fault tolerance", pages: &[ON, GUEST], run };

const ON: Page = Page {
    code: "fault-tolerance-on",
    title: "fault tolerance is on, and the roll suspends it",
    severity: Severity::Warning,
    looks_at: "the pool's setting",
    means: "A guest with a second copy in lock step cannot be moved freely. While it is suspended such guests have no \
            second copy: one is down if its host is lost.",
    remedy: "Nothing: the roll suspends it before the first host and restores exactly its value after the last.",
    undo: RESTORED,
    incidents: &["I-22"],
};

const GUEST: Page = Page {
    code: "guest-in-lock-step",
    title: "a guest runs in lock step, and the roll cannot suspend that",
    severity: Severity::Blocker,
    looks_at: "guests with a second copy on hosts with a turn, in a pool that has no fault tolerance to suspend",
    means: "The guest cannot be moved, so its host cannot be emptied.",
    remedy: "Switch fault tolerance of the guest off for the time of the roll.",
    undo: "Switch it on again when the roll has ended.",
    incidents: &["I-23"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let twins =
        || pool.guests_with_turn().filter(|(guest, _)| guest.facts.is_some_and(|facts| facts.fault_tolerant));
    if !pool.ground.survey.guests_known {
        found.unknown("the driver does not tell which guests run in lock step");
    }
    if let Some(feature) = pool.feature(FeatureKind::FaultTolerance) {
        let evidence = match names(twins().map(|(guest, _)| &guest.view.id)) {
            list if list.is_empty() => format!("its value is \"{}\"", feature.value),
            list => format!("its value is \"{}\"; in lock step: {list}", feature.value),
        };
        found.add(&ON, pool.name(), evidence, suspended(&feature.value));
        return;
    }
    for (guest, host) in twins().filter(|(guest, _)| guest.strategy == GuestStrategy::Migrate) {
        let name = &guest.view.id;
        found.add(
            &GUEST,
            name,
            format!("guest {name} on {} has a second copy in lock step", host.name()),
            format!("switch fault tolerance of {name} off for the time of the roll"),
        );
    }
}
