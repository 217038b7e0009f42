//! Faulty variants: each breaks the promise that is named, and the search finds it.

use lifeboat_model::{Approve, Effect, HookStage, OperatorVerb};
use stateright::HasDiscoveries;

use super::machine::Machine;
use super::more::{changed, hooks, placed, waiting};
use super::mutants::Mutant;
use super::properties::{
    BANKS, BARRIERS, CAPACITY, ENDS, FEATURES, GUESTS, ORDER, PERSON, PLACING, REBOOT, RESTARTS, STALE,
    STOPPED, SUSPENDED, TIDY, WIDTH,
};
use super::scene::{Budget, Scene, Shape};
use super::search::{Found, gate, search, window, with};
use crate::toy::host;

fn run(scene: Scene, mutant: Mutant, until: HasDiscoveries) -> Found {
    search(Machine::new(scene, mutant), None, until)
}

/// The promise that the variant breaks, and the number of steps of the shortest way there.
fn finds(scene: Scene, mutant: Mutant, promise: &'static str) {
    let found = run(scene, mutant, HasDiscoveries::AllOf([promise].into()));
    let (_, steps, path) = found
        .broken
        .iter()
        .find(|(name, ..)| *name == promise)
        .unwrap_or_else(|| panic!("{mutant:?} does not break: {promise}; it breaks {:?}", names(&found)));
    eprintln!("seeded bug: {mutant:<20?} breaks \"{promise}\" after {steps} steps");
    assert!(*steps > 1, "{path}");
}

/// The variant breaks nothing in this pool.
fn misses(scene: Scene, mutant: Mutant) {
    let found = run(scene, mutant, HasDiscoveries::AnyFailures);
    assert_eq!(names(&found), Vec::<&str>::new(), "{mutant:?}");
    eprintln!("seeded bug: {mutant:<20?} is not found here");
}

fn names(found: &Found) -> Vec<&'static str> {
    found.broken.iter().map(|(name, ..)| *name).collect()
}

fn four(budget: Budget) -> Scene {
    with(Shape::new(2, &[1, 1, 1, 1]), "4 hosts x 2, 4 guests", budget)
}

fn three(budget: Budget) -> Scene {
    with(Shape::new(2, &[1, 1, 1]), "3 hosts x 2, 3 guests", budget)
}

/// Seven guests on four hosts of two slots: the last one came after the plan was made.
fn tight(budget: Budget) -> Scene {
    let mut shape = Shape::new(2, &[2, 2, 2, 1]);
    shape.tight = true;
    with(shape, "4 hosts x 2, 7 guests", budget)
}

fn crashes(crashes: u8) -> Budget {
    Budget { crashes, ..Budget::default() }
}

#[test]
fn row_2_features_to_restore_kept_in_memory_are_lost_in_a_crash() {
    finds(four(crashes(1)), Mutant::MemoryOnly, FEATURES);
}

#[test]
fn row_3_a_value_read_when_the_effect_is_carried_out_is_lost_in_a_crash() {
    finds(four(crashes(1)), Mutant::ReadAtEffect, FEATURES);
}

#[test]
fn row_4_a_next_host_that_does_not_wait_is_one_too_many() {
    finds(four(Budget::default()), Mutant::NextWithoutWaiting, WIDTH);
    finds(
        with(Shape::new(2, &[2, 2, 1, 1]), "4 hosts x 2, 6 guests", Budget::default()),
        Mutant::NextWithoutWaiting,
        CAPACITY,
    );
}

#[test]
fn row_5_a_member_before_the_coordinator_is_noticed() {
    finds(four(Budget::default()), Mutant::MemberFirst, ORDER);
}

#[test]
fn row_6_two_hosts_without_a_look_at_capacity_leave_too_little() {
    let mut shape = Shape::new(2, &[2, 2, 0, 0]);
    shape.reserve_hosts = 1;
    let mut scene = with(shape, "4 hosts x 2, 4 guests, K = 2", Budget::default());
    let mut plan = (*scene.plan).clone();
    plan.policy.max_in_flight = lifeboat_model::InFlight::Hosts(2);
    scene.plan = std::sync::Arc::new(plan);
    finds(scene.clone(), Mutant::NoCapacityCheck, CAPACITY);
    misses(scene, Mutant::Correct);
}

#[test]
fn row_7_a_guest_without_a_target_is_lost_only_in_a_tight_pool() {
    let moves = |effect: &Effect| matches!(effect, Effect::Migrate { .. });
    let budget = Budget { crashes: 1, again: 1, ..Budget::default() };
    misses(Scene { may_fail: moves, ..four(budget) }, Mutant::GuestSkipped);
    finds(tight(budget), Mutant::GuestSkipped, GUESTS);
    finds(tight(budget), Mutant::GuestSkipped, REBOOT);
}

