//! What a policy asks for besides the order of hosts: hooks, gates, approvals, windows, guests that are shut down,
//! moves after the last host.

use std::collections::BTreeSet;

use lifeboat_model::{
    After, Approve, EffectKey, EventKind, Gate, GuestStop, Hook, HookStage, HostId, Mib, Millis, Move,
    OnFailure, OperatorVerb, Phase, Policy, RollEnd, Timestamp, Window,
};
use lifeboat_roll::{Status, to_approve, waiting_on, waiting_on_pool};

use crate::toy::{Die, Faults, Toy, guest, host, pool};

fn hook(stage: HookStage) -> Hook {
    Hook {
        name: format!("h-{stage}"),
        stage,
        command: vec!["/bin/true".to_owned()],
        hosts: Vec::new(),
        timeout: Millis::from_secs(60),
        warn_after: None,
    }
}

fn gate(after: After) -> Gate {
    Gate {
        name: "load".to_owned(),
        command: vec!["/bin/true".to_owned()],
        after,
        timeout: Millis::from_secs(60),
        attempts: 3,
        delay: Millis::from_secs(30),
    }
}

/// Host 1's guest is shut down instead of moved.
fn with_stop(toy: Toy) -> Toy {
    toy.planned(|plan| {
        let step = &mut plan.steps[1];
        step.moves.retain(|planned| planned.guest != guest(1));
        step.stops.push(GuestStop { guest: guest(1), memory: Mib::from_gib(4), by_owner: false });
    })
}

/// Everything at once: hooks at all stages, a gate, a guest that is shut down, a move after the last host.
fn full(faults: &Faults) -> Toy {
    let policy = Policy {
        hooks: HookStage::ALL.map(hook).to_vec(),
        gates: vec![gate(After::EveryWave)],
        ..Policy::default()
    };
    let mut toy = with_stop(pool(4, policy)).planned(|plan| {
        plan.placement = vec![
            Move { guest: guest(0), from: host(0), to: host(3), memory: Mib::from_gib(4) },
            Move { guest: guest(2), from: host(1), to: host(2), memory: Mib::from_gib(4) },
        ];
    });
    toy.faults = faults.clone();
    toy.take_up();
    toy
}

fn keys(list: &[&str]) -> BTreeSet<EffectKey> {
    list.iter().map(|key| EffectKey((*key).to_owned())).collect()
}

#[test]
fn killed_anywhere_a_roll_with_everything_comes_to_the_same_end() {
    let scenarios = [
        ("good", Faults::default()),
        ("falls back", Faults { falls_back: BTreeSet::from([host(1)]), ..Faults::default() }),
        ("never returns", Faults { never_returns: BTreeSet::from([host(1)]), ..Faults::default() }),
        ("a place is lost", Faults { always: keys(&["pool/place/g0"]), ..Faults::default() }),
        (
            "a hook fails",
            Faults { always: keys(&["h1/hook/maintenance/h-maintenance"]), ..Faults::default() },
        ),
        ("a gate stays closed", Faults { always: keys(&["pool/gate/2/load"]), ..Faults::default() }),
        ("no start", Faults { always: keys(&["h1/start/g1"]), ..Faults::default() }),
        ("not here", Faults { nothing_to_do: keys(&["h2/hook/preflight/h-preflight"]), ..Faults::default() }),
    ];
    let mut kills = 0;
    for (name, faults) in scenarios {
        let mut whole = full(&faults);
        assert!(whole.run(Die::Never), "{name}");
        whole.assert_kept();
        let events = (3..=whole.events.len()).map(Die::AfterEvent);
        for death in events.chain((1..=whole.done.len()).map(Die::AfterEffect)) {
            let mut toy = full(&faults);
            if toy.run(death) {
                continue;
            }
            kills += 1;
            toy.take_up();
            assert!(toy.run(Die::Never));
            assert_eq!(toy.outcome(), whole.outcome(), "{name}, killed {death:?}");
            toy.assert_kept();
        }
    }
    println!("{kills} kills");
    assert!(kills > 800, "only {kills} kills");
}

