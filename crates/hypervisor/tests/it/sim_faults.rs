//! Faults that are ordered strike as ordered, and only there.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::Behaviour;
use lifeboat_model::{Bank, BankState, Effect, Millis};

use crate::sim_support::{Controller, guest, host, memory_pool, release};

fn struck(fault: &str) -> Controller {
    let mut pool = memory_pool(Behaviour::Good);
    pool.order_fault(fault.parse().unwrap()).unwrap();
    Controller::new(pool)
}

#[test]
fn a_release_that_does_not_boot_on_one_host_falls_back_there_and_runs_elsewhere() {
    let mut controller = struck("no-boot:h03");
    controller.whole_turn(&host("h02"), &release(2));
    controller.whole_turn(&host("h03"), &release(2));
    assert_eq!(controller.host(&host("h02")).active, Some(Bank::B));
    let h3 = controller.host(&host("h03"));
    assert_eq!((h3.active, h3.bank(Bank::B).state), (Some(Bank::A), BankState::Failed));
}

#[test]
fn a_migration_fails_as_often_as_ordered_and_the_guest_stays() {
    let mut controller = struck("migration-fails:g01:2");
    let from = controller.world.guest(&guest("g01")).unwrap().host.clone();
    let to = controller.world.hosts().find(|host| host.id != from).unwrap().id.clone();
    let effect = Effect::Migrate { guest: guest("g01"), from: from.clone(), to: to.clone() };
    for _ in 0..2 {
        assert!(controller.fails(&effect).1, "another try may help");
        assert_eq!(controller.world.guest(&guest("g01")).unwrap().host, from);
    }
    controller.done(&effect);
    assert_eq!(controller.world.guest(&guest("g01")).unwrap().host, to);
    assert_eq!(controller.pool.guest_life(&guest("g01")).unwrap().failed_moves, 2);
    controller.assert_harmless();
}

#[test]
fn a_host_that_never_returns_is_unreachable_until_a_hand_resets_it() {
    let mut controller = struck("never-returns:h02");
    let h2 = host("h02");
    let effects = controller.turn(&h2, &release(2));
    controller.drain(&h2);
    for effect in &effects[..5] {
        controller.done(effect);
    }
    controller.start(&effects[5]);
    assert_eq!(controller.wait(&effects[5], Millis::from_secs(86_400)), None);
    assert!(!controller.host(&h2).reachable);
    controller.assert_harmless();
    controller.pool.clear_faults().unwrap();
    controller.pool.press_reset(&h2).unwrap();
    assert!(controller.wait(&effects[5], Millis::from_secs(86_400)).is_some());
    assert_eq!(controller.host(&h2).active, Some(Bank::B));
    controller.assert_harmless();
}

#[test]
fn while_the_coordinator_is_lost_no_host_takes_an_order() {
    for (fault, returns) in [("coordinator-lost", true), ("coordinator-lost:forever", false)] {
        let mut controller = struck(fault);
        let h1 = host("h01");
        controller.drain(&h1);
        let effects = controller.turn(&h1, &release(2));
        for effect in &effects[..5] {
            controller.done(effect);
        }
        controller.start(&effects[5]);
        assert!(!controller.pool.observe().unwrap().host(&h1).unwrap().reachable);
        let other = Effect::SaveState { host: host("h02") };
        let (reason, retriable) = controller.fails(&other);
        assert!(reason.contains("coordinator h01") && retriable, "{reason}");
        let outcome = controller.wait(&effects[5], Millis::from_secs(86_400));
        assert_eq!(outcome.is_some(), returns);
        assert_eq!(controller.pool.observe().unwrap().host(&h1).unwrap().reachable, returns);
        if returns {
            controller.done(&other);
        } else {
            controller.fails(&other);
        }
    }
}

#[test]
fn a_disk_error_leaves_an_invalid_alternate_bank_and_a_running_host() {
    let mut controller = struck("disk-error:h02:70000");
    let h2 = host("h02");
    let effects = controller.turn(&h2, &release(2));
    for effect in &effects[..4] {
        controller.done(effect);
    }
    assert!(controller.fails(&effects[4]).0.contains("h02") || controller.host(&h2).reachable);
    assert_eq!(controller.host(&h2).bank(Bank::B).state, BankState::Invalid);
    assert!(controller.fails(&effects[5]).0.contains("invalid"));
    assert_eq!(controller.host(&h2).active, Some(Bank::A));
    controller.pool.clear_faults().unwrap();
    controller.done(&effects[4]);
    assert_eq!(controller.host(&h2).bank(Bank::B).state, BankState::Upgraded);
}

#[test]
fn a_step_that_never_ends_gives_no_outcome() {
    let mut controller = struck("never-ends:h02:save-state");
    let effect = Effect::SaveState { host: host("h02") };
    controller.start(&effect);
    assert_eq!(controller.wait(&effect, Millis::from_secs(86_400)), None);
    controller.done(&Effect::SaveState { host: host("h03") });
}

#[test]
fn a_slow_host_takes_longer_and_gets_there() {
    let time = |fault: Option<&str>| {
        let mut controller = fault.map_or_else(|| Controller::new(memory_pool(Behaviour::Good)), struck);
        let begun = controller.pool.now();
        controller.done(&Effect::SaveState { host: host("h02") });
        controller.pool.now().since(begun).0
    };
    assert_eq!(time(Some("slow:h02:7")), 7 * time(None));
}

#[test]
fn a_fault_on_something_that_is_not_there_is_refused() {
    let mut pool = memory_pool(Behaviour::Good);
    assert!(pool.order_fault("no-boot:h99".parse().unwrap()).is_err());
    assert!(pool.order_fault("migration-fails:g99".parse().unwrap()).is_err());
}
