//! The incidents, each as it happens without a guard: what a controller does here is what it must never do.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec};
use lifeboat_model::{
    Bank, BankState, Effect, FeatureKind, FeatureView, HostId, Millis, Outcome, ReleaseRef,
};

use crate::sim_support::{Controller, guest, host, release};

fn pool(features: &[(FeatureKind, &str)], behaviour: Behaviour) -> Controller {
    let features = features
        .iter()
        .map(|(kind, value)| FeatureView { kind: *kind, value: (*value).to_owned() })
        .collect();
    let spec = SimSpec { features, members_follow: true, ..SimSpec::in_memory(4, 12) };
    let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
    pool.offer_release(release(2), SimKernel::always(behaviour)).unwrap();
    Controller::new(pool)
}

fn later(controller: &mut Controller, seconds: u64) {
    controller.pool.let_pass(Millis::from_secs(seconds)).unwrap();
    controller.world = controller.pool.observe().unwrap();
}

#[test]
fn i01_admission_control_keeps_a_host_from_entering_maintenance() {
    let mut controller = pool(&[(FeatureKind::HaAdmissionControl, "reserve 25 %")], Behaviour::Good);
    let enter = Effect::EnterMaintenance { host: host("h02") };
    let (reason, retriable) = controller.fails(&enter);
    assert!(reason.contains("ha-admission-control is reserve 25 %") && !retriable);
}

#[test]
fn i02_an_emptied_host_is_switched_off_by_power_management() {
    for on in [true, false] {
        let value = if on { "automatic" } else { FeatureView::OFF };
        let mut controller = pool(&[(FeatureKind::PowerManagement, value)], Behaviour::Good);
        controller.drain(&host("h02"));
        later(&mut controller, 120);
        assert_eq!(controller.host(&host("h02")).reachable, !on);
        if on {
            let check = Effect::CheckHost { host: host("h02"), release: release(2), retry: false };
            assert!(controller.fails(&check).0.contains("does not answer"));
            controller.pool.press_reset(&host("h02")).unwrap();
            later(&mut controller, 600);
            assert!(controller.host(&host("h02")).reachable);
        }
        // The coordinator is never switched off.
        controller.drain(&host("h01"));
        later(&mut controller, 120);
        assert!(controller.host(&host("h01")).reachable);
    }
}

#[test]
fn i02_a_host_that_gets_a_guest_in_time_stays_on() {
    let mut controller = pool(&[(FeatureKind::PowerManagement, "automatic")], Behaviour::Good);
    controller.drain(&host("h02"));
    let back = controller.world.guests().find(|guest| guest.host != host("h02")).unwrap().clone();
    controller.done(&Effect::Migrate { guest: back.id, from: back.host, to: host("h02") });
    later(&mut controller, 600);
    assert!(controller.host(&host("h02")).reachable);
}

#[test]
fn i11_a_member_that_is_newer_than_its_coordinator_finds_no_network_until_that_follows() {
    let mut controller = pool(&[], Behaviour::Good);
    let (h1, h2) = (host("h01"), host("h02"));
    controller.drain(&h2);
    let turn = controller.turn(&h2, &release(2));
    for effect in &turn[2..5] {
        controller.done(effect);
    }
    controller.start(&turn[5]);
    assert_eq!(controller.wait(&turn[5], Millis::from_secs(86_400)), None);
    assert!(!controller.host(&h2).reachable);
    // No guest goes there, and a reset does not help.
    let there = controller.world.running_on(&h1).next().unwrap().id.clone();
    let effect = Effect::Migrate { guest: there, from: h1.clone(), to: h2.clone() };
    assert!(controller.fails(&effect).0.contains("does not answer"));
    controller.pool.press_reset(&h2).unwrap();
    later(&mut controller, 600);
    assert!(!controller.host(&h2).reachable);
    // The way out: the coordinator follows, whose guests stay in the pool.
    for effect in controller.moves_off(&h1) {
        if !matches!(&effect, Effect::Migrate { to, .. } if *to == h2) {
            controller.done(&effect);
        }
    }
    let rest: Vec<_> = controller.world.running_on(&h1).map(|guest| guest.id.clone()).collect();
    for id in rest {
        controller.done(&Effect::Migrate { guest: id, from: h1.clone(), to: host("h03") });
    }
    for effect in controller.turn(&h1, &release(2)) {
        controller.done(&effect);
    }
    later(&mut controller, 1);
    assert!(controller.host(&h2).reachable);
    assert_eq!(controller.host(&h2).running, Some(release(2).digest));
    controller.assert_harmless();
}

#[test]
fn i11_a_member_that_a_person_upgraded_by_hand_is_out_of_reach() {
    let mut controller = pool(&[], Behaviour::Good);
    controller.pool.set_condition("runs-newer:h03".parse().unwrap()).unwrap();
    later(&mut controller, 1);
    assert!(!controller.host(&host("h03")).reachable);
    let again = controller.pool.set_condition("runs-newer:h03".parse().unwrap());
    assert!(again.unwrap_err().to_string().contains("does not answer"));
}

#[test]
fn i12_members_run_their_guests_while_the_coordinator_is_down_and_take_no_orders() {
    let mut controller = pool(&[], Behaviour::Good);
    controller.pool.order_fault("coordinator-lost:forever".parse().unwrap()).unwrap();
    let before = controller.world.clone();
    controller.pool.press_reset(&host("h01")).unwrap();
    later(&mut controller, 3600);
    assert!(!controller.host(&host("h01")).reachable);
    for name in ["h02", "h03", "h04"] {
        assert_eq!(controller.world.running_on(&host(name)).count(), before.running_on(&host(name)).count());
        assert!(controller.fails(&Effect::SaveState { host: host(name) }).1, "another try may help");
    }
}

