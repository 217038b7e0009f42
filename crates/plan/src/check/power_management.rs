//! Whether power management is on.

use lifeboat_model::{FeatureKind, Severity};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Pool, RESTORED, suspended};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "power-management", title: "power management", pages: &[ON], run };

const ON: Page = Page {
    code: "power-management-on",
    title: "power management is on, and the roll suspends it",
    severity: Severity::Warning,
    looks_at: "the pool's setting",
    means: "It switches idle hosts off: a host that the roll has just emptied would go down under the upgrade, and \
            hosts that are to take guests would not be there.",
    remedy: "Nothing: the roll suspends it before the first host and restores exactly its value after the last. \
             Switch on hosts that it has switched off already: they are not counted as room.",
    undo: RESTORED,
    incidents: &["I-02"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if let Some(feature) = pool.feature(FeatureKind::PowerManagement) {
        let silent = pool.hosts.iter().filter(|host| !host.view.reachable).count();
        let off = if silent > 0 {
            format!("; {silent} of {} hosts do not answer", pool.hosts.len())
        } else {
            String::new()
        };
        found.add(
            &ON,
            pool.name(),
            format!("its value is \"{}\"{off}", feature.value),
            suspended(&feature.value),
        );
    }
}
