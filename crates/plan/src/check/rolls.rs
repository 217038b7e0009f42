//! Whether a roll goes on already, ours or that of another tool.

use lifeboat_model::{Severity, TaskKind};

use super::catalogue::Page;
use super::found::Found;
use super::pool::Pool;
use super::pool_settled::{tasks, told};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "rolls", title: "no other roll goes on", pages: &[OURS, FOREIGN], run };

const OURS: Page = Page {
    code: "roll-not-ended",
    title: "a roll of this installation has not ended",
    severity: Severity::Blocker,
    looks_at: "rolls over this pool in the store of this installation",
    means: "One pool has one roll: a second one is refused. What the first has suspended stays suspended until it \
            ends.",
    remedy: "`lifeboat roll status ROLL` says what it waits for; `lifeboat roll resume ROLL` takes it up if its \
             controller died; `lifeboat roll abort ROLL` undoes what can be undone, restores every feature and \
             ends it.",
    undo: "",
    incidents: &["I-22"],
};

const FOREIGN: Page = Page {
    code: "foreign-roll-running",
    title: "another tool rolls over the pool",
    severity: Severity::Blocker,
    looks_at: "tasks of the pool that this controller did not begin: upgrades by other tools",
    means: "Two rolls empty hosts into each other, and each restores features while the other needs them suspended.",
    remedy: "Let the other tool come to its end, or stop it there. Then run the check again: hosts may run another \
             release by then.",
    undo: "",
    incidents: &[],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    for roll in pool.ground.rolls {
        let id = &roll.roll;
        found.add(
            &OURS,
            id,
            roll.what.clone(),
            format!(
                "bring it to its end: lifeboat roll resume {id}; or give it up: lifeboat roll abort {id}. \
                 lifeboat roll status {id} says what it waits for"
            ),
        );
    }
    let Some(tasks) = tasks(pool, found) else { return };
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Roll) {
        found.add(
            &FOREIGN,
            pool.name(),
            told(task, pool.ground.survey.at),
            "let the other tool come to its end, or stop it there",
        );
    }
}
