//! Whether a backup is being taken.

use lifeboat_model::{Severity, TaskKind};

use super::catalogue::Page;
use super::found::Found;
use super::pool::Pool;
use super::pool_settled::{tasks, told};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "backup", title: "no backup is being taken", pages: &[RUNNING], run };

const RUNNING: Page = Page {
    code: "backup-running",
    title: "a backup is being taken",
    severity: Severity::Blocker,
    looks_at: "tasks of the pool that this controller did not begin: backups",
    means: "A guest that is backed up cannot be moved; a backup that is cut leaves a snapshot behind that grows until \
            the storage is full. And before an upgrade a whole backup is worth more than an early start.",
    remedy: "Wait until the backup has ended, or end it in the backup program, which also removes its snapshots. \
             Later backups are held off by the roll: see `backup-schedules-on`.",
    undo: "",
    incidents: &["I-19"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    let Some(tasks) = tasks(pool, found) else { return };
    for task in tasks.iter().filter(|task| task.kind == TaskKind::Backup) {
        found.add(
            &RUNNING,
            pool.name(),
            told(task, pool.ground.survey.at),
            "wait until it has ended, or end it in the backup program",
        );
    }
}
