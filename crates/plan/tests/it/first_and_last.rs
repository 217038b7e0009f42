//! Who goes first and who goes last.

use lifeboat_model::{Order, Policy};
use lifeboat_plan::{Options, PlanError, plan};

use crate::pools::{Pool, at_once, host_id, order, planned, random_pool, target, waves, without};

fn four() -> Pool {
    let pool = Pool::default().host("a", 64).with(&[4]).host("b", 64).with(&[8]);
    pool.host("c", 64).with(&[12]).host("d", 64).with(&[16]).coordinator("a")
}

fn policy(order: Order) -> Policy {
    Policy { order, ..at_once(2) }
}

#[test]
fn the_coordinator_goes_last_and_alone_if_the_policy_says_so() {
    let plan = planned(&four().world(), &policy(Order::CoordinatorLast), &Options::default());
    assert_eq!(order(&plan), ["b", "c", "d", "a"]);
    assert_eq!(waves(&plan), [1, 2, 1]);
}

#[test]
fn named_hosts_go_last_in_their_order_each_alone() {
    let last = vec![host_id("c"), host_id("b")];
    let plan =
        planned(&four().world(), &Policy { last, ..policy(Order::CoordinatorFirst) }, &Options::default());
    assert_eq!(order(&plan), ["a", "d", "c", "b"]);
    assert_eq!(waves(&plan), [1, 1, 1, 1]);
    let last = vec![host_id("b")];
    let plan =
        planned(&four().world(), &Policy { last, ..policy(Order::CoordinatorLast) }, &Options::default());
    assert_eq!(order(&plan), ["c", "d", "b", "a"], "the coordinator is the last of all");
    let last = vec![host_id("a"), host_id("b")];
    let plan =
        planned(&four().world(), &Policy { last, ..policy(Order::CoordinatorLast) }, &Options::default());
    assert_eq!(order(&plan), ["c", "d", "a", "b"], "unless its place is named");
}

#[test]
fn a_pool_of_which_all_hosts_go_last_is_still_planned() {
    let last = ["d", "c", "b", "a"].map(host_id).to_vec();
    let plan =
        planned(&four().world(), &Policy { last, ..policy(Order::LeastLoadedFirst) }, &Options::default());
    assert_eq!(order(&plan), ["d", "c", "b", "a"]);
}

#[test]
fn the_canary_is_first_where_the_coordinator_does_not_have_to_be() {
    let canary = Some(host_id("c"));
    for order_of in [Order::LeastLoadedFirst, Order::CoordinatorLast] {
        let policy = Policy { canary: canary.clone(), ..policy(order_of) };
        let plan = planned(&four().world(), &policy, &Options::default());
        assert_eq!(order(&plan)[0], "c");
    }
    let policy = Policy { canary, ..policy(Order::CoordinatorFirst) };
    let plan = planned(&four().world(), &policy, &Options::default());
    assert_eq!(order(&plan)[0], "a");
    assert!(
        plan.notes.iter().any(|note| note == "canary c is not the first host: the coordinator a must be")
    );
}

#[test]
fn a_blocked_canary_blocks_the_others() {
    let pool = four().host("x", 64).host_is(|host| host.reachable = false);
    let policy = Policy { canary: Some(host_id("x")), ..policy(Order::LeastLoadedFirst) };
    let plan = planned(&pool.world(), &policy, &Options::default());
    assert!(plan.steps.is_empty());
    assert_eq!(plan.blocked.len(), 5);
    assert_eq!(plan.blocked[0].reason, "the canary x must be upgraded first, and it is blocked");
    assert!(plan.blocked[0].remedy.contains("another canary"));
}

#[test]
fn an_order_that_cannot_be_kept_is_refused_with_the_way_out() {
    let world = four().world();
    let refused = |policy: &Policy, options: &Options| plan(&world, &target(), policy, options).unwrap_err();
    let name = |host: &str| Some(host_id(host));
    let unknown = Policy { canary: name("zz"), ..policy(Order::LeastLoadedFirst) };
    assert!(
        refused(&unknown, &Options::default()).to_string().contains("host zz, named in canary of the policy")
    );
    let unknown = Policy { last: vec![host_id("zz")], ..policy(Order::LeastLoadedFirst) };
    assert!(matches!(refused(&unknown, &Options::default()), PlanError::UnknownHost { .. }));
    let both = Policy { last: vec![host_id("a")], ..policy(Order::CoordinatorFirst) };
    let text = refused(&both, &Options::default()).to_string();
    assert!(text.contains("take a out of `last`"), "{text}");
    let both = Policy { canary: name("a"), ..policy(Order::CoordinatorLast) };
    assert!(refused(&both, &Options::default()).to_string().contains("name another canary"));
    let excluded = Policy { canary: name("c"), ..policy(Order::LeastLoadedFirst) };
    assert!(refused(&excluded, &without(&["c"])).to_string().contains("plan without excluding it"));
}

#[test]
fn an_order_that_is_broken_already_is_said_by_name() {
    let mut pool = four();
    pool.hosts[2].running = Some(target().digest);
    let plan = planned(&pool.clone().world(), &policy(Order::CoordinatorFirst), &Options::default());
    assert_eq!(order(&plan)[0], "a");
    let note = plan.notes.iter().find(|note| note.contains("order is broken already")).unwrap();
    assert!(note.contains("c runs the new release before the coordinator a"), "{note}");
    assert!(note.contains("upgrade a first, as this plan does"), "{note}");
    pool.hosts[0].running = Some(target().digest);
    let plan = planned(&pool.world(), &policy(Order::CoordinatorFirst), &Options::default());
    assert!(!plan.notes.iter().any(|note| note.contains("broken")), "{:?}", plan.notes);
}

#[test]
fn hosts_that_are_left_out_are_listed() {
    let plan = planned(&four().world(), &policy(Order::LeastLoadedFirst), &without(&["b", "d"]));
    assert_eq!(plan.excluded, [host_id("b"), host_id("d")]);
}

#[test]
fn a_reserve_in_per_cent_limits_how_many_hosts_are_down() {
    let world = random_pool(10, 256, 50, 5).world();
    let policy = |percent| Policy { reserve_percent: percent, ..at_once(6) };
    assert_eq!(planned(&world, &policy(30), &Options::default()).figures.peak_hosts_down.planned, 2);
    let both = Policy { reserve_hosts: 4, ..policy(30) };
    assert_eq!(planned(&world, &both, &Options::default()).figures.peak_hosts_down.planned, 1);
}
