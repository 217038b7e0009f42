//! The linter finds what is wrong: every rule is broken once, on a plan that was good.

use lifeboat_model::{GuestId, Mib, Millis, Movable, Plan, Severity, World};
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

#[test]
fn every_broken_rule_is_found() {
    type Case = (&'static str, fn(&mut Pool, &mut Plan));
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
    for (code, change) in cases {
        let (mut pool, mut plan) = good();
        change(&mut pool, &mut plan);
        let codes = found(&pool.world(), &plan);
        assert!(codes.iter().any(|found| found == code), "{code} is not among {codes:?}");
    }
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
