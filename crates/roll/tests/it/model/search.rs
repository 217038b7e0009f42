//! The correct roll in every pool of the set: all promises hold in every state.
#![expect(clippy::disallowed_methods, reason = "a search says how long it took")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use lifeboat_model::{After, Approve, Effect, FeatureKind, Gate, Millis, OnFailure, OperatorVerb, Window};
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use super::machine::Machine;
use super::mutants::Mutant;
use super::properties::COMPLETES;
use super::scene::{Budget, Scene, Shape};
use crate::toy::host;

/// What a search found.
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// Whether every state was seen.
    pub(crate) whole: bool,
    /// Broken promises, the number of steps that lead there, and the steps.
    pub(crate) broken: Vec<(&'static str, usize, String)>,
    pub(crate) completes: bool,
    pub(crate) ends: BTreeSet<String>,
}

/// Searches all states, breadth first: what is found is found on a shortest path.
pub(crate) fn search(machine: Machine, most: Option<usize>, until: HasDiscoveries) -> Found {
    let name = machine.scene.name;
    let mutant = machine.mutant;
    let ends = Arc::clone(&machine.ends);
    let shortest = Arc::clone(&machine.shortest);
    let begin = Instant::now();
    let mut checker = machine.checker().finish_when(until);
    if let Some(most) = most {
        checker = checker.target_state_count(most);
    }
    let checker = checker.spawn_bfs().join();
    let mut broken = Vec::new();
    let mut completes = false;
    for (name, path) in checker.discoveries() {
        if checker.model().property(name).expectation == Expectation::Sometimes {
            completes = true;
            continue;
        }
        let last = format!("{:?}", path.last_state());
        let actions: Vec<String> = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
        let steps = shortest.lock().unwrap().get(name).copied().unwrap_or(actions.len());
        broken.push((name, steps, format!("{}\n   {last}", actions.join("\n   "))));
    }
    let whole = checker.is_done() && most.is_none_or(|most| checker.state_count() < most);
    let found = Found {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        whole,
        broken,
        completes,
        ends: ends.lock().unwrap().clone(),
    };
    eprintln!(
        "states explored: {name:<34} {mutant:<20?} {:>8} unique, depth {:>3}, {:>6.2} s{}",
        found.states,
        found.depth,
        begin.elapsed().as_secs_f64(),
        if found.whole { "" } else { " (bounded)" }
    );
    found
}

/// Every promise holds in every state; some behaviour completes if `completes`.
pub(crate) fn holds(scene: Scene, most: Option<usize>, completes: bool) -> usize {
    let name = scene.name;
    let found = search(Machine::new(scene, Mutant::Correct), most, HasDiscoveries::AnyFailures);
    for (property, steps, path) in &found.broken {
        eprintln!("{name}: broken: {property}, after {steps} steps:\n   {path}");
    }
    assert!(found.broken.is_empty(), "{name}: a promise is broken; the steps stand above");
    assert_eq!(found.completes, completes, "{name}: whether {COMPLETES}");
    found.states
}

pub(crate) fn with(shape: Shape, name: &'static str, budget: Budget) -> Scene {
    Scene { budget, ..shape.scene(name) }
}

fn four() -> Shape {
    Shape::new(2, &[1, 1, 1, 1])
}

fn three() -> Shape {
    Shape::new(2, &[1, 1, 1])
}

const NONE: Budget = Budget {
    crashes: 0,
    sleeps: 0,
    again: 0,
    firm: 0,
    back: 0,
    gone: 0,
    verbs: 0,
    touches: 0,
    slow: 0,
    windows: 0,
    nothing: 0,
    strays: 0,
};

#[test]
fn with_two_crashes_anywhere_every_promise_holds() {
    holds(with(four(), "4 hosts, 4 guests", Budget { crashes: 3, ..NONE }), None, true);
}

#[test]
fn with_failures_and_a_crash_every_promise_holds() {
    let budget = Budget { crashes: 1, again: 1, firm: 1, ..NONE };
    holds(with(three(), "3 hosts, failing effects", budget), None, true);
    let budget = Budget { crashes: 1, again: 2, ..NONE };
    holds(with(three(), "3 hosts, failing twice", budget), None, true);
}

#[test]
fn with_falling_back_and_lost_hosts_every_promise_holds() {
    let budget = Budget { crashes: 2, back: 1, gone: 1, ..NONE };
    holds(with(four(), "4 hosts, fall back, lost", budget), None, true);
    let mut shape = Shape::new(2, &[1, 1, 1, 1]);
    shape.policy.on_failure = OnFailure::Continue(1);
    shape.reserve_hosts = 1;
    holds(with(shape, "4 hosts, go on after one", Budget { crashes: 1, ..budget }), None, true);
    let mut shape = Shape::new(2, &[1, 1, 1, 1]);
    shape.policy.on_failure = OnFailure::Pause;
    holds(with(shape, "4 hosts, pause after one", Budget { crashes: 1, ..budget }), None, true);
}

