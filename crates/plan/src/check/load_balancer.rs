//! Whether a load balancer is on.

use lifeboat_model::{FeatureKind, Severity};

use super::catalogue::Page;
use super::found::Found;
use super::pool::{Pool, RESTORED, suspended};
use super::run::Check;

pub(super) const CHECK: Check = Check { name: "load-balancer", title: "load balancer", pages: &[ON], run };

const ON: Page = Page {
    code: "load-balancer-on",
    title: "the load balancer is on, and the roll suspends it",
    severity: Severity::Note,
    looks_at: "the pool's setting",
    means: "It would move guests against the plan, back onto hosts that are about to be emptied. While it is \
            suspended, loads are less even: hosts that were upgraded last stay nearly empty with `placement = \
            \"keep\"`.",
    remedy: "Nothing: the roll suspends it before the first host and restores exactly its value after the last. It \
             evens loads out then, or let the roll do it: `placement = \"rebalance\"`.",
    undo: RESTORED,
    incidents: &["I-22"],
};

fn run(pool: &Pool<'_>, found: &mut Found) {
    if let Some(feature) = pool.feature(FeatureKind::LoadBalancer) {
        let evidence = format!("its value is \"{}\"", feature.value);
        found.add(&ON, pool.name(), evidence, suspended(&feature.value));
    }
}
