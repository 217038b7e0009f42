//! Whether backups start by the clock.

use lifeboat_model::{FeatureKind, Severity};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Pool, RESTORED, suspended};
use super::run::Check;

pub(super) const CHECK: Check =
    Check { name: "backup-schedules", title: "backup schedules", pages: &[ON], run };

const ON: Page = Page {
    code: "backup-schedules-on",
    title: "backups start by the clock, and the roll holds them off",
    severity: Severity::Note,
    looks_at: "the pool's setting",
    means: "A backup that begins during the roll keeps its guest from being moved. While schedules are suspended no \
            backup is taken, and one that was due is not made up for.",
    remedy: "Nothing: the roll suspends them before the first host and restores exactly their value after the last. \
             Look after the roll whether a backup was left out, and take it by hand.",
    undo: RESTORED,
    incidents: &["I-19", "I-22"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if let Some(feature) = pool.feature(FeatureKind::BackupSchedules) {
        let takes = pool.ground.plan.map(|plan| plan.figures.makespan.planned);
        let long = takes.map_or_else(String::new, |takes| format!("; the plan takes {takes}"));
        found.add(
            &ON,
            pool.name(),
            format!("their value is \"{}\"{long}", feature.value),
            suspended(&feature.value),
        );
    }
}