#[test]
fn two_hosts_at_a_time_every_promise_holds() {
    let budget = Budget { crashes: 1, ..NONE };
    let mut shape = Shape::new(2, &[1, 1, 1, 1]).wide(2);
    shape.domains = vec!["r1", "r1", "r2", "r2"];
    holds(with(shape, "4 hosts, K = 2, 2 racks", budget), None, true);
    let mut shape = Shape::new(2, &[1, 1, 1, 1]).wide(2);
    shape.policy.last = vec![host(3)];
    shape.domains = vec!["r1", "r2", "r2", "r1"];
    holds(with(shape, "4 hosts, K = 2, own host last", NONE), None, true);
    let mut shape = Shape::new(2, &[1, 0, 0, 0]).wide(2);
    shape.policy.last = vec![host(3)];
    shape.domains = vec!["r1", "r2", "r2", "r1"];
    holds(with(shape, "4 hosts, K = 2, empty hosts", NONE), None, true);
}

#[test]
fn in_a_tight_pool_every_promise_holds() {
    let budget = Budget { crashes: 2, again: 1, ..NONE };
    holds(with(Shape::new(2, &[2, 2, 1, 1]), "4 hosts x 2, 6 guests", budget), None, true);
    let budget = Budget { crashes: 2, again: 2, firm: 1, ..NONE };
    let mut shape = Shape::new(2, &[2, 2, 2, 1]);
    shape.tight = true;
    holds(with(shape, "4 hosts x 2, 7 guests", budget), None, false);
}

/// The orders of a person that are tried.
fn verbs() -> Vec<OperatorVerb> {
    vec![
        OperatorVerb::Pause,
        OperatorVerb::PauseAfterHost,
        OperatorVerb::Resume,
        OperatorVerb::Stop,
        OperatorVerb::Abort,
        OperatorVerb::HandOver,
        OperatorVerb::Retry { host: host(1) },
        OperatorVerb::Skip { host: host(1) },
        OperatorVerb::Retry { host: host(0) },
        OperatorVerb::Skip { host: host(0) },
    ]
}

#[test]
#[ignore = "slow: a million states"]
fn with_two_orders_of_a_person_and_two_failures_every_promise_holds() {
    let budget = Budget { verbs: 2, again: 1, firm: 1, ..NONE };
    holds(Scene { verbs: verbs(), ..with(three(), "3 hosts, 2 orders, failing", budget) }, None, true);
    let mut shape = Shape::new(2, &[1, 2, 1]);
    shape.stops = Some(1);
    let budget = Budget { verbs: 2, firm: 2, ..NONE };
    holds(Scene { verbs: verbs(), ..with(shape, "3 hosts, 1 shut down, failing", budget) }, None, true);
}

fn five() -> Shape {
    let mut shape = Shape::new(2, &[1, 1, 1, 1, 1]).wide(2);
    shape.domains = vec!["r1", "r1", "r2", "r2", "r3"];
    shape
}

#[test]
fn with_five_hosts_two_at_a_time_every_promise_holds() {
    holds(with(five(), "5 hosts, K = 2, 3 racks", Budget { crashes: 1, back: 1, ..NONE }), None, true);
}

#[test]
#[ignore = "slow: 5 hosts, two at a time, and more that goes wrong"]
fn with_five_hosts_and_more_that_goes_wrong_every_promise_holds() {
    let budget = Budget { crashes: 1, again: 1, back: 1, gone: 1, ..NONE };
    holds(with(five(), "5 hosts, K = 2, failing, lost", budget), None, true);
}

#[test]
fn with_every_order_of_a_person_every_promise_holds() {
    let budget = Budget { crashes: 1, verbs: 2, ..NONE };
    holds(Scene { verbs: verbs(), ..with(three(), "3 hosts, 2 orders", budget) }, None, true);
    let budget = Budget { back: 1, gone: 1, verbs: 2, ..NONE };
    holds(Scene { verbs: verbs(), ..with(three(), "3 hosts, 2 orders, lost", budget) }, None, true);
}

#[test]
fn when_a_person_changes_a_feature_every_promise_holds() {
    let mut shape = three();
    shape.features.push((FeatureKind::PowerManagement, "balanced"));
    let budget = Budget { crashes: 1, touches: 1, verbs: 1, ..NONE };
    let verbs = vec![OperatorVerb::Resume, OperatorVerb::Abort];
    let scene =
        Scene { verbs, values: vec!["percent:50"], ..with(shape, "3 hosts, 2 features, changed", budget) };
    holds(scene, None, true);
}

