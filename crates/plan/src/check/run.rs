//! All checks in their order.
//!
//! Owns: the list. Does not: know what any of them does.

use super::catalogue::Page;
use super::found::Found;
use super::ground::{Checked, Ground};
use super::pool::Pool;
use super::{
    auto_power_on, backup, backup_schedules, bank_writable, banks, capacity, clock, coordinator,
    cpu_features, emulator, fault_tolerance, guest_movable, guest_target, ha, ha_admission, host_reachable,
    keep_apart, load_balancer, local_guests, networks, pending_reboot, plan_fits, policy, pool_settled,
    power_management, release, rolls, space, storage,
};

/// One check.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// A page for every code that it uses.
    pub(super) pages: &'static [Page],
    pub(super) run: fn(&Pool<'_>, &mut Found),
}

/// All checks in the order in which a person would mend things: what is there, what goes on, what shall come, what
/// must be switched off, whether there is room, each guest, each host.
pub(super) const CHECKS: [Check; 29] = [
    host_reachable::CHECK,
    pool_settled::CHECK,
    rolls::CHECK,
    backup::CHECK,
    coordinator::CHECK,
    pending_reboot::CHECK,
    release::CHECK,
    policy::CHECK,
    plan_fits::CHECK,
    ha::CHECK,
    ha_admission::CHECK,
    power_management::CHECK,
    load_balancer::CHECK,
    fault_tolerance::CHECK,
    backup_schedules::CHECK,
    auto_power_on::CHECK,
    capacity::CHECK,
    guest_movable::CHECK,
    emulator::CHECK,
    guest_target::CHECK,
    keep_apart::CHECK,
    cpu_features::CHECK,
    local_guests::CHECK,
    space::CHECK,
    banks::CHECK,
    bank_writable::CHECK,
    clock::CHECK,
    storage::CHECK,
    networks::CHECK,
];

/// Stands in remedies where the name of the pool belongs.
const POOL: &str = " POOL";

/// Runs every check; one entry for each, in the order of the catalogue.
#[must_use]
pub fn run(ground: &Ground<'_>) -> Vec<Checked> {
    let pool = Pool::new(ground);
    let checked = CHECKS.iter().map(|check| {
        let mut found = Found::default();
        (check.run)(&pool, &mut found);
        let (looked, mut findings) = found.end();
        // So that a command in it can be given as it stands.
        let name = ground.survey.world.pool().as_str();
        for finding in findings.iter_mut().filter(|finding| finding.remedy.contains(POOL)) {
            finding.remedy = finding.remedy.replace(POOL, &format!(" {name}"));
        }
        Checked { check: check.name, title: check.title, looked, findings }
    });
    checked.collect()
}
