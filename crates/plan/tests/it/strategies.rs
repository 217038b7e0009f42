//! Guests that do not move: stopped, left to their owners, or not to be touched.

use lifeboat_model::{GuestRule, GuestStrategy, Mib, Movable, Policy};
use lifeboat_plan::Options;

use crate::pools::{Pool, at_once, host_id, order, planned};

fn rules(rules: &[(&str, GuestStrategy)]) -> Policy {
    let rules = rules.iter().map(|&(name, strategy)| GuestRule { guests: vec![name.to_owned()], strategy });
    Policy { guests: rules.collect(), ..at_once(1) }
}

fn pinned(pool: Pool) -> Pool {
    pool.guest_is(|guest| guest.movable = Movable::No { reason: "it has a GPU of its host".to_owned() })
}

#[test]
fn a_guest_that_is_stopped_does_not_move_and_keeps_its_room() {
    // 40 of a's 64 GiB stay with g00000, so b's 32 GiB do not fit there; c takes them.
    let pool = Pool::default().host("a", 64).with(&[40, 8]).host("b", 64).with(&[32]).host("c", 64);
    let policy = rules(&[("g00000", GuestStrategy::StopStart)]);
    let plan = planned(&pool.coordinator("a").world(), &policy, &Options::default());
    assert_eq!(order(&plan), ["a", "c", "b"]);
    let [stop] = plan.steps[0].stops.as_slice() else { unreachable!("{:?}", plan.steps[0].stops) };
    assert_eq!((stop.guest.as_str(), stop.memory, stop.by_owner), ("g00000", Mib::from_gib(40), false));
    assert_eq!(plan.steps[0].moves.len(), 1);
    assert_eq!(plan.steps[2].moves[0].to, host_id("c"));
    assert_eq!(plan.figures.moves.bound, plan.figures.moves.planned, "a guest that is stopped is no move");
    assert!(
        plan.notes.iter().any(|note| note.contains("shut down just before") && note.contains("g00000 on a"))
    );
}

#[test]
fn a_pool_without_spare_room_is_rolled_by_stopping() {
    let mut pool = Pool::default();
    for name in ["a", "b", "c"] {
        pool = pool.host(name, 32).with(&[16, 16]);
    }
    let policy = rules(&[("*", GuestStrategy::StopStart)]);
    let plan = planned(&pool.world(), &policy, &Options::default());
    assert_eq!((plan.steps.len(), plan.blocked.len(), plan.figures.moves.planned), (3, 0, 0));
}

#[test]
fn guests_that_are_left_to_their_owners_are_named_with_the_limit_of_the_wait() {
    let pool = pinned(Pool::default().host("a", 64).with(&[8])).host("b", 64);
    let policy = Policy { immovable_guests: GuestStrategy::Leave, ..at_once(1) };
    let plan = planned(&pool.coordinator("a").world(), &policy, &Options::default());
    assert!(plan.steps[0].stops[0].by_owner);
    let note = plan.notes.iter().find(|note| note.contains("left to their owners")).unwrap();
    assert!(note.contains("g00000 on a") && note.contains("1d00h (timeouts.owner)"), "{note}");
}

#[test]
fn a_guest_that_nobody_may_touch_blocks_its_host_and_the_rule_is_named() {
    let pool = Pool::default().host("a", 64).host("b", 64).with(&[8]);
    let policy = rules(&[("x*", GuestStrategy::Leave), ("g0000?", GuestStrategy::Forbid)]);
    let plan = planned(&pool.world(), &policy, &Options::default());
    let [blocked] = plan.blocked.as_slice() else { unreachable!("{:?}", plan.blocked) };
    assert_eq!(
        blocked.reason,
        "guest g00000 runs on it, and rule guests.1 of the policy (\"g0000?\") says forbid"
    );
    assert!(blocked.remedy.contains("change rule guests.1"), "{}", blocked.remedy);
    assert_eq!(blocked.guest.as_ref().map(lifeboat_model::GuestId::as_str), Some("g00000"));
}

#[test]
fn a_rule_cannot_make_a_guest_movable() {
    let pool = pinned(Pool::default().host("a", 64).host("b", 64).with(&[8]));
    let plan = planned(&pool.world(), &rules(&[("*", GuestStrategy::Migrate)]), &Options::default());
    let [blocked] = plan.blocked.as_slice() else { unreachable!("{:?}", plan.blocked) };
    assert!(blocked.reason.contains("it has a GPU of its host; rule guests.0"), "{}", blocked.reason);
}

#[test]
fn the_reserve_counts_only_what_needs_room_elsewhere() {
    // 128 GiB free of 192. Without a, 64 are gone; but 56 of its guests are down with it.
    let pool = Pool::default().host("a", 64).with(&[56]).host("b", 64).with(&[4]).host("c", 64).with(&[4]);
    let policy = Policy { reserve_percent: 50, ..rules(&[("g00000", GuestStrategy::StopStart)]) };
    let world = pool.world();
    let plan = planned(&world, &policy, &Options::default());
    assert_eq!(plan.steps.iter().filter(|step| step.host == host_id("a")).count(), 1);
    let [b, c] = plan.blocked.as_slice() else { unreachable!("{:?}", plan.blocked) };
    assert!(b.reason.contains("keeps 96.0 GiB free") && c.remedy.contains("reserve-percent"), "{b:?}");
}