#[test]
fn when_guests_are_shut_down_every_promise_holds() {
    let mut shape = Shape::new(2, &[1, 2, 1]);
    shape.stops = Some(1);
    let verbs = vec![
        OperatorVerb::Resume,
        OperatorVerb::Abort,
        OperatorVerb::Stop,
        OperatorVerb::Pause,
        OperatorVerb::Skip { host: host(1) },
        OperatorVerb::Retry { host: host(1) },
    ];
    let budget = Budget { crashes: 1, verbs: 1, back: 1, gone: 1, ..NONE };
    holds(Scene { verbs, ..with(shape, "3 hosts, 1 guest shut down", budget) }, None, true);
}

#[test]
fn when_a_controller_sleeps_and_another_takes_over_every_promise_holds() {
    let budget = Budget { crashes: 1, sleeps: 1, back: 1, gone: 1, ..NONE };
    holds(with(three(), "3 hosts, a controller sleeps", budget), None, true);
}

#[test]
fn between_windows_approvals_and_gates_every_promise_holds() {
    let mut shape = three();
    shape.policy.approve = Approve::EveryWave;
    let verbs =
        vec![OperatorVerb::Approve { wave: 2 }, OperatorVerb::Approve { wave: 3 }, OperatorVerb::Abort];
    let budget = Budget { crashes: 1, verbs: 2, touches: 1, ..NONE };
    let scene = Scene { verbs, values: vec!["percent:50"], ..with(shape, "3 hosts, approvals", budget) };
    holds(scene, None, true);
    let mut shape = three();
    shape.policy.gates = vec![gate()];
    let budget = Budget { crashes: 1, again: 2, firm: 1, ..NONE };
    let fails = |effect: &Effect| matches!(effect, Effect::RunGate { .. });
    holds(Scene { may_fail: fails, ..with(shape, "3 hosts, a gate", budget) }, None, true);
    let mut shape = three();
    shape.policy.windows = vec![window()];
    let budget = Budget { crashes: 1, windows: 2, verbs: 1, back: 1, ..NONE };
    let verbs = vec![OperatorVerb::Abort, OperatorVerb::Pause];
    holds(Scene { verbs, ..with(shape, "3 hosts, windows", budget) }, None, true);
}

#[test]
fn when_news_come_late_and_banks_are_on_trial_every_promise_holds() {
    let budget = Budget { crashes: 2, back: 1, gone: 1, ..NONE };
    let scene = Scene { late_news: true, trial: true, ..with(three(), "3 hosts, late news, trial", budget) };
    holds(scene, None, true);
}

#[test]
fn when_limits_pass_while_effects_go_on_every_promise_holds() {
    let budget = Budget { crashes: 1, slow: 2, ..NONE };
    holds(with(three(), "3 hosts, slow driver", budget), None, true);
}

pub(crate) fn gate() -> Gate {
    Gate {
        name: "smoke".to_owned(),
        command: vec!["/bin/true".to_owned()],
        after: After::FirstWave,
        timeout: Millis::from_secs(60),
        attempts: 2,
        delay: Millis::from_secs(10),
    }
}

pub(crate) fn window() -> Window {
    let (from, to, zone) = ("22:00".to_owned(), "04:00".to_owned(), "Europe/Vienna".to_owned());
    Window { days: Vec::new(), from, to, zone }
}

/// What crashes lead to, an undisturbed roll leads to as well.
#[test]
fn a_crash_leads_to_no_end_that_is_not_reached_without_one() {
    compare(&three(), "3 hosts, ends compared", Budget { crashes: 2, again: 1, back: 1, gone: 1, ..NONE });
    compare(&three(), "3 hosts, firm failures compared", Budget { crashes: 1, firm: 1, ..NONE });
}

/// What behaviours with crashes come to, behaviours without come to as well.
pub(crate) fn compare(shape: &Shape, name: &'static str, budget: Budget) {
    let mut calm = Machine::new(with(shape.clone(), name, Budget { crashes: 0, ..budget }), Mutant::Correct);
    calm.compare = true;
    let known = search(calm, None, HasDiscoveries::AnyFailures).ends;
    let mut scene = Machine::new(with(shape.clone(), name, budget), Mutant::Correct);
    scene.compare = true;
    scene.known = Some(known.clone());
    let found = search(scene, None, HasDiscoveries::AnyFailures);
    for (property, steps, path) in &found.broken {
        eprintln!("{name}: broken: {property}, after {steps} steps:\n   {path}\n known {known:#?}");
    }
    assert!(found.broken.is_empty(), "{name}: a promise is broken; the steps stand above");
}
