//! Orders, guests and answers that come at the wrong moment.

use crate::toy::{Die, Toy, guest, host, pool};
use lifeboat_model::{
    BankState, Effect, EffectKey, EventKind, FeatureView, InFlight, Millis, OnFailure, OperatorVerb, Outcome,
    Phase, Policy, RollEnd,
};
use lifeboat_roll::{Action, Scope, Status, decide};

/// Decides once, records; gives effects that were ordered, whose outcomes are still to come.
fn step(toy: &mut Toy) -> Option<Vec<Effect>> {
    let actions = decide(&toy.world, &toy.journal, &toy.plan.policy, Scope::All, toy.now);
    if actions.is_empty() {
        return None;
    }
    let mut orders = vec![];
    for a in actions {
        match a {
            Action::Record(w) => toy.record(w),
            Action::Perform { attempt, effect } => {
                toy.record(EventKind::Intent { key: effect.key(), attempt, effect: effect.clone() });
                orders.push(effect);
            }
        }
    }
    Some(orders)
}
fn idle(toy: &mut Toy) -> Vec<Effect> {
    let mut all = vec![];
    while let Some(o) = step(toy) {
        all.extend(o);
    }
    all
}

#[test]
fn an_order_to_reboot_is_not_repeated_over_a_guest_that_came_meanwhile() {
    let mut whole = pool(3, Policy::default());
    whole.take_up();
    assert!(whole.run(Die::Never));
    let intent = whole
        .events
        .iter()
        .position(|e| matches!(&e.what, EventKind::Intent { effect: Effect::RebootInto { .. }, .. }))
        .unwrap()
        + 1;
    let mut toy = pool(3, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEvent(intent)));
    let mut g = toy.world.guest(&guest(0)).unwrap().clone();
    g.host = host(0);
    toy.world.set_guest(g).unwrap();
    toy.take_up();
    toy.run(Die::Never);
    assert_eq!(toy.broken, Vec::<String>::new());
}

#[test]
fn another_try_while_features_are_restored_suspends_them_again() {
    let mut whole = pool(3, Policy::default());
    whole.faults.falls_back.insert(host(1));
    whole.take_up();
    assert!(whole.run(Die::Never));
    let restored = whole
        .events
        .iter()
        .position(|e| matches!(&e.what, EventKind::Outcome { key, .. } if key.0.starts_with("pool/restore/")))
        .unwrap()
        + 1;
    let mut toy = pool(3, Policy::default());
    toy.faults.falls_back.insert(host(1));
    toy.take_up();
    assert!(!toy.run(Die::AfterEvent(restored)));
    toy.faults.falls_back.clear();
    toy.take_up();
    toy.order(OperatorVerb::Retry { host: host(1) });
    assert!(toy.run(Die::Never));
    toy.assert_kept();
}

#[test]
fn a_suspension_that_is_under_way_is_not_overtaken_by_its_restoration() {
    let mut toy = pool(3, Policy::default());
    toy.take_up();
    let orders = idle(&mut toy);
    assert!(matches!(orders[..], [Effect::SuspendFeature { .. }]));
    toy.order(OperatorVerb::Abort);
    let orders = idle(&mut toy);
    assert!(orders.is_empty(), "restore ordered while the suspension is under way: {orders:?}");
}

#[test]
fn a_feature_that_could_not_be_restored_is_restored_when_the_roll_is_taken_up() {
    let mut toy = pool(3, Policy::default());
    toy.faults.always.insert(EffectKey("pool/restore/ha-admission-control".to_owned()));
    toy.take_up();
    assert!(toy.run(Die::Never));
    toy.faults.always.clear();
    toy.order(OperatorVerb::Resume);
    assert!(toy.run(Die::Never));
    toy.assert_kept();
}

#[test]
fn a_step_that_never_ends_has_a_limit_also_when_a_guest_appears() {
    let mut toy = pool(3, Policy::default());
    toy.take_up();
    let ev = {
        let mut whole = pool(3, Policy::default());
        whole.take_up();
        whole.run(Die::Never);
        whole
            .events
            .iter()
            .position(|e| matches!(&e.what, EventKind::Intent { effect: Effect::Stage { .. }, .. }))
            .unwrap()
            + 1
    };
    assert!(!toy.run(Die::AfterEvent(ev)));
    // same controller, stage is open and never ends
    let mut g = toy.world.guest(&guest(0)).unwrap().clone();
    g.host = host(0);
    toy.world.set_guest(g).unwrap();
    for _ in 0..10_000 {
        idle(&mut toy);
        toy.now = toy.now.after(Millis::from_secs(600));
        if matches!(toy.journal.status(), Status::Ended(_)) {
            return;
        }
    }
    panic!(
        "hangs: {:?} {:?}",
        toy.phases(),
        lifeboat_roll::waiting_on(&toy.world, &toy.journal, &toy.journal.hosts()[0], toy.now)
    );
}

