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
    severity: Severity::Blocker,
    looks_at: "every host with a turn: whether something was installed or set since its last boot that needs another",
    means: "What runs is not what is installed, so the state that would be saved and carried over is not the one that \
            was tested. An upgrade on top of it is refused, or ends with \"incompatible\" and no reason.",
    remedy: "Reboot the hosts one after the other, in the order of the roll (the coordinator first), each when it is \
             in maintenance and empty. Then run the check again.",
    undo: "",
    incidents: &["I-03"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let coordinator = pool.ground.survey.world.coordinator();
    let known =
        found.facts(pool, "whether a reboot is pending", |host| host.turn, |facts| &facts.pending_reboot);
    let mut waiting: Vec<_> = known.into_iter().filter(|(_, reasons)| !reasons.is_empty()).collect();
    waiting.sort_by_key(|(host, _)| coordinator != Some(&host.view.id));
    let all = waiting.len();
    for (at, (host, reasons)) in waiting.into_iter().enumerate() {
        let name = host.name();
        let order = if all > 1 { format!(" as number {} of {all}", at + 1) } else { String::new() };
        found.add(
            &PENDING,
            name,
            format!("since its last boot: {}", names(reasons)),
            format!("empty {name}, reboot it{order}, wait until it serves again"),
        );
    }
}
