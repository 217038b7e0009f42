//! The linter finds what is wrong: every rule is broken once, on a plan that was good.

use lifeboat_model::{
    GuestId, GuestRule, GuestStop, GuestStrategy, Mib, Millis, Movable, Order, Placement, Plan, Severity,
    World,
};
use lifeboat_plan::{Options, codes, lint};

use crate::pools::{Pool, assert_clean, at_once, host_id, planned};

/// Coordinator `a`, then `b`, `c`, `d`; every host has one guest, `d` another of group `web` with `c`'s.
fn good() -> (Pool, Plan) {
    let mut pool = Pool::default().host("a", 64).with(&[8]).host("b", 64).with(&[4]);
    pool = pool.host("c", 64).with(&[16]).guest_is(|guest| guest.keep_apart = Some("web".to_owned()));
    pool = pool.host("d", 64).with(&[20]).guest_is(|guest| guest.keep_apart = Some("web".to_owned()));
    pool = pool.coordinator("a").feature(lifeboat_model::FeatureKind::Ha, "on");
    let plan = planned(&pool.clone().world(), &at_once(1), &Options::default());
    assert_eq!(crate::pools::order(&plan), ["a", "b", "c", "d"]);
    (pool, plan)
}

fn found(world: &World, plan: &Plan) -> Vec<String> {
    let findings = lint(world, plan).into_iter().filter(|finding| finding.severity > Severity::Note);
    findings.map(|finding| finding.code).collect()
}