#[test]
fn i22_guests_of_a_lost_host_come_back_only_where_ha_is_on() {
    for on in [true, false] {
        let value = if on { "on" } else { FeatureView::OFF };
        let mut controller = pool(&[(FeatureKind::Ha, value)], Behaviour::Good);
        let lost: Vec<_> = controller.world.running_on(&host("h02")).map(|guest| guest.id.clone()).collect();
        assert!(!lost.is_empty());
        controller.pool.set_condition("unreachable:h02".parse().unwrap()).unwrap();
        later(&mut controller, 600);
        for id in &lost {
            let now = controller.world.guest(id).unwrap();
            assert_eq!(now.running, on);
            assert_eq!(now.host == host("h02"), !on);
        }
        assert_eq!(controller.pool.guests_lost().len(), lost.len());
        for host in controller.world.hosts() {
            assert!(controller.world.load_of(&host.id) <= host.memory);
        }
    }
}

#[test]
fn i23_a_reboot_under_running_guests_loses_them() {
    let mut controller = pool(&[], Behaviour::Good);
    // The first host may be newer than the others.
    let h1 = host("h01");
    let running = controller.world.running_on(&h1).count();
    for effect in controller.turn(&h1, &release(2)) {
        controller.done(&effect);
    }
    assert_eq!(controller.pool.guests_lost().len(), running);
}

#[test]
fn i24_an_install_that_wrote_nothing_says_done_and_the_host_runs_what_it_ran() {
    let mut controller = pool(&[], Behaviour::Good);
    controller.pool.order_fault("nothing-installed:h01".parse().unwrap()).unwrap();
    let before = controller.host(&host("h01"));
    controller.whole_turn(&host("h01"), &release(2));
    let after = controller.host(&host("h01"));
    assert_ne!(after.boot_id, before.boot_id);
    assert_eq!((after.active, after.running), (before.active, before.running));
    assert_eq!(after.bank(Bank::B).state, BankState::Empty);
}

fn forced(controller: &mut Controller, id: &HostId, release: &ReleaseRef, bank: Bank) -> Option<Outcome> {
    let view = controller.host(id);
    let (host, release, retry) = (id.clone(), release.clone(), true);
    controller.done(&Effect::Stage { host: host.clone(), release: release.clone() });
    controller.done(&Effect::Install { host: host.clone(), release, bank, retry });
    let boot_id_before = view.boot_id.unwrap_or_default();
    let reboot = Effect::RebootInto { host, bank, boot_id_before };
    controller.start(&reboot);
    controller.wait(&reboot, Millis::from_secs(86_400))
}

#[test]
fn i25_an_orchestrator_that_overlooks_a_fall_back_makes_both_banks_bad() {
    let mut controller = pool(&[], Behaviour::Panic);
    let h1 = host("h01");
    controller.drain(&h1);
    controller.pool.set_condition("unguarded:h01".parse().unwrap()).unwrap();
    assert!(forced(&mut controller, &h1, &release(2), Bank::B).is_some());
    let view = controller.host(&h1);
    assert_eq!((view.active, view.bank(Bank::B).state), (Some(Bank::A), BankState::Failed));
    // It believes that bank B runs, and goes on with the other one.
    assert_eq!(forced(&mut controller, &h1, &release(2), Bank::A), None);
    let view = controller.host(&h1);
    assert!(!view.reachable);
    assert_ne!(view.bank(Bank::A).digest, Some(release(1).digest), "the last good bank is gone");
}

#[test]
fn i25_a_guarded_agent_refuses_to_write_the_bank_that_runs() {
    let mut controller = pool(&[], Behaviour::Panic);
    let h1 = host("h01");
    controller.drain(&h1);
    assert!(forced(&mut controller, &h1, &release(2), Bank::B).is_some());
    let install = Effect::Install { host: h1.clone(), release: release(2), bank: Bank::A, retry: true };
    assert!(controller.fails(&install).0.contains("never written"));
}

#[test]
fn guests_start_with_their_host_while_auto_power_on_is_on() {
    for on in [true, false] {
        let value = if on { "on" } else { FeatureView::OFF };
        let mut controller = pool(&[(FeatureKind::AutoPowerOn, value)], Behaviour::Good);
        let id = guest("g01");
        let there = controller.world.guest(&id).unwrap().host.clone();
        controller.pool.set_condition("auto-start:g01".parse().unwrap()).unwrap();
        let others: Vec<_> = controller
            .world
            .running_on(&there)
            .filter(|guest| guest.id != id)
            .map(|guest| Effect::StopGuest { guest: guest.id.clone(), host: there.clone() })
            .collect();
        for effect in others.iter().chain([&Effect::StopGuest { guest: id.clone(), host: there.clone() }]) {
            controller.done(effect);
        }
        controller.pool.press_reset(&there).unwrap();
        later(&mut controller, 600);
        assert_eq!(controller.world.running_on(&there).count(), usize::from(on));
        assert_eq!(controller.world.guest(&id).unwrap().running, on);
        assert_eq!(controller.pool.guests_lost(), []);
    }
}
