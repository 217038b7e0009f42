//! Differences between plans.

use lifeboat_plan::{Options, diff};

use crate::pools::{at_once, host_id, planned, random_pool, without};

#[test]
fn equal_plans_have_no_differences() {
    let world = random_pool(6, 128, 50, 1).world();
    let plan = planned(&world, &at_once(2), &Options::default());
    let same = diff(&plan, &plan);
    assert!(same.is_empty());
    assert_eq!(same.to_string(), "the plans do the same\n");
}

#[test]
fn hosts_moves_and_figures_that_differ_are_listed() {
    let world = random_pool(6, 128, 50, 1).world();
    let old = planned(&world, &at_once(2), &Options::default());
    let new = planned(&world, &at_once(2), &without(&["h0003"]));
    let changes = diff(&old, &new);
    assert_eq!(changes.removed, [host_id("h0003")]);
    assert!(changes.added.is_empty());
    let stays = changes.moves.iter().filter(|change| change.new.is_empty()).count();
    assert!(stays > 0, "guests of the host that is left out stay");
    assert!(changes.figures.iter().any(|figure| figure.name == "moves"));
    let text = changes.to_string();
    assert!(text.contains("- host h0003 has no turn any more\n"), "{text}");
    let back = diff(&new, &old);
    assert_eq!(back.added, [host_id("h0003")]);
}

#[test]
fn another_policy_is_a_difference_of_the_frame() {
    let world = random_pool(6, 128, 50, 1).world();
    let serial = planned(&world, &at_once(1), &Options::default());
    let parallel = planned(&world, &at_once(3), &Options::default());
    let changes = diff(&serial, &parallel);
    let [change] = changes.policy.as_slice() else { unreachable!("{:?}", changes.policy) };
    assert_eq!((change.name, change.old.as_str(), change.new.as_str()), ("max-in-flight", "1", "3"));
    assert!(changes.to_string().contains("~ policy max-in-flight: 1 -> 3\n"), "{changes}");
    assert!(!changes.rewaved.is_empty());
}
