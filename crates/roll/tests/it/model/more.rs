//! Hooks, moves after the last host, hosts that wait for a reboot, policies that change, controllers that leave.

use lifeboat_model::{
    Approve, Effect, FeatureKind, Hook, HookStage, Millis, OnFailure, OperatorVerb, Policy,
};

use super::scene::{Budget, Scene, Shape, policy};
use super::search::{compare, gate, holds, with};
use crate::toy::host;

fn three() -> Shape {
    Shape::new(2, &[1, 1, 1])
}

/// One hook of each of these stages, for all hosts.
pub(crate) fn hooks(stages: &[HookStage]) -> Vec<Hook> {
    let hook = |stage: &HookStage| Hook {
        name: "site".to_owned(),
        stage: *stage,
        command: vec!["/bin/true".to_owned()],
        hosts: Vec::new(),
        timeout: Millis::from_secs(60),
        warn_after: None,
    };
    stages.iter().map(hook).collect()
}

/// Everybody back to where they were: the roll leaves the guests of the toy plan elsewhere.
pub(crate) fn placed() -> Shape {
    let mut shape = three();
    shape.placement = vec![(2, 2), (1, 1)];
    shape
}

pub(crate) fn waiting(at: usize) -> Shape {
    let mut shape = three();
    shape.pending = Some(at);
    shape
}

fn is_hook(effect: &Effect) -> bool {
    matches!(effect, Effect::RunHook { .. })
}

fn verbs() -> Vec<OperatorVerb> {
    vec![
        OperatorVerb::Abort,
        OperatorVerb::Pause,
        OperatorVerb::PauseAfterHost,
        OperatorVerb::Resume,
        OperatorVerb::Stop,
        OperatorVerb::HandOver,
        OperatorVerb::Retry { host: host(1) },
        OperatorVerb::Skip { host: host(1) },
    ]
}

#[test]
fn with_hooks_of_every_stage_every_promise_holds() {
    let mut shape = three();
    shape.policy.hooks = hooks(&HookStage::ALL);
    let budget = Budget { crashes: 1, again: 1, firm: 1, nothing: 1, ..Budget::default() };
    holds(Scene { may_fail: is_hook, ..with(shape.clone(), "3 hosts, hooks", budget) }, None, true);
    let budget = Budget { firm: 1, nothing: 1, verbs: 2, ..Budget::default() };
    let scene = with(shape.clone(), "3 hosts, hooks, orders", budget);
    let few = vec![
        OperatorVerb::Abort,
        OperatorVerb::Pause,
        OperatorVerb::Resume,
        OperatorVerb::Stop,
        OperatorVerb::Retry { host: host(1) },
    ];
    holds(Scene { may_fail: is_hook, verbs: few, ..scene }, None, true);
    let budget = Budget { crashes: 1, back: 1, gone: 1, slow: 1, verbs: 1, ..Budget::default() };
    let scene = with(shape, "3 hosts, hooks, lost hosts", budget);
    let few = vec![OperatorVerb::Abort, OperatorVerb::Retry { host: host(1) }];
    holds(Scene { verbs: few, ..scene }, None, true);
    let mut shape = three();
    shape.policy.hooks = hooks(&[HookStage::Maintenance, HookStage::PostMaintenance]);
    let budget = Budget { crashes: 2, firm: 1, nothing: 1, ..Budget::default() };
    compare(&shape, "3 hosts, hooks, ends compared", budget);
}

#[test]
fn with_moves_after_the_last_host_every_promise_holds() {
    let budget = Budget { crashes: 2, again: 1, firm: 1, ..Budget::default() };
    let places = |effect: &Effect| matches!(effect, Effect::Place { .. });
    holds(Scene { may_fail: places, ..with(placed(), "3 hosts, placement", budget) }, None, true);
    let budget = Budget { crashes: 1, verbs: 2, ..Budget::default() };
    holds(Scene { verbs: verbs(), ..with(placed(), "3 hosts, placement, orders", budget) }, None, true);
    let mut shape = placed();
    shape.policy.on_failure = OnFailure::Continue(1);
    let budget = Budget { crashes: 1, back: 1, gone: 1, ..Budget::default() };
    holds(with(shape, "3 hosts, placement, lost hosts", budget), None, true);
    let mut shape = placed();
    shape.features.push((FeatureKind::PowerManagement, "balanced"));
    let budget = Budget { touches: 1, verbs: 1, ..Budget::default() };
    let scene = Scene {
        verbs: vec![OperatorVerb::Resume, OperatorVerb::Stop, OperatorVerb::Abort],
        values: vec!["percent:50"],
        ..with(shape, "3 hosts, placement, 2 features", budget)
    };
    holds(scene, None, true);
}