#[test]
fn a_migration_of_a_guest_that_is_gone_has_a_limit() {
    let mut toy = pool(3, Policy::default());
    toy.take_up();
    let ev = {
        let mut whole = pool(3, Policy::default());
        whole.take_up();
        whole.run(Die::Never);
        whole
            .events
            .iter()
            .position(|e| matches!(&e.what, EventKind::Intent { effect: Effect::Migrate { .. }, .. }))
            .unwrap()
            + 1
    };
    assert!(!toy.run(Die::AfterEvent(ev)));
    toy.world.remove_guest(&guest(0));
    for _ in 0..10_000 {
        idle(&mut toy);
        toy.now = toy.now.after(Millis::from_secs(600));
        if toy.journal.hosts()[0].phase != Phase::StateSaved {
            return;
        }
    }
    panic!(
        "hangs: {:?} {:?}",
        toy.phases(),
        lifeboat_roll::waiting_on(&toy.world, &toy.journal, &toy.journal.hosts()[0], toy.now)
    );
}

#[test]
fn a_coordinator_that_blinks_after_a_long_pause_stops_nothing() {
    let mut toy = pool(4, Policy::default());
    toy.take_up();
    toy.order(OperatorVerb::Pause);
    idle(&mut toy);
    toy.now = toy.now.after(Millis::from_secs(3600 * 12));
    let mut lost = toy.world.host(&host(0)).unwrap().clone();
    lost.reachable = false;
    toy.world.set_host(lost);
    idle(&mut toy);
    assert!(toy.journal.halted().is_none(), "{:?}", toy.journal.halted());
}

#[test]
fn no_member_begins_when_the_coordinator_was_left_out() {
    let mut toy = pool(4, Policy { max_in_flight: InFlight::Hosts(3), ..Policy::default() });
    // no guests: like the lab
    for i in 0..4 {
        toy.world.remove_guest(&guest(i));
    }
    let mut plan = (*toy.plan).clone();
    for s in &mut plan.steps {
        s.moves.clear();
    }
    toy.plan = std::sync::Arc::new(plan);
    toy.take_up();
    toy.order(OperatorVerb::Skip { host: host(0) });
    idle(&mut toy);
    let _flying: Vec<_> = toy.journal.in_flight().map(|r| r.host.to_string()).collect();
    // outcome of suspend
    toy.record(EventKind::Outcome {
        key: EffectKey("pool/suspend/ha-admission-control".to_owned()),
        outcome: Outcome::Done { detail: None },
    });
    idle(&mut toy);
    let flying: Vec<_> = toy.journal.in_flight().map(|r| r.host.to_string()).collect();
    assert!(flying.is_empty());
}

#[test]
fn another_try_that_is_ordered_while_the_host_leaves_is_not_lost() {
    let mut toy = pool(3, Policy { on_failure: OnFailure::Stop, ..Policy::default() });
    toy.faults.falls_back.insert(host(1));
    let ev = {
        let mut whole = pool(3, Policy::default());
        whole.faults.falls_back.insert(host(1));
        whole.take_up();
        whole.run(Die::Never);
        whole
            .events
            .iter()
            .position(|e| matches!(&e.what, EventKind::HostPhase { phase: Phase::Leaving { .. }, .. }))
            .unwrap()
            + 1
    };
    toy.take_up();
    assert!(!toy.run(Die::AfterEvent(ev)));
    toy.faults.falls_back.clear();
    toy.order(OperatorVerb::Retry { host: host(1) });
    assert!(toy.run(Die::Never));
    assert_eq!(toy.end(), RollEnd::Completed, "{}", toy.outcome());
}

