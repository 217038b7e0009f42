//! Where guests end.

use lifeboat_model::{GuestRule, GuestStrategy, Placement, Policy};
use lifeboat_plan::{Options, diff};

use crate::pools::{Pool, at_once, planned, random_pool};

fn with(placement: Placement) -> Policy {
    Policy { placement, ..at_once(4) }
}

#[test]
fn restoring_brings_every_guest_back_and_costs_what_the_plan_said() {
    for seed in 0..4 {
        let world = random_pool(16, 256, 75, seed).world();
        let keep = planned(&world, &with(Placement::Keep), &Options::default());
        let back = planned(&world, &with(Placement::Restore), &Options::default());
        assert_eq!(keep.steps, back.steps);
        let price = keep.figures.prices.unwrap().restore;
        assert_eq!(back.placement.len() as u64, price.0);
        assert_eq!(back.figures.moves.planned, keep.figures.moves.planned + price.0);
        assert!(back.figures.moves.bound >= 2 * (world.guests().len() as u64), "2V is the bound");
        assert!(back.figures.makespan.planned > keep.figures.makespan.planned);
        let mut at: std::collections::BTreeMap<_, _> =
            world.guests().map(|guest| (&guest.id, &guest.host)).collect();
        for each in back.steps.iter().flat_map(|step| &step.moves).chain(&back.placement) {
            at.insert(&each.guest, &each.to);
        }
        assert!(world.guests().all(|guest| at[&guest.id] == &guest.host));
    }
}

#[test]
fn rebalancing_takes_few_moves_and_leaves_no_host_far_above_the_average() {
    for seed in 0..4 {
        let world = random_pool(32, 512, 70, seed).world();
        let plan = planned(&world, &with(Placement::Rebalance), &Options::default());
        assert!(!plan.placement.is_empty(), "the last hosts end empty");
        assert!(plan.placement.len() * 4 < world.guests().len(), "{} moves", plan.placement.len());
        let mut load: std::collections::BTreeMap<_, u64> = world.hosts().map(|host| (&host.id, 0)).collect();
        let mut at: std::collections::BTreeMap<_, _> =
            world.guests().map(|guest| (&guest.id, &guest.host)).collect();
        for each in plan.steps.iter().flat_map(|step| &step.moves).chain(&plan.placement) {
            at.insert(&each.guest, &each.to);
        }
        for guest in world.guests() {
            *load.get_mut(at[&guest.id]).unwrap() += guest.memory.0;
        }
        let average = load.values().sum::<u64>() / 32;
        assert!(load.values().all(|load| load * 100 <= average * 110 + 100), "{load:?} of {average}");
    }
}

#[test]
fn a_guest_that_cannot_be_brought_back_is_named() {
    // a had more on it than it has room for, as a host with overcommitted memory has.
    let pool = Pool::default().host("a", 16).with(&[16, 8]).host("b", 64).with(&[4]).host("c", 64);
    let plan = planned(&pool.coordinator("b").world(), &with(Placement::Restore), &Options::default());
    let note = plan.notes.iter().find(|note| note.contains("cannot be brought back")).unwrap();
    assert!(note.contains("g00001 to a"), "{note}");
}

#[test]
fn only_guests_that_the_policy_moves_are_moved_to_even_loads_out() {
    let pool = Pool::default().host("a", 64).with(&[30, 30]).host("b", 64).host("c", 64);
    let guests = vec![GuestRule { guests: vec!["*".to_owned()], strategy: GuestStrategy::StopStart }];
    let policy = Policy { guests, ..with(Placement::Rebalance) };
    let plan = planned(&pool.world(), &policy, &Options::default());
    assert!(plan.placement.is_empty());
    assert!(plan.notes.iter().any(|note| note.contains("of the average load") && note.contains(": a")));
}

#[test]
fn another_placement_is_a_difference() {
    let world = random_pool(6, 128, 50, 1).world();
    let keep = planned(&world, &with(Placement::Keep), &Options::default());
    let back = planned(&world, &with(Placement::Restore), &Options::default());
    let changes = diff(&keep, &back);
    assert!(changes.moves.is_empty() && !changes.placement.is_empty());
    let text = changes.to_string();
    assert!(text.contains("~ policy placement: keep -> restore\n"), "{text}");
    assert!(text.contains("after the last host: stays -> "), "{text}");
    let guests = vec![GuestRule { guests: vec!["g00000".to_owned()], strategy: GuestStrategy::StopStart }];
    let stops = planned(&world, &Policy { guests, ..with(Placement::Keep) }, &Options::default());
    let changes = diff(&keep, &stops);
    assert_eq!(changes.stops.len(), 1);
    assert!(
        changes.to_string().contains("guest g00000: not stopped -> stopped and started on h"),
        "{changes}"
    );
}
