//! Whether somebody else is at work in the pool.

use lifeboat_model::{Severity, Task, TaskKind, Timestamp};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Host, Pool};
use super::run::Check;

pub(super) const CHECK: Check = Check {
    name: "pool-settled",
    title: "nobody else is at work in the pool",
    pages: &[IN_MAINTENANCE, HOST_TASK, GUEST_TASK],
    run,
};

const IN_MAINTENANCE: Page = Page {
    code: "host-in-maintenance",
    title: "a host that is to be upgraded is in maintenance already",
    severity: Severity::Blocker,
    looks_at: "every host with a turn: whether it takes no new guests, and not by a roll of this installation",
    means: "Somebody works on it. A roll would take it out of maintenance under their hands, or count on room that \
            is not there.",
    remedy: "Ask who put it there. Finish the work and leave maintenance, or leave the host out: `lifeboat plan \
             create POOL --exclude HOST`.",
    undo: "",
    incidents: &[],
};

const HOST_TASK: Page = Page {
    code: "host-task-running",
    title: "somebody else works on a host",
    severity: Severity::Blocker,
    looks_at: "tasks of the pool that this controller did not begin: work on hosts",
    means: "A host that is changed from two sides is left in a state that neither side knows.",
    remedy: "Wait until the task has ended, or end it where it was begun. Then run the check again.",
    undo: "",
    incidents: &[],
};

const GUEST_TASK: Page = Page {
    code: "guest-task-running",
    title: "a guest is being moved, started, copied or deleted",
    severity: Severity::Warning,
    looks_at: "tasks of the pool that this controller did not begin: work on guests",
    means: "The guest cannot be moved until the task has ended; its move is tried again by the policy's `attempts` \
            and `retry-delay`, and its host waits so long. Room that it takes or frees is not in the plan.",
    remedy: "Wait until the task has ended, then run the check again and make the plan anew.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    // While a roll of ours goes on, it is the one that put hosts into maintenance; the roll itself is found elsewhere.
    let ours = !pool.ground.rolls.is_empty();
    let foreign = |host: &&Host<'_>| !ours && host.turn && host.view.reachable && host.view.maintenance;
    for host in pool.hosts.iter().filter(foreign) {
        let name = host.name();
        found.add(
            &IN_MAINTENANCE,
            name,
            "the host takes no new guests, and Lifeboat did not order that",
            format!("finish the work on {name} and leave maintenance, or leave it out: lifeboat plan create POOL … --exclude {name}"),
        );
    }
    let Some(tasks) = tasks(pool, found) else { return };
    for task in tasks {
        let page = match task.kind {
            TaskKind::Host => &HOST_TASK,
            TaskKind::Guest => &GUEST_TASK,
            // Checks of their own.
            TaskKind::Backup | TaskKind::Roll => continue,
        };
        let evidence = told(task, pool.ground.survey.at);
        found.add(page, pool.name(), evidence, "wait until it has ended, or end it where it was begun");
    }
}

/// What goes on in the pool; says so if it is not known.
pub(super) fn tasks<'a>(pool: &Pool<'a>, found: &mut Found) -> Option<&'a [Task]> {
    let tasks = pool.ground.survey.pool.tasks.known();
    if tasks.is_none() {
        found.unknown("the driver does not tell what goes on in the pool");
    }
    tasks.map(Vec::as_slice)
}

/// A task for people.
pub(super) fn told(task: &Task, now: Timestamp) -> String {
    match task.since {
        Some(since) => format!("{}, for {}", task.what, now.since(since)),
        None => task.what.clone(),
    }
}