#[test]
fn with_a_host_that_waits_for_a_reboot_every_promise_holds() {
    let restarts = |effect: &Effect| matches!(effect, Effect::Restart { .. });
    for (at, name) in [(0, "3 hosts, first waits for reboot"), (1, "3 hosts, one waits for reboot")] {
        let budget = Budget { crashes: 2, again: 1, firm: 1, gone: 1, ..Budget::default() };
        holds(Scene { may_fail: restarts, ..with(waiting(at), name, budget) }, None, true);
    }
    let budget = Budget { crashes: 1, verbs: 1, gone: 1, slow: 1, ..Budget::default() };
    holds(Scene { verbs: verbs(), ..with(waiting(1), "3 hosts, reboot, orders", budget) }, None, true);
    let budget = Budget { crashes: 1, strays: 1, verbs: 1, ..Budget::default() };
    let scene = with(waiting(1), "3 hosts, reboot, a guest comes", budget);
    let verbs = vec![OperatorVerb::Abort, OperatorVerb::Retry { host: host(1) }];
    holds(Scene { verbs: verbs.clone(), ..scene }, None, true);
    let budget = Budget { crashes: 1, strays: 1, verbs: 1, ..Budget::default() };
    holds(Scene { verbs, ..with(three(), "3 hosts, a guest comes", budget) }, None, true);
}

#[test]
fn crashes_while_guests_are_placed_or_hosts_restart_lead_to_no_other_end() {
    let budget = Budget { crashes: 2, again: 1, firm: 1, ..Budget::default() };
    compare(&placed(), "3 hosts, placement compared", budget);
    let budget = Budget { crashes: 2, firm: 1, gone: 1, ..Budget::default() };
    compare(&waiting(1), "3 hosts, reboot compared", budget);
}

/// The policy of the scenes with these approvals, and a gate after the first wave or none.
pub(crate) fn changed(approve: Approve, gated: bool) -> OperatorVerb {
    let mut policy = Policy { max_in_flight: lifeboat_model::InFlight::Hosts(1), approve, ..policy() };
    policy.gates.extend(gated.then(gate));
    OperatorVerb::SetPolicy { policy: Box::new(policy) }
}

#[test]
fn when_a_person_changes_the_policy_or_the_controller_every_promise_holds() {
    let mut shape = three();
    shape.policy.approve = Approve::EveryWave;
    let verbs = vec![
        changed(Approve::Plan, false),
        changed(Approve::EveryWave, true),
        OperatorVerb::Approve { wave: 2 },
        OperatorVerb::HandOver,
        OperatorVerb::Stop,
    ];
    let budget = Budget { crashes: 1, verbs: 3, ..Budget::default() };
    let fails = |effect: &Effect| matches!(effect, Effect::RunGate { .. });
    let scene = with(shape, "3 hosts, approvals taken back", budget);
    holds(Scene { verbs: verbs.clone(), may_fail: fails, ..scene }, None, true);
    let mut shape = three();
    shape.policy.gates = vec![gate()];
    let budget = Budget { crashes: 1, firm: 1, verbs: 3, ..Budget::default() };
    let scene = with(shape, "3 hosts, gates taken back", budget);
    let verbs = vec![
        changed(Approve::Plan, false),
        changed(Approve::EveryWave, false),
        OperatorVerb::Approve { wave: 3 },
        OperatorVerb::Resume,
        OperatorVerb::PauseAfterHost,
    ];
    holds(Scene { verbs, may_fail: fails, ..scene }, None, true);
}
