//! Order, failures, orders of a person.

use lifeboat_model::{
    Effect, EffectKey, Event, EventKind, InFlight, OnFailure, OperatorVerb, Phase, Policy, RollEnd,
};

use crate::toy::{Die, guest, host, pool};

#[test]
fn a_good_release_reaches_every_host_coordinator_first() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
    assert!(toy.phases().values().all(|word| *word == "committed"), "{:?}", toy.phases());
    let rebooted: Vec<_> = toy
        .done
        .iter()
        .filter_map(|effect| match effect {
            Effect::RebootInto { host, .. } => Some(host.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(rebooted, [host(0), host(1), host(2), host(3)]);
    toy.assert_kept();
}

#[test]
fn only_the_failed_host_falls_back_and_the_roll_stops() {
    let mut toy = pool(4, Policy::default());
    toy.faults.falls_back.insert(host(1));
    toy.take_up();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{:?}", toy.end()) };
    assert!(reason.contains("h1") && reason.contains("kernel panic"), "{reason}");
    let phases: Vec<_> = toy.phases().into_values().collect();
    assert_eq!(phases, ["committed", "rolled back", "pending", "pending"]);
    assert!(toy.world.hosts().all(|host| !host.maintenance));
    toy.assert_kept();
}

#[test]
fn a_release_that_failed_on_a_host_is_tried_again_only_by_order() {
    let mut toy = pool(3, Policy::default());
    toy.faults.falls_back.insert(host(1));
    toy.take_up();
    assert!(toy.run(Die::Never));
    toy.faults.falls_back.clear();
    toy.order(OperatorVerb::Retry { host: host(1) });
    assert!(toy.run(Die::Never));
    assert_eq!(toy.phases().get("h1"), Some(&"committed"), "{}", toy.outcome());
    assert_eq!(toy.end(), RollEnd::Completed);
    toy.assert_kept();
}

#[test]
fn taking_a_stopped_roll_up_leaves_the_failed_host_alone() {
    let mut toy = pool(3, Policy::default());
    toy.faults.falls_back.insert(host(1));
    toy.take_up();
    assert!(toy.run(Die::Never));
    toy.faults.falls_back.clear();
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    let phases: Vec<_> = toy.phases().into_values().collect();
    assert_eq!(phases, ["committed", "rolled back", "committed"]);
    assert_eq!(toy.end(), RollEnd::CompletedWithExceptions { hosts: 1 });
    // An order that comes after the end changes nothing.
    let before = toy.outcome();
    toy.order(OperatorVerb::Retry { host: host(1) });
    assert!(toy.run(Die::Never));
    assert_eq!(toy.outcome(), before);
    toy.assert_kept();
}

#[test]
fn a_guest_that_does_not_move_keeps_its_host_up_and_is_named() {
    let mut toy = pool(3, Policy::default());
    toy.faults.stuck_guests.insert(guest(1));
    toy.take_up();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{:?}", toy.end()) };
    assert!(reason.contains("g1") && reason.contains("tried 3 times"), "{reason}");
    let rebooted =
        |n| toy.done.iter().any(|e| matches!(e, Effect::RebootInto { host: h, .. } if *h == host(n)));
    assert!(rebooted(0) && !rebooted(1) && !rebooted(2));
    assert!(toy.world.hosts().all(|host| !host.maintenance));
    toy.assert_kept();
}

#[test]
fn a_guest_that_came_after_the_plan_blocks_its_host_and_is_named() {
    let mut toy = pool(3, Policy::default());
    let mut stranger = toy.world.guest(&guest(1)).unwrap().clone();
    stranger.id = guest(9);
    toy.world.set_guest(stranger).unwrap();
    toy.take_up();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{:?}", toy.end()) };
    assert!(reason.contains("g9") && reason.contains("no target"), "{reason}");
    assert_eq!(toy.phases().get("h1"), Some(&"needs you"));
    assert_eq!(toy.broken, Vec::<String>::new());
}

#[test]
fn a_host_that_never_returns_is_given_to_a_person_and_stays_in_maintenance() {
    let mut toy = pool(3, Policy::default());
    toy.faults.never_returns.insert(host(1));
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.phases().get("h1"), Some(&"needs you"));
    assert!(toy.world.host(&host(1)).unwrap().maintenance);
    toy.assert_kept();
}

#[test]
fn what_fails_once_is_tried_again() {
    for key in ["h0/check", "h1/stage", "h1/install", "h0/migrate/g0", "pool/restore/ha-admission-control"] {
        let mut toy = pool(3, Policy::default());
        toy.faults.once.insert(EffectKey(key.to_owned()));
        toy.take_up();
        assert!(toy.run(Die::Never));
        assert_eq!(toy.end(), RollEnd::Completed, "{key}");
        toy.assert_kept();
    }
}

#[test]
fn with_leave_to_go_on_the_hosts_that_depend_on_a_failed_one_are_named() {
    let policy = Policy { on_failure: OnFailure::Continue(9), ..Policy::default() };
    let mut toy = pool(4, policy);
    toy.faults.falls_back.insert(host(1));
    toy.take_up();
    assert!(toy.run(Die::Never));
    let phases: Vec<_> = toy.phases().into_values().collect();
    // h2's guest was to go to h1, which was not upgraded; h3's guests go to h0.
    assert_eq!(phases, ["committed", "rolled back", "skipped", "committed"], "{}", toy.outcome());
    assert_eq!(toy.end(), RollEnd::CompletedWithExceptions { hosts: 2 });
    toy.assert_kept();
}

#[test]
fn no_more_hosts_are_in_flight_than_allowed() {
    let policy = Policy { max_in_flight: InFlight::Hosts(2), ..Policy::default() };
    let mut toy = pool(6, policy);
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
    toy.assert_kept();
}

#[test]
fn an_aborted_roll_gives_everything_back() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEffect(9)));
    toy.take_up();
    toy.order(OperatorVerb::Abort);
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Aborted);
    assert!(toy.world.hosts().all(|host| !host.maintenance));
    toy.assert_kept();
}

