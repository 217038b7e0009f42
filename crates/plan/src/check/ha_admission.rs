//! Whether admission control of high availability keeps hosts from entering maintenance.

use lifeboat_model::{FeatureKind, Severity};

use super::catalogue::Page;
use super::found::{Found, count};
use super::pool::{Figures, Pool, RESTORED, mib, suspended};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "ha-admission-control",
    title: "admission control of high availability",
    pages: &[ON],
    run,
};

const ON: Page = Page {
    code: "ha-admission-control-on",
    title: "admission control is on, and the roll suspends it",
    severity: Severity::Warning,
    looks_at: "the pool's setting, what it keeps free, and what would remain with one host out of service",
    means: "It refuses that a host enters maintenance when less would remain than it keeps free; some products then \
            say only that the operation is not supported. While it is suspended, guests can be started until nothing \
            is free for the loss of a host.",
    remedy: "Nothing: the roll suspends it before the first host and restores exactly its value after the last. Do not \
             start further guests meanwhile. The policy's `reserve-hosts` keeps room free during the roll.",
    undo: RESTORED,
    incidents: &["I-01"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let admission = pool.ground.survey.pool.admission.known();
    let Some(feature) = pool.feature(FeatureKind::HaAdmissionControl) else { return };
    if admission.is_none() {
        found.unknown("the driver does not tell what admission control keeps free");
    }
    let figures = pool.figures();
    let largest = figures.of_largest(1);
    let remaining = figures.memory.saturating_sub(largest);
    let kept = match admission {
        Some(Some(admission)) => {
            kept(&figures, remaining, usize::try_from(admission.hosts).unwrap_or(usize::MAX))
        }
        Some(None) | None => String::new(),
    };
    found.add(
        &ON,
        pool.name(),
        format!(
            "its value is \"{}\"; {} with {} in service, guests use {}; with the largest ({}) out of service {} \
             remain{kept}",
            feature.value,
            count(figures.hosts, "host"),
            mib(figures.memory),
            mib(figures.load),
            mib(largest),
            mib(remaining)
        ),
        suspended(&feature.value),
    );
}

/// What remains for guests when one host is out of service and admission control keeps the room of so many.
fn kept(figures: &Figures, remaining: u64, hosts: usize) -> String {
    // The largest is the one that is out of service; of the others the largest ones may be lost.
    let kept = figures.of_largest(hosts.saturating_add(1)).saturating_sub(figures.of_largest(1));
    let usable = remaining.saturating_sub(kept);
    let verdict = match figures.load.saturating_sub(usable) {
        0 => "enough, but it may still refuse".to_owned(),
        short => format!("{} too little, so it would refuse maintenance", mib(short)),
    };
    format!(
        ", of which it keeps {} for the loss of {}: {} for guests that use {}, {verdict}",
        mib(kept),
        count(hosts, "more host"),
        mib(usable),
        mib(figures.load)
    )
}