#[test]
fn the_trouble_of_one_host_holds_no_other_back() {
    // h1 in flight: checked etc. h0 committed. two hosts in flight; the later has a problem with an open move.
    let mut policy =
        Policy { max_in_flight: InFlight::Hosts(2), on_failure: OnFailure::Continue(9), ..Policy::default() };
    policy.migrations_per_host = 2;
    let mut toy = pool(5, policy);
    // all moves go to h0, so h1..h4 are independent
    let mut plan = (*toy.plan).clone();
    for s in plan.steps.iter_mut().skip(1) {
        for m in &mut s.moves {
            m.to = host(0);
        }
    }
    plan.steps[0].moves[0].to = host(4);
    toy.plan = std::sync::Arc::new(plan);
    // h2 has its guest g2 and a stranger without a target, which comes later in name
    toy.take_up();
    for _ in 0..400 {
        // run by hand: everything Done at once until h2 has an open migration
        let Some(orders) = step(&mut toy) else {
            toy.now = toy.now.after(Millis::from_secs(30));
            continue;
        };
        for e in orders {
            if matches!(&e, Effect::Migrate { guest: g, .. } if *g == guest(2)) {
                // stays open; now a stranger appears
                let mut s = toy.world.guest(&guest(2)).unwrap().clone();
                s.id = guest(9);
                toy.world.set_guest(s).unwrap();
                // h1: its stage failed once, may be tried again
                continue;
            }
            if matches!(&e, Effect::Stage { host: h, .. } if *h == host(1)) {
                toy.record(EventKind::Outcome {
                    key: e.key(),
                    outcome: Outcome::Failed { reason: "net".into(), retriable: true },
                });
                continue;
            }
            if let Effect::SuspendFeature { feature, .. } = &e {
                let off = FeatureView { kind: *feature, value: FeatureView::OFF.to_owned() };
                toy.world.set_feature(off);
            }
            if let Effect::EnterMaintenance { host } = &e {
                let mut h = toy.world.host(host).unwrap().clone();
                h.maintenance = true;
                toy.world.set_host(h);
            }
            if let Effect::LeaveMaintenance { host } = &e {
                let mut h = toy.world.host(host).unwrap().clone();
                h.maintenance = false;
                toy.world.set_host(h);
            }
            if let Effect::Migrate { guest, to, .. } = &e {
                let mut g = toy.world.guest(guest).unwrap().clone();
                g.host = to.clone();
                toy.world.set_guest(g).unwrap();
            }
            if let Effect::RebootInto { host, bank, .. } = &e {
                let mut h = toy.world.host(host).unwrap().clone();
                h.boot_id = Some("n".into());
                h.active = Some(*bank);
                h.banks[bank.index()].state = BankState::Good;
                h.running = Some(toy.plan.target.digest);
                toy.world.set_host(h);
            }
            toy.record(EventKind::Outcome { key: e.key(), outcome: Outcome::Done { detail: None } });
        }
        if toy.world.guest(&guest(9)).is_some()
            && toy.journal.hosts()[1].effects.values().any(|r| {
                matches!(r.effect, Effect::Stage { .. })
                    && matches!(r.state, lifeboat_roll::EffectState::Failed { .. })
            })
        {
            break;
        }
    }
    let e0 = toy.events.len();
    for _ in 0..20 {
        toy.now = toy.now.after(Millis::from_secs(30));
        idle(&mut toy);
    }
    let stage = toy.events[e0..].iter().any(|e| matches!(&e.what, EventKind::Intent { effect: Effect::Stage { host: h, .. }, attempt: 2, .. } if *h == host(1)));
    assert!(stage, "the second try of the stage of h1 was not ordered for 10 minutes: {:?}", toy.phases());
}

#[test]
fn abort_after_a_crash_hears_the_end_of_what_was_ordered_first() {
    let ev = {
        let mut whole = pool(3, Policy::default());
        whole.take_up();
        whole.run(Die::Never);
        whole
            .events
            .iter()
            .position(|e| {
                matches!(&e.what, EventKind::Intent { effect: Effect::EnterMaintenance { .. }, .. })
            })
            .unwrap()
            + 1
    };
    let mut toy = pool(3, Policy::default());
    toy.take_up();
    assert!(!toy.run(Die::AfterEvent(ev)));
    toy.take_up();
    toy.order(OperatorVerb::Abort);
    let orders = idle(&mut toy);
    assert!(!orders.iter().any(|e| matches!(e, Effect::LeaveMaintenance { .. })), "{orders:?}");
}