#[test]
fn a_guest_that_is_shut_down_goes_last_and_is_started_when_its_host_serves_again() {
    let mut toy = with_stop(pool(4, Policy::default()));
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
    let at = |key: &str| *toy.ordered(key).first().unwrap();
    assert!(at("h1/enter-maintenance") < at("h1/stop/g1"));
    assert!(at("h1/stop/g1") < at("h1/stage"));
    assert!(at("h1/leave-maintenance") < at("h1/start/g1"));
    assert!(toy.world.guest(&guest(1)).unwrap().running);
    assert_eq!(toy.world.guest(&guest(1)).unwrap().host, host(1));
    assert_eq!(toy.journal.stopped_guests().count(), 0);
}

#[test]
fn a_guest_that_was_shut_down_is_started_when_its_host_falls_back_or_the_roll_is_aborted() {
    for abort in [false, true] {
        let mut toy = with_stop(pool(4, Policy::default()));
        toy.faults.falls_back = BTreeSet::from([host(1)]);
        toy.take_up();
        if abort {
            let stop = with_stop(pool(4, Policy::default()));
            let mut probe = stop;
            probe.take_up();
            assert!(probe.run(Die::Never));
            let stopped = probe.ordered("h1/stop/g1")[0] + 1;
            assert!(!toy.run(Die::AfterEffect(stopped)));
            toy.take_up();
            toy.order(OperatorVerb::Abort);
        }
        assert!(toy.run(Die::Never));
        assert!(toy.world.guest(&guest(1)).unwrap().running, "abort {abort}: {}", toy.outcome());
        toy.assert_kept();
    }
}

#[test]
fn a_guest_that_cannot_be_started_is_named_and_its_host_needs_a_person() {
    let mut toy = with_stop(pool(4, Policy::default()));
    toy.faults.never_returns = BTreeSet::from([host(1)]);
    toy.take_up();
    assert!(toy.run(Die::Never));
    let run = toy.journal.host(&host(1)).unwrap();
    let reason = run.phase.reason().unwrap();
    assert!(matches!(run.phase, Phase::NeedsYou { .. }) && reason.contains("g1"), "{reason}");
    let warned = toy.journal.warnings().iter().any(|w| w.code == "guest-left-down" && w.subject == "g1");
    assert!(warned, "{:?}", toy.journal.warnings());
}

#[test]
fn a_guest_left_to_its_owner_is_waited_for_by_name_and_not_for_ever() {
    let owner = |toy: Toy| {
        toy.planned(|plan| {
            plan.steps[1].moves.clear();
            plan.steps[1].stops.push(GuestStop { guest: guest(1), memory: Mib::from_gib(4), by_owner: true });
        })
    };
    let mut toy = owner(pool(4, Policy::default()));
    toy.take_up();
    assert!(!toy.settle());
    let list = waiting_on(&toy.world, &toy.journal, toy.journal.host(&host(1)).unwrap(), toy.now);
    assert!(list.iter().any(|wait| wait.contains("g1") && wait.contains("owner")), "{list:?}");
    // The owner shuts it down: the roll goes on by itself, and does not start it.
    let mut down = toy.world.guest(&guest(1)).unwrap().clone();
    down.running = false;
    toy.world.set_guest(down).unwrap();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
    assert!(!toy.world.guest(&guest(1)).unwrap().running);
    // Nobody does anything: after the limit the host is given back.
    let mut toy = owner(pool(4, Policy::default()));
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert!(matches!(toy.journal.host(&host(1)).unwrap().phase, Phase::NeedsYou { .. }), "{}", toy.outcome());
    toy.assert_kept();
}

