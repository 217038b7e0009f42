//! A host's whole turn in the simulated pool.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimPool, SimSpec};
use lifeboat_model::{Bank, BankState, Effect, FeatureKind, FeatureView, Mib, World};

use crate::sim_support::{Controller, host, memory_pool, release};

#[test]
fn a_good_release_runs_from_the_other_bank_after_a_turn() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let h2 = host("h02");
    let before = controller.host(&h2);
    controller.whole_turn(&h2, &release(2));
    let after = controller.host(&h2);
    assert_ne!(after.boot_id, before.boot_id);
    assert_eq!((after.active, after.running), (Some(Bank::B), Some(release(2).digest)));
    assert_eq!(after.bank(Bank::B).state, BankState::Good);
    assert_eq!(after.bank(Bank::A).state, BankState::Good);
    assert!(!after.maintenance);
}

#[test]
fn a_bad_release_leaves_the_host_in_its_old_bank() {
    for behaviour in [Behaviour::Panic, Behaviour::Hang, Behaviour::Unhealthy] {
        let mut controller = Controller::new(memory_pool(behaviour));
        let h2 = host("h02");
        let before = controller.host(&h2);
        controller.whole_turn(&h2, &release(2));
        let after = controller.host(&h2);
        assert_ne!(after.boot_id, before.boot_id, "{behaviour}");
        assert_eq!((after.active, after.running), (Some(Bank::A), Some(release(1).digest)), "{behaviour}");
        assert_eq!(after.bank(Bank::B).state, BankState::Failed, "{behaviour}");
        assert_eq!(after.failed_releases, [release(2).digest], "{behaviour}");

        let again = Effect::CheckHost { host: h2.clone(), release: release(2), retry: false };
        assert!(controller.fails(&again).0.contains("failed on this host before"));
        controller.done(&Effect::CheckHost { host: h2, release: release(2), retry: true });
    }
}

#[test]
fn every_effect_that_is_ordered_twice_is_done_once() {
    for behaviour in [Behaviour::Good, Behaviour::Panic, Behaviour::Hang, Behaviour::Unhealthy] {
        let mut controller = Controller::new(memory_pool(behaviour));
        controller.starts = 2;
        let h1 = host("h01");
        controller.whole_turn(&h1, &release(2));
        let once = controller.host(&h1);
        // The same orders after their end change nothing either: the reboot is known by the boot that it ended.
        let moved: u32 = controller.pool.guest_lives().map(|(_, life)| life.moves).sum();
        assert!(moved > 0);
        let twin = Controller::new(memory_pool(behaviour));
        for effect in twin.turn(&h1, &release(2)) {
            if matches!(
                effect,
                Effect::RebootInto { .. } | Effect::Stage { .. } | Effect::LeaveMaintenance { .. }
            ) {
                controller.done(&effect);
            }
        }
        for effect in twin.moves_off(&h1) {
            controller.done(&effect);
        }
        assert_eq!(controller.host(&h1), once);
        assert_eq!(controller.pool.guest_lives().map(|(_, life)| life.moves).sum::<u32>(), moved);
        controller.assert_harmless();
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let history = |seed| {
        let spec = SimSpec { seed, ..SimSpec::in_memory(5, 30) };
        let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
        pool.offer_release(release(2), lifeboat_hypervisor::sim::SimKernel::default()).unwrap();
        let mut controller = Controller::new(pool);
        controller.whole_turn(&host("h03"), &release(2));
        (controller.world.clone(), controller.pool.now())
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

#[test]
fn moves_end_by_their_memory_and_count_on_both_hosts_meanwhile() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let h1 = host("h01");
    let moves = controller.moves_off(&h1);
    for effect in &moves {
        controller.start(effect);
    }
    let begun = controller.pool.now();
    for effect in &moves {
        assert!(
            controller.wait(effect, lifeboat_model::Millis::from_secs(3600)).is_some() || moves.len() > 1
        );
    }
    assert!(controller.pool.now() > begun);
    assert_eq!(controller.world.guests_on(&h1).count(), 0);
    controller.assert_harmless();
}

#[test]
fn a_guest_is_not_moved_to_where_there_is_no_room() {
    let spec = SimSpec { host_memory: Mib::from_gib(16), fill_percent: 100, ..SimSpec::in_memory(2, 12) };
    let mut controller = Controller::new(SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap());
    let (h1, h2) = (host("h01"), host("h02"));
    let moves: Vec<_> = controller
        .world
        .running_on(&h1)
        .map(|guest| Effect::Migrate { guest: guest.id.clone(), from: h1.clone(), to: h2.clone() })
        .collect();
    let refused = moves.iter().filter(|effect| {
        matches!(controller.run(effect), lifeboat_model::Outcome::Failed { retriable: true, .. })
    });
    assert!(refused.count() > 0);
    assert!(controller.world.load_of(&h2) <= Mib::from_gib(16));
    controller.assert_harmless();
}

#[test]
fn a_host_that_reboots_under_its_guests_is_on_record() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let h1 = host("h01");
    let on_it = controller.world.running_on(&h1).count();
    assert!(on_it > 0);
    for effect in controller.turn(&h1, &release(2)) {
        controller.done(&effect);
    }
    assert_eq!(controller.pool.guests_lost().len(), on_it);
    assert_eq!(controller.pool.observe().unwrap(), controller.world);
    assert_eq!(controller.world.running_on(&h1).count(), 0);
}

#[test]
fn features_are_suspended_and_restored_to_their_value() {
    let on = FeatureView { kind: FeatureKind::HaAdmissionControl, value: "reserve-1-host".to_owned() };
    let spec = SimSpec { features: vec![on.clone()], ..SimSpec::in_memory(3, 3) };
    let mut controller = Controller::new(SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap());
    let enter = Effect::EnterMaintenance { host: host("h01") };
    assert!(controller.fails(&enter).0.contains("suspend it first"));
    let (feature, original) = (on.kind, on.value.clone());
    controller.done(&Effect::SuspendFeature { feature, original: original.clone() });
    assert_eq!(controller.world.feature(feature).map(FeatureView::is_on), Some(false));
    controller.done(&enter);
    controller.done(&Effect::RestoreFeature { feature, original });
    assert_eq!(controller.world.feature(feature), Some(&on));
}

#[test]
fn ten_thousand_hosts_are_made_and_seen() {
    let spec = SimSpec::in_memory(10_000, 400_000);
    let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
    let world: World = pool.observe().unwrap();
    assert_eq!((world.hosts().len(), world.guests().len()), (10_000, 400_000));
    assert!(world.hosts().all(|host| world.load_of(&host.id) <= host.memory));
}
