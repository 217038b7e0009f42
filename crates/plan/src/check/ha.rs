//! Whether high availability is on.

use lifeboat_model::{FeatureKind, Severity};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Pool, RESTORED, suspended};
use super::run::Check;

pub(super) const CHECK: Check = Check { name: "ha", title: "high availability", pages: &[ON], run };

const ON: Page = Page {
    code: "ha-on",
    title: "high availability is on, and the roll suspends it",
    severity: Severity::Warning,
    looks_at: "the pool's setting",
    means: "Hosts that are taken out of service on purpose would look lost, and their guests would be started a second \
            time. So it is off during the roll: guests of a host that is lost then are not started elsewhere by \
            themselves.",
    remedy: "Nothing: the roll suspends it before the first host and restores exactly its value after the last. \
             Somebody should be within reach for as long as the roll goes on.",
    undo: RESTORED,
    incidents: &["I-22"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if let Some(feature) = pool.feature(FeatureKind::Ha) {
        let guests = pool.guests.len();
        found.add(
            &ON,
            pool.name(),
            format!(
                "its value is \"{}\"; {} not restarted by themselves if their host is lost while it is suspended",
                feature.value,
                if guests == 1 { "1 running guest is".to_owned() } else { format!("{guests} running guests are") }
            ),
            suspended(&feature.value),
        );
    }
}