#[test]
fn preflight_hooks_of_all_hosts_come_before_anything_and_all_failures_are_named() {
    let policy = Policy { hooks: vec![hook(HookStage::Preflight)], ..Policy::default() };
    let mut toy = pool(4, policy);
    toy.faults.always = keys(&["h1/hook/preflight/h-preflight", "h3/hook/preflight/h-preflight"]);
    toy.take_up();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{}", toy.outcome()) };
    assert!(
        reason.contains("nothing was begun") && reason.contains("h1") && reason.contains("h3"),
        "{reason}"
    );
    assert!(toy.done.iter().all(lifeboat_model::Effect::is_command), "{:?}", toy.done);
    // Mended, it goes on from there.
    toy.faults.always.clear();
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed, "{}", toy.outcome());
}

#[test]
fn a_hook_that_has_nothing_to_do_leaves_its_host_as_it_is() {
    for stage in [HookStage::Preflight, HookStage::PreMaintenance, HookStage::Maintenance] {
        let mut toy = pool(4, Policy { hooks: vec![hook(stage)], ..Policy::default() });
        toy.faults.nothing_to_do = keys(&[&format!("h3/hook/{stage}/h-{stage}")]);
        toy.take_up();
        assert!(toy.run(Die::Never));
        let run = toy.journal.host(&host(3)).unwrap();
        assert!(matches!(run.phase, Phase::Skipped { .. }), "{stage}: {}", toy.outcome());
        assert!(toy.ordered("h3/reboot").is_empty());
        assert!(!toy.world.host(&host(3)).unwrap().maintenance);
        assert_eq!(toy.end(), RollEnd::CompletedWithExceptions { hosts: 1 });
    }
}

#[test]
fn a_host_whose_turn_began_with_hooks_ends_it_with_hooks_also_when_it_falls_back() {
    let hooks = vec![hook(HookStage::PreMaintenance), hook(HookStage::PostMaintenance)];
    let mut toy = pool(4, Policy { hooks, ..Policy::default() });
    toy.faults.falls_back = BTreeSet::from([host(1)]);
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.ordered("h1/hook/post-maintenance/h-post-maintenance").len(), 1);
    assert!(matches!(toy.journal.host(&host(1)).unwrap().phase, Phase::RolledBack { .. }));
}

#[test]
fn a_gate_is_asked_again_and_a_closed_one_keeps_the_next_wave_from_beginning() {
    let mut toy = pool(4, Policy { gates: vec![gate(After::FirstWave)], ..Policy::default() });
    toy.faults.once = keys(&["pool/gate/1/load"]);
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!((toy.ordered("pool/gate/1/load").len(), toy.end()), (2, RollEnd::Completed));

    let mut toy = pool(4, Policy { gates: vec![gate(After::FirstWave)], ..Policy::default() });
    toy.faults.always = keys(&["pool/gate/1/load"]);
    toy.take_up();
    assert!(toy.run(Die::Never));
    let RollEnd::Stopped { reason } = toy.end() else { panic!("{}", toy.outcome()) };
    assert!(reason.contains("gate load after wave 1"), "{reason}");
    assert_eq!(toy.journal.committed(), 1);
    assert_eq!(toy.feature(), "percent:25");
    toy.faults.always.clear();
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
}

#[test]
fn a_wave_waits_for_its_approval_and_the_features_are_on_meanwhile() {
    let mut toy = pool(4, Policy { approve: Approve::EveryWave, ..Policy::default() });
    toy.take_up();
    for wave in 2..=4 {
        assert!(!toy.settle());
        assert_eq!(to_approve(&toy.world, &toy.journal, toy.now), Some(wave));
        assert_eq!(toy.journal.committed(), wave as usize - 1);
        assert_eq!(toy.feature(), "percent:25", "nothing stays off while a person is waited for");
        assert!(
            waiting_on_pool(&toy.world, &toy.journal, toy.now).iter().any(|wait| wait.contains("approve"))
        );
        if wave == 3 {
            toy.take_up();
        }
        toy.order(OperatorVerb::Approve { wave });
    }
    assert!(toy.settle());
    assert_eq!(toy.end(), RollEnd::Completed);
    toy.assert_kept();
}