#[test]
fn a_host_that_is_skipped_is_left_as_it_is() {
    let mut toy = pool(3, Policy::default());
    toy.take_up();
    toy.order(OperatorVerb::Skip { host: host(2) });
    assert!(toy.run(Die::Never));
    assert_eq!(toy.phases().get("h2"), Some(&"skipped"));
    assert_eq!(toy.end(), RollEnd::CompletedWithExceptions { hosts: 1 });
    assert!(!toy.done.iter().any(|effect| effect.host() == Some(&host(2))));
    toy.assert_kept();
}

#[test]
fn going_on_after_a_crash_does_not_go_past_a_failure() {
    let mut whole = pool(4, Policy::default());
    whole.faults.falls_back.insert(host(1));
    whole.take_up();
    assert!(whole.run(Die::Never));
    for at in 3..whole.events.len() {
        let mut toy = pool(4, Policy::default());
        toy.faults.falls_back.insert(host(1));
        toy.take_up();
        if toy.run(Die::AfterEvent(at)) {
            continue;
        }
        toy.take_up();
        toy.order(OperatorVerb::Resume);
        assert!(toy.run(Die::Never));
        assert_eq!(toy.outcome(), whole.outcome(), "killed after event {at}");
    }
}

#[test]
fn a_coordinator_that_is_lost_in_the_middle_is_waited_for_and_then_the_roll_stops() {
    let mut whole = pool(4, Policy::default());
    whole.take_up();
    assert!(whole.run(Die::Never));
    let committed =
        |event: &Event| matches!(&event.what, EventKind::HostPhase { phase: Phase::Committed, .. });
    let first = whole.events.iter().position(committed).unwrap();
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEvent(first + 4)));
    toy.take_up();
    let mut lost = toy.world.host(&host(0)).unwrap().clone();
    lost.reachable = false;
    toy.world.set_host(lost);
    let before = toy.done.len();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{:?}", toy.end()) };
    assert!(reason.contains("h0 does not answer"), "{reason}");
    let begun = toy.done[before..].iter().any(|effect| matches!(effect, Effect::RebootInto { .. }));
    assert!(!begun, "a host was rebooted while the coordinator was lost");
    toy.assert_kept();
}

#[test]
fn a_feature_that_could_not_be_restored_keeps_its_value_through_another_run() {
    let mut toy = pool(3, Policy::default());
    toy.faults.falls_back.insert(host(1));
    let restore = EffectKey("pool/restore/ha-admission-control".to_owned());
    toy.faults.always.insert(restore.clone());
    toy.take_up();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{:?}", toy.end()) };
    assert!(reason.contains("ha-admission-control") && reason.contains("by hand"), "{reason}");
    assert!(!toy.journal.suspensions()[0].restored);
    toy.faults.always.clear();
    toy.faults.falls_back.clear();
    toy.order(OperatorVerb::Retry { host: host(1) });
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
    toy.assert_kept();
}
