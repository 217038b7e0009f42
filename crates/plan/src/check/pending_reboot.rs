//! Whether a host waits for a reboot.

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::{Found, names};
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "pending-reboot", title: "no host waits for a reboot", pages: &[PENDING], run };

const PENDING: Page = Page {
    code: "pending-reboot",
    title: "a host waits for a reboot",
    severity: Severity::Warning,
    looks_at: "every host with a turn: whether something was installed or set since its last boot that needs another",
    means: "What runs is not what is installed, so the state that would be saved and carried over is not the one that \
            was tested. An upgrade on top of it is refused by some products with \"incompatible\" and no reason.",
    remedy: "Nothing: within its turn, when the host is empty and before the release is brought to it, the roll reboots \
             it. Its turn takes one boot longer. To do it yourself: one host after the other, the coordinator first.",
    undo: "",
    incidents: &["I-03"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let coordinator = pool.ground.survey.world.coordinator();
    let known =
        found.facts(pool, "whether a reboot is pending", |host| host.turn, |facts| &facts.pending_reboot);
    let mut waiting: Vec<_> = known.into_iter().filter(|(_, reasons)| !reasons.is_empty()).collect();
    waiting.sort_by_key(|(host, _)| coordinator != Some(&host.view.id));
    for (host, reasons) in waiting {
        let name = host.name();
        found.add(
            &PENDING,
            name,
            format!("since its last boot: {}", names(reasons)),
            format!("nothing: the roll reboots {name} within its turn, before the release is brought to it"),
        );
    }
}
