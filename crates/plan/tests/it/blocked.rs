//! Hosts that cannot be upgraded, and what the plan says of them.

use lifeboat_model::{Movable, Policy};
use lifeboat_plan::Options;

use crate::pools::{Pool, at_once, host_id, order, planned, target, without};

#[test]
fn every_obstacle_of_a_host_is_named_with_its_remedy() {
    type Case = (&'static str, fn(Pool) -> Pool, &'static str);
    let cases: [Case; 5] = [
        ("silent", |pool| pool.host_is(|host| host.reachable = false), "does not answer"),
        ("in maintenance", |pool| pool.host_is(|host| host.maintenance = true), "in maintenance already"),
        (
            "failed before",
            |pool| pool.host_is(|host| host.failed_releases.push(target().digest)),
            "failed on this host before",
        ),
        (
            "pinned guest",
            |pool| {
                pool.with(&[2]).guest_is(|guest| {
                    guest.movable = Movable::No { reason: "it uses the GPU of this host".to_owned() };
                })
            },
            "it uses the GPU of this host",
        ),
        ("too large", |pool| pool.host_is(|host| host.memory.0 = 999 * 1024).with(&[500]), "needs 500.0 GiB"),
    ];
    for (name, change, reason) in cases {
        let pool = Pool::default().host("a", 64).with(&[8]).host("b", 64).with(&[8]).host("x", 64);
        let world = change(pool).world();
        let plan = planned(&world, &at_once(1), &Options::default());
        let [blocked] = plan.blocked.as_slice() else { unreachable!("{name}: {:?}", plan.blocked) };
        assert_eq!(blocked.host, host_id("x"), "{name}");
        assert!(blocked.reason.contains(reason), "{name}: {}", blocked.reason);
        assert!(!blocked.remedy.is_empty(), "{name}");
        assert_eq!(plan.steps.len(), 2, "{name}: the other hosts have their turns");
        let excluded = planned(&world, &at_once(1), &without(&["x"]));
        assert_eq!(excluded.steps, plan.steps, "{name}: leaving it out gives the same steps");
        assert!(excluded.blocked.is_empty(), "{name}");
    }
}

#[test]
fn a_guest_without_a_target_is_named_with_the_figures() {
    let pool =
        Pool::default().host("h1", 40).host("h2", 40).with(&[4]).host("h3", 80).with(&[64]).coordinator("h1");
    let plan = planned(&pool.world(), &at_once(1), &Options::default());
    let [blocked] = plan.blocked.as_slice() else { unreachable!("{:?}", plan.blocked) };
    assert_eq!(blocked.guest.as_ref().map(lifeboat_model::GuestId::as_str), Some("g00001"));
    assert_eq!(
        blocked.reason,
        "guest g00001 needs 64.0 GiB; the largest free room on an upgraded host is 40.0 GiB on h2"
    );
}

#[test]
fn a_retry_after_a_failure_must_be_asked_for() {
    let pool = Pool::default().host("a", 8).host_is(|host| host.failed_releases.push(target().digest));
    let world = pool.world();
    assert_eq!(planned(&world, &at_once(1), &Options::default()).blocked.len(), 1);
    let options = Options { retry: [host_id("a")].into(), ..Options::default() };
    assert_eq!(order(&planned(&world, &at_once(1), &options)), ["a"]);
}

#[test]
fn guests_that_must_be_kept_apart_block_a_pool_without_a_spare_host() {
    let mut pool = Pool::default();
    for name in ["a", "b", "c"] {
        pool = pool.host(name, 64).with(&[4]).guest_is(|guest| guest.keep_apart = Some("db".to_owned()));
    }
    let plan = planned(&pool.clone().world(), &at_once(1), &Options::default());
    assert!(plan.steps.is_empty());
    assert_eq!(plan.blocked.len(), 3);
    assert!(plan.blocked.iter().all(|blocked| blocked.reason.contains("group db")), "{:?}", plan.blocked);
    let plan = planned(&pool.host("d", 64).world(), &at_once(1), &Options::default());
    assert!(plan.blocked.is_empty(), "a fourth host is enough: {:?}", plan.blocked);
}

#[test]
fn a_blocked_coordinator_blocks_the_members_that_wait_for_it() {
    let pinned =
        |pool: Pool| pool.guest_is(|guest| guest.movable = Movable::No { reason: "local disk".to_owned() });
    let too_full = Pool::default().host("a", 64).with(&[60]).host("b", 32).host("c", 32);
    let cases = [pinned(Pool::default().host("a", 64).with(&[4])).host("b", 64).host("c", 64), too_full];
    for pool in cases {
        let plan = planned(&pool.coordinator("a").world(), &at_once(1), &Options::default());
        assert!(plan.steps.is_empty());
        assert_eq!(plan.blocked.len(), 3);
        assert!(plan.blocked[1].reason.contains("coordinator a must be upgraded first"));
    }
}

#[test]
fn a_pool_without_any_spare_room_is_blocked_host_by_host() {
    let mut pool = Pool::default();
    for name in ["a", "b", "c", "d"] {
        pool = pool.host(name, 32).with(&[16, 16]);
    }
    let plan = planned(&pool.world(), &at_once(2), &Options::default());
    assert!(plan.steps.is_empty());
    assert_eq!(plan.blocked.len(), 4);
    assert!(plan.blocked.iter().all(|blocked| blocked.guest.is_some()));
}

#[test]
fn a_reserve_that_the_pool_does_not_have_blocks_with_the_arithmetic() {
    let pool = Pool::default().host("a", 32).with(&[16]).host("b", 32).with(&[16]);
    let policy = Policy { reserve_hosts: 1, ..at_once(1) };
    let plan = planned(&pool.world(), &policy, &Options::default());
    assert_eq!(plan.blocked.len(), 2);
    assert!(plan.blocked[0].reason.contains("32.0 GiB are free in all"), "{}", plan.blocked[0].reason);
}