/// A code, and what breaks its rule.
type Case = (&'static str, fn(&mut Pool, &mut Plan));

fn each_is_found(cases: &[Case]) {
    for (code, change) in cases {
        let (mut pool, mut plan) = good();
        change(&mut pool, &mut plan);
        let codes = found(&pool.world(), &plan);
        assert!(codes.iter().any(|found| found == code), "{code} is not among {codes:?}");
    }
}

/// A rule for the guest of host `c`.
fn rule(plan: &mut Plan, strategy: GuestStrategy) {
    plan.policy.guests = vec![GuestRule { guests: vec!["g00002".to_owned()], strategy }];
}

/// Guests of a step stop instead of moving.
fn stop(plan: &mut Plan, step: usize) {
    let step = &mut plan.steps[step];
    let moves = std::mem::take(&mut step.moves).into_iter();
    step.stops =
        moves.map(|each| GuestStop { guest: each.guest, memory: each.memory, by_owner: false }).collect();
}

#[test]
fn a_stop_that_a_rule_asks_for_is_no_finding() {
    let (pool, mut plan) = good();
    rule(&mut plan, GuestStrategy::StopStart);
    let at = plan.steps.iter().position(|step| step.host == host_id("c")).unwrap();
    let first = plan.steps[at].moves.iter().filter(|each| each.guest.as_str() != "g00002").cloned().collect();
    stop(&mut plan, at);
    plan.steps[at].stops.retain(|stop| stop.guest.as_str() == "g00002");
    plan.steps[at].moves = first;
    let codes = found(&pool.world(), &plan);
    assert!(codes.iter().all(|code| code == codes::FIGURE_WRONG), "{codes:?}");
}

#[test]
fn every_broken_rule_is_found() {
    let cases: [Case; 21] = [
        (codes::UNKNOWN_HOST, |_, plan| plan.steps[3].host = host_id("zz")),
        (codes::UNKNOWN_GUEST, |_, plan| plan.steps[3].moves[0].guest = GuestId::new("zz").unwrap()),
        (codes::HOST_TWICE, |_, plan| plan.unchanged.push(host_id("b"))),
        (codes::HOST_UNFIT, |pool, _| pool.hosts[2].reachable = false),
        (codes::NOT_UNCHANGED, |_, plan| {
            let step = plan.steps.pop().unwrap();
            plan.unchanged.push(step.host);
        }),
        (codes::WAVE_ORDER, |_, plan| plan.steps[3].wave = 9),
        (codes::WAVE_ORDER, |_, plan| plan.steps[1].wave = 1),
        (codes::TOO_MANY_DOWN, |_, plan| plan.steps[3].wave = 3),
        (codes::FAULT_DOMAIN, |pool, plan| {
            pool.hosts[2].fault_domain = Some("r".to_owned());
            pool.hosts[3].fault_domain = Some("r".to_owned());
            plan.steps[3].wave = 3;
        }),
        (codes::RESERVE, |_, plan| plan.policy.reserve_hosts = 3),
        (codes::COORDINATOR_FIRST, |_, plan| plan.steps.swap(0, 1)),
        (codes::MOVE_FROM, |_, plan| plan.steps[3].moves[0].from = host_id("b")),
        (codes::MOVE_TO, |_, plan| plan.steps[3].moves[0].to = host_id("d")),
        (codes::NOT_MOVABLE, |pool, _| {
            pool.guests[1].movable = Movable::No { reason: "pinned".to_owned() };
        }),
        (codes::BACKWARD, |_, plan| {
            // The guest that went to the upgraded a goes on to the old d.
            let mut back = plan.steps[1].moves[0].clone();
            back.from = back.to.clone();
            back.to = host_id("d");
            plan.steps[2].moves.push(back);
        }),
        (codes::TOO_MANY_MOVES, |_, plan| {
            let first = plan.steps[0].moves[0].clone();
            let mut third = first.clone();
            third.to = host_id("c");
            plan.steps[0].moves.push(third.clone());
            plan.steps[0].moves.push(third);
        }),
        (codes::CAPACITY, |pool, _| pool.hosts[0].memory = Mib::from_gib(9)),
        (codes::KEEP_APART, |pool, plan| {
            pool.guests[0].keep_apart = Some("web".to_owned());
            plan.steps[0].moves[0].to = host_id("c");
        }),
        (codes::NOT_DRAINED, |_, plan| plan.steps[2].moves.clear()),
        (codes::SUSPENDS, |_, plan| plan.suspends.clear()),
        (codes::OTHER_POOL, |pool, _| pool.coordinator = None),
    ];
    each_is_found(&cases);
}

#[test]
fn every_broken_rule_of_order_strategies_and_placement_is_found() {
    let cases: [Case; 17] = [
        (codes::RESERVE, |_, plan| plan.policy.reserve_percent = 80),
        (codes::LACKS, |pool, _| {
            pool.guests[2].needs.insert("net:x".to_owned());
        }),
        (codes::CANARY_FIRST, |_, plan| {
            plan.policy.order = Order::LeastLoadedFirst;
            plan.policy.canary = Some(host_id("c"));
        }),
        (codes::COORDINATOR_LAST, |_, plan| plan.policy.order = Order::CoordinatorLast),
        (codes::LAST, |_, plan| plan.policy.last.push(host_id("c"))),
        (codes::LAST, |_, plan| plan.policy.last = vec![host_id("d"), host_id("c")]),
        (codes::LAST, |_, plan| {
            plan.policy.last.push(host_id("d"));
            plan.steps[3].wave = 3;
        }),
        (codes::NOT_EXCLUDED, |pool, plan| {
            pool.hosts[3].running = Some(plan.target.digest);
            let step = plan.steps.pop().unwrap();
            plan.excluded.push(step.host);
        }),
        (codes::HOST_TWICE, |_, plan| plan.excluded.push(host_id("b"))),
        (codes::MOVE_AGAINST_RULE, |_, plan| rule(plan, GuestStrategy::StopStart)),
        (codes::STOP_WITHOUT_RULE, |_, plan| stop(plan, 2)),
        (codes::STOP_WITHOUT_RULE, |_, plan| {
            rule(plan, GuestStrategy::Leave);
            stop(plan, 2);
        }),
        (codes::MOVED_AND_STOPPED, |_, plan| {
            let moves = plan.steps[2].moves.clone();
            stop(plan, 2);
            plan.steps[2].moves = moves;
        }),
        (codes::STOP_FROM, |_, plan| {
            stop(plan, 2);
            let stops = std::mem::take(&mut plan.steps[2].stops);
            plan.steps[3].stops = stops;
        }),
        (codes::UNKNOWN_GUEST, |_, plan| {
            stop(plan, 2);
            plan.steps[2].stops[0].guest = GuestId::new("zz").unwrap();
        }),
        (codes::PLACEMENT, |_, plan| {
            let mut back = plan.steps[3].moves[0].clone();
            std::mem::swap(&mut back.from, &mut back.to);
            plan.placement.push(back);
        }),
        (codes::PLACEMENT, |pool, plan| {
            plan.policy.placement = Placement::Restore;
            pool.hosts.push(pool.hosts[3].clone());
            pool.hosts[4].id = host_id("e");
            let mut away = plan.steps[3].moves[0].clone();
            away.from = away.to;
            away.to = host_id("e");
            plan.placement.push(away);
        }),
    ];
    each_is_found(&cases);
}

#[test]
fn figures_that_are_better_than_the_truth_are_found() {
    let changes: [fn(&mut Plan); 6] = [
        |plan| plan.figures.moves.planned -= 1,
        |plan| plan.figures.moved.planned = Mib(1),
        |plan| plan.figures.makespan.planned = Millis(1),
        |plan| plan.figures.most_moves_of_a_guest = 1,
        |plan| plan.figures.waves = 1,
        |plan| plan.figures.no_failover = vec![(1, 1)],
    ];
    for change in changes {
        let (pool, mut plan) = good();
        change(&mut plan);
        let codes = found(&pool.world(), &plan);
        assert!(codes.iter().any(|code| code == codes::FIGURE_WRONG), "{codes:?}");
    }
}

#[test]
fn a_host_that_the_plan_forgot_is_a_note() {
    let (pool, plan) = good();
    let world = pool.host("e", 64).world();
    assert_clean(&world, &plan);
    assert!(lint(&world, &plan).iter().any(|finding| finding.code == codes::HOST_NOT_IN_PLAN));
}