#[test]
fn when_the_window_closes_the_host_is_finished_and_the_features_are_on_until_it_opens() {
    let window = Window { days: vec![], from: "22:00".into(), to: "05:00".into(), zone: "UTC".into() };
    let mut toy = pool(4, Policy { windows: vec![window], ..Policy::default() });
    toy.take_up();
    toy.record(EventKind::WindowOpened { until: Some(toy.now.after(Millis::from_secs(3600))) });
    assert!(!toy.run(Die::AfterEffect(5)));
    assert_eq!(toy.journal.in_flight().count(), 1);
    toy.take_up();
    let opens = Some(toy.now.after(Millis::from_secs(60_000)));
    toy.record(EventKind::WindowClosed { until: opens });
    assert!(!toy.settle());
    assert_eq!((toy.journal.committed(), toy.journal.in_flight().count()), (1, 0));
    assert_eq!(toy.feature(), "percent:25");
    let list = waiting_on(&toy.world, &toy.journal, toy.journal.host(&host(2)).unwrap(), toy.now);
    assert!(list[0].contains("window") && list[0].contains("opens in"), "{list:?}");
    toy.record(EventKind::WindowOpened { until: None });
    assert!(toy.settle());
    assert_eq!(toy.end(), RollEnd::Completed);
    toy.assert_kept();
}

#[test]
fn moves_after_the_last_host_come_before_the_features_and_a_failed_one_is_a_warning() {
    let place = |guest_at: usize, from: usize, to: usize| Move {
        guest: guest(guest_at),
        from: host(from),
        to: host(to),
        memory: Mib::from_gib(4),
    };
    let mut toy = pool(4, Policy::default()).planned(|plan| {
        plan.placement = vec![place(0, 0, 3), place(1, 0, 1), place(2, 1, 2)];
    });
    toy.faults.stuck_guests = BTreeSet::new();
    toy.faults.always = keys(&["pool/place/g1"]);
    toy.take_up();
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
    let restored = toy.ordered("pool/restore/ha-admission-control")[0];
    assert!(toy.ordered("pool/place/g2")[0] < restored && toy.ordered("pool/place/g0")[0] < restored);
    assert_eq!(toy.world.guest(&guest(2)).unwrap().host, host(2));
    let warning = toy.journal.warnings().iter().find(|w| w.code == "placement-failed").unwrap();
    assert_eq!(warning.subject, "g1");
}

#[test]
fn a_feature_that_a_person_switched_on_holds_the_roll_and_its_new_value_is_restored() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEffect(8)));
    toy.take_up();
    let kind = toy.plan.suspends[0];
    toy.world.set_feature(lifeboat_model::FeatureView { kind, value: "percent:50".to_owned() });
    assert!(!toy.settle());
    assert_eq!(*toy.journal.status(), Status::Paused);
    assert!(toy.journal.held().unwrap().contains("percent:50"), "{:?}", toy.journal.held());
    assert_eq!(toy.feature(), "percent:50", "it is not overwritten without a person's word");
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    assert_eq!((toy.end(), toy.feature().as_str()), (RollEnd::Completed, "percent:50"));
}

#[test]
fn a_feature_that_a_person_changed_while_the_roll_is_being_stopped_keeps_the_persons_value() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEffect(8)));
    toy.take_up();
    toy.order(OperatorVerb::Abort);
    let kind = toy.plan.suspends[0];
    toy.world.set_feature(lifeboat_model::FeatureView { kind, value: "percent:50".to_owned() });
    assert!(toy.run(Die::Never));
    assert_eq!((toy.end(), toy.feature().as_str()), (RollEnd::Aborted, "percent:50"));
    assert_eq!(toy.journal.suspensions()[0].kept.as_deref(), Some("percent:50"));
}

#[test]
fn pausing_after_the_host_brings_it_to_its_end_and_begins_no_other() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEffect(6)));
    toy.take_up();
    toy.order(OperatorVerb::PauseAfterHost);
    assert!(!toy.settle());
    assert_eq!((toy.journal.committed(), toy.journal.in_flight().count()), (1, 0));
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed);
}