#[test]
fn row_8_a_move_with_nowhere_to_go_is_stuck_only_in_a_tight_pool() {
    let moves = |effect: &Effect| matches!(effect, Effect::Migrate { .. });
    let budget = Budget { crashes: 1, again: 1, ..Budget::default() };
    misses(Scene { may_fail: moves, ..four(budget) }, Mutant::MoveNowhere);
    finds(tight(budget), Mutant::MoveNowhere, ENDS);
}

#[test]
fn a_second_bank_written_before_the_first_is_proved_is_noticed() {
    let scene = Scene { trial: true, ..three(Budget::default()) };
    finds(scene, Mutant::Unproved, BANKS);
}

#[test]
fn a_replaced_controller_that_acts_is_noticed() {
    finds(three(Budget { sleeps: 1, ..Budget::default() }), Mutant::StaleActs, STALE);
}

#[test]
fn an_effect_that_is_done_twice_is_noticed() {
    finds(three(crashes(1)), Mutant::RunTwice, GUESTS);
}

#[test]
fn a_feature_that_is_restored_before_the_last_move_is_noticed() {
    finds(three(Budget::default()), Mutant::RestoreEarly, SUSPENDED);
}

#[test]
fn a_guest_that_stays_down_after_an_abort_is_noticed() {
    let mut shape = Shape::new(2, &[1, 2, 1]);
    shape.stops = Some(0);
    let verbs = vec![OperatorVerb::Abort];
    let budget = Budget { verbs: 1, ..Budget::default() };
    let scene = Scene { verbs, ..with(shape, "3 hosts, 1 guest shut down", budget) };
    finds(scene, Mutant::StoppedForgotten, STOPPED);
}

#[test]
fn approvals_gates_and_windows_that_are_ignored_are_noticed() {
    let mut shape = Shape::new(2, &[1, 1, 1]);
    shape.policy.approve = Approve::EveryWave;
    finds(with(shape, "3 hosts, approvals", Budget::default()), Mutant::ApprovalIgnored, BARRIERS);
    let mut shape = Shape::new(2, &[1, 1, 1]);
    shape.policy.gates = vec![gate()];
    finds(with(shape, "3 hosts, a gate", Budget::default()), Mutant::GateIgnored, BARRIERS);
    let mut shape = Shape::new(2, &[1, 1, 1]);
    shape.policy.windows = vec![window()];
    let budget = Budget { windows: 1, ..Budget::default() };
    finds(with(shape, "3 hosts, windows", budget), Mutant::WindowIgnored, BARRIERS);
}

#[test]
fn a_persons_change_that_is_overwritten_is_noticed() {
    let verbs = vec![OperatorVerb::Skip { host: host(1) }];
    let budget = Budget { touches: 1, ..Budget::default() };
    let scene = Scene { verbs, values: vec!["percent:50"], ..three(budget) };
    finds(scene, Mutant::PersonOverwritten, PERSON);
}

/// A person interferes with a roll of three hosts.
fn with_verbs(shape: Shape, name: &'static str, verbs: Vec<OperatorVerb>, budget: Budget) -> Scene {
    Scene { verbs, ..with(shape, name, budget) }
}

#[test]
fn a_last_hook_that_is_forgotten_is_noticed() {
    let mut shape = Shape::new(2, &[1, 1, 1]);
    shape.policy.hooks = hooks(&[HookStage::PreMaintenance, HookStage::PostMaintenance]);
    finds(with(shape.clone(), "3 hosts, hooks", Budget::default()), Mutant::PostForgotten, TIDY);
    misses(with(shape, "3 hosts, hooks", Budget::default()), Mutant::Correct);
}

#[test]
fn a_move_after_the_features_are_back_is_noticed() {
    finds(with(placed(), "3 hosts, placement", Budget::default()), Mutant::PlacedLate, PLACING);
}

#[test]
fn a_reboot_that_is_not_waited_for_is_noticed() {
    let budget = Budget { crashes: 1, verbs: 1, ..Budget::default() };
    let verbs = vec![OperatorVerb::Abort];
    let scene = with_verbs(waiting(1), "3 hosts, one waits for reboot", verbs, budget);
    finds(scene, Mutant::RestartForgotten, RESTARTS);
}

#[test]
fn a_policy_that_is_not_taken_over_is_noticed() {
    let verbs = vec![changed(Approve::EveryWave, false)];
    let budget = Budget { verbs: 1, ..Budget::default() };
    let scene = with_verbs(Shape::new(2, &[1, 1, 1]), "3 hosts, policy", verbs, budget);
    finds(scene, Mutant::PolicyIgnored, BARRIERS);
}
