//! Whether every host answers.

use lifeboat_model::Severity;

use super::catalogue::Page;
use super::found::Found;
use super::pool::Pool;
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "host-reachable", title: "every host answers", pages: &[EMPTY, UNREACHABLE, OUT], run };

const EMPTY: Page = Page {
    code: "pool-without-hosts",
    title: "the pool has no hosts",
    severity: Severity::Blocker,
    looks_at: "the hosts of the pool",
    means: "There is nothing to look at, and nothing to plan for. All other checks are silent.",
    remedy: "Look whether the right pool was named (`lifeboat pool list`), or add hosts to it.",
    undo: "",
    incidents: &[],
};

const UNREACHABLE: Page = Page {
    code: "host-unreachable",
    title: "a host that is to be upgraded does not answer",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: whether its driver or agent answers",
    means: "Nothing is known of its banks and guests. A roll that meets it would wait for it until the time limit.",
    remedy: "Bring the host back: its power, its management network, its agent. Or leave it out: `lifeboat plan create \
             POOL --exclude HOST`. A member that was upgraded before its coordinator may have lost its networks: see \
             `coordinator-behind`.",
    undo: "",
    incidents: &["I-11"],
};

const OUT: Page = Page {
    code: "host-out-of-service",
    title: "a host without a turn takes no guests",
    severity: Severity::Warning,
    looks_at: "hosts that run the release already or that the plan leaves out: whether they answer and are not in \
               maintenance",
    means: "It cannot take guests of other hosts: there is less room during the roll. It is not counted anywhere.",
    remedy: "Bring it back into service before the roll, or be content with the room that the others have: the \
             check `capacity` counts without it.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let coordinator = pool.ground.survey.world.coordinator();
    if pool.hosts.is_empty() {
        found.add(&EMPTY, pool.name(), "the driver names no hosts", "look whether the right pool was named");
    }
    for host in &pool.hosts {
        let name = host.name();
        if host.turn && !host.view.reachable {
            let also = if coordinator == Some(&host.view.id) {
                "; it is the pool's coordinator, so what the others say may be old"
            } else {
                ""
            };
            found.add(
                &UNREACHABLE,
                name,
                format!("the host does not answer{also}"),
                format!("bring {name} back, or leave it out: lifeboat plan create POOL --exclude {name}"),
            );
        } else if !host.turn && !host.in_service {
            let why = if host.view.reachable { "is in maintenance" } else { "does not answer" };
            found.add(
                &OUT,
                name,
                format!("the host {why}; its {} of memory are not counted as room", host.view.memory),
                format!("bring {name} back into service if the others need its room"),
            );
        }
    }
}