#[test]
fn a_stop_takes_back_what_can_be_taken_back_and_the_roll_can_be_taken_up_again() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEffect(4)));
    toy.take_up();
    toy.order(OperatorVerb::Stop);
    assert!(toy.settle());
    assert!(matches!(toy.end(), RollEnd::Stopped { .. }));
    toy.assert_kept();
    assert!(!toy.world.host(&host(0)).unwrap().maintenance);
    toy.take_up();
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed, "{}", toy.outcome());
}

#[test]
fn on_failure_pause_keeps_the_roll_open_for_a_decision_about_the_host() {
    for retry in [false, true] {
        let mut toy = pool(4, Policy { on_failure: OnFailure::Pause, ..Policy::default() });
        toy.faults.falls_back = BTreeSet::from([host(3)]);
        toy.take_up();
        assert!(!toy.settle());
        assert!(toy.journal.held().unwrap().contains("h3"), "{:?}", toy.journal.held());
        assert_eq!(toy.feature(), "off", "what is suspended stays so until a person decides");
        toy.faults.falls_back.clear();
        if retry {
            toy.order(OperatorVerb::Retry { host: host(3) });
        } else {
            toy.order(OperatorVerb::Resume);
        }
        assert!(toy.run(Die::Never));
        let expected = if retry { RollEnd::Completed } else { RollEnd::CompletedWithExceptions { hosts: 1 } };
        assert_eq!(toy.end(), expected, "{}", toy.outcome());
        toy.assert_kept();
    }
}

#[test]
fn a_host_that_waits_for_a_reboot_is_rebooted_when_it_is_empty_and_before_anything_is_brought_to_it() {
    let pending = |toy: &mut Toy| {
        let mut waits = toy.world.host(&host(1)).unwrap().clone();
        waits.pending_reboot = vec!["agents were installed".to_owned()];
        toy.world.set_host(waits);
    };
    let mut whole = pool(4, Policy::default());
    pending(&mut whole);
    whole.take_up();
    assert!(whole.run(Die::Never));
    assert_eq!(whole.end(), RollEnd::Completed);
    let at = |key: &str| *whole.ordered(key).first().unwrap();
    assert!(at("h1/migrate/g1") < at("h1/restart") && at("h1/restart") < at("h1/stage"));
    for death in 1..=whole.done.len() {
        let mut toy = pool(4, Policy::default());
        pending(&mut toy);
        toy.take_up();
        if !toy.run(Die::AfterEffect(death)) {
            toy.take_up();
            assert!(toy.run(Die::Never));
        }
        assert_eq!(toy.outcome(), whole.outcome());
        toy.assert_kept();
    }
}

#[test]
fn hosts_that_go_last_wait_for_all_others() {
    let last: Vec<HostId> = vec![host(1)];
    let mut toy = pool(4, Policy { last, ..Policy::default() }).planned(|plan| {
        // The plan has it at its end, as the planner would.
        let step = plan.steps.remove(1);
        plan.steps.push(step);
        plan.steps[1].moves[0].to = host(0);
        plan.policy.max_in_flight = lifeboat_model::InFlight::Hosts(4);
        plan.figures.peak_hosts_down.planned = 4;
    });
    toy.take_up();
    assert!(toy.run(Die::Never));
    let ends: Vec<_> = toy
        .events
        .iter()
        .filter_map(|event| match &event.what {
            EventKind::HostPhase { host, phase: Phase::Admitted } => Some(host.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ends.last(), Some(&host(1)), "{ends:?}");
}

#[test]
fn the_policy_that_is_in_force_is_the_one_that_a_person_gave_last() {
    let mut toy = pool(4, Policy { approve: Approve::EveryWave, ..Policy::default() });
    toy.take_up();
    assert!(!toy.settle());
    let policy = Box::new(Policy { approve: Approve::Plan, ..toy.plan.policy.clone() });
    toy.order(OperatorVerb::SetPolicy { policy });
    toy.take_up();
    assert!(toy.settle());
    assert_eq!(toy.end(), RollEnd::Completed);
    assert!(toy.now > Timestamp(0));
}
