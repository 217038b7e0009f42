//! Order, waves and figures of the ramp.

use lifeboat_model::{FeatureKind, InFlight, Mib, Order, Policy, Sha256Hex};
use lifeboat_plan::{Options, PlanError, plan};

use crate::pools::{Pool, at_once, host_id, order, planned, random_pool, target, waves, without};

#[test]
fn the_coordinator_is_first_and_alone_and_then_the_least_loaded() {
    let pool = Pool::default()
        .host("a", 64)
        .with(&[8, 8])
        .host("b", 64)
        .with(&[16, 16])
        .host("c", 64)
        .with(&[4])
        .host("d", 64)
        .with(&[16, 8])
        .coordinator("b");
    let plan = planned(&pool.world(), &at_once(4), &Options::default());
    assert_eq!(order(&plan)[0], "b");
    assert_eq!(waves(&plan), [1, 2, 1]);
    assert_eq!((plan.figures.moves.planned, plan.figures.moves.bound), (9, 9));
    assert_eq!(plan.figures.most_moves_of_a_guest, 2);
}

#[test]
fn without_a_special_host_the_least_loaded_one_is_the_canary() {
    let pool = Pool::default().host("a", 64).with(&[32]).host("b", 64).with(&[8]).host("c", 64).with(&[16]);
    let policy = Policy { order: Order::LeastLoadedFirst, ..at_once(1) };
    let plan = planned(&pool.coordinator("a").world(), &policy, &Options::default());
    assert_eq!(order(&plan)[0], "b");
    assert_eq!(plan.figures.moves.planned, plan.figures.moves.bound);
}

#[test]
fn hosts_that_run_the_release_are_room_and_not_touched() {
    let pool = Pool::default()
        .host("a", 64)
        .host_is(|host| host.running = Some(target().digest))
        .host("b", 64)
        .with(&[32, 16])
        .host("c", 64)
        .with(&[16]);
    let plan = planned(&pool.coordinator("a").world(), &at_once(2), &Options::default());
    assert_eq!(plan.unchanged, [host_id("a")]);
    assert_eq!(order(&plan), ["c", "b"]);
    assert_eq!((plan.figures.moves.planned, plan.figures.moves.bound), (3, 3), "nobody moves twice");
}

#[test]
fn a_pool_that_runs_the_release_needs_no_steps_and_suspends_nothing() {
    let pool = Pool::default()
        .host("a", 64)
        .host_is(|host| host.running = Some(target().digest))
        .feature(FeatureKind::Ha, "on");
    let plan = planned(&pool.world(), &at_once(1), &Options::default());
    assert!(plan.steps.is_empty() && plan.suspends.is_empty() && plan.blocked.is_empty());
}

#[test]
fn features_that_are_on_are_suspended_in_a_fixed_order() {
    let pool = Pool::default()
        .feature(FeatureKind::AutoPowerOn, "on")
        .feature(FeatureKind::LoadBalancer, "off")
        .feature(FeatureKind::Ha, "restart 3")
        .host("a", 8);
    let plan = planned(&pool.world(), &at_once(1), &Options::default());
    assert_eq!(plan.suspends, [FeatureKind::Ha, FeatureKind::AutoPowerOn]);
}

#[test]
fn guests_that_do_not_run_stay_where_they_are() {
    let pool = Pool::default().host("a", 8).with(&[8]).guest_is(|guest| guest.running = false).host("b", 8);
    let plan = planned(&pool.world(), &at_once(1), &Options::default());
    assert_eq!((plan.steps.len(), plan.figures.moves.planned), (2, 0));
}

#[test]
fn waves_grow_by_themselves_up_to_the_limit_of_the_policy() {
    for seed in 0..4 {
        let world = random_pool(32, 512, 80, seed).world();
        let plan = planned(&world, &at_once(4), &Options::default());
        let waves = waves(&plan);
        assert_eq!(&waves[..4], [1, 1, 1, 1], "{waves:?}");
        assert!(waves.contains(&4) && waves.len() <= 14, "{waves:?}");
        assert_eq!(plan.figures.moves.planned, plan.figures.moves.bound);
        assert_eq!(plan.figures.moved.planned, plan.figures.moved.bound);
    }
}

#[test]
fn three_hosts_at_sixty_per_cent_cost_a_third_more_than_one_move_per_guest() {
    for seed in 0..8 {
        let world = random_pool(3, 256, 60, seed).world();
        let plan = planned(&world, &at_once(1), &Options::default());
        let first = world.running_on(&host_id("h0000")).count();
        let guests = world.guests().count();
        assert_eq!(plan.figures.moves.planned, (guests + first) as u64);
        assert_eq!(plan.figures.no_failover, [(1, 3)], "strict N+1 on 3 hosts ends at 33 %");
        assert!(plan.notes.iter().any(|note| note.contains("33 %")), "{:?}", plan.notes);
    }
}

#[test]
fn spilling_costs_moves_and_saves_time() {
    let world = random_pool(32, 512, 80, 1).world();
    let straight = planned(&world, &at_once(4), &Options::default());
    let spill = planned(&world, &Policy { spill: 3, ..at_once(4) }, &Options::default());
    assert_eq!(&waves(&spill)[..2], [1, 4]);
    assert!(spill.figures.moves.planned > straight.figures.moves.planned);
    assert!(spill.figures.makespan.planned < straight.figures.makespan.planned);
}

#[test]
fn one_host_of_a_rack_is_out_of_service_at_a_time() {
    let mut pool = random_pool(12, 256, 40, 3);
    for (index, host) in pool.hosts.iter_mut().enumerate() {
        host.fault_domain = Some(format!("rack{}", index % 2));
    }
    let world = pool.world();
    let plan = planned(&world, &at_once(6), &Options::default());
    assert_eq!(plan.figures.peak_hosts_down.planned, 2);
    let policy = Policy { one_per_fault_domain: false, ..at_once(6) };
    assert!(planned(&world, &policy, &Options::default()).figures.peak_hosts_down.planned > 2);
}

#[test]
fn the_reserve_limits_how_many_hosts_are_down_at_once() {
    let world = random_pool(10, 256, 50, 5).world();
    let plan = planned(&world, &Policy { reserve_hosts: 3, ..at_once(6) }, &Options::default());
    assert_eq!(plan.figures.peak_hosts_down.planned, 2, "5 of 10 hosts are free, 3 are kept free");
    assert!(plan.notes.iter().any(|note| note.contains("reserve")), "{:?}", plan.notes);
}

#[test]
fn excluded_hosts_keep_their_guests_and_may_help_out() {
    let pool = Pool::default().host("a", 16).with(&[8]).host("b", 16).with(&[8]);
    let world = pool.world();
    let plan = planned(&world, &at_once(1), &without(&["b"]));
    assert_eq!(order(&plan), ["a"]);
    assert_eq!(plan.steps[0].moves[0].to, host_id("b"));
    assert!(plan.notes.iter().any(|note| note.contains("left out on request")), "{:?}", plan.notes);
    assert!(plan.notes.iter().any(|note| note.contains("stay on their old release")), "{:?}", plan.notes);
}

#[test]
fn a_coordinator_that_must_be_first_cannot_be_left_out() {
    let world = Pool::default().host("a", 16).host("b", 16).coordinator("a").world();
    let error = plan(&world, &target(), &at_once(1), &without(&["a"])).unwrap_err();
    assert!(
        matches!(&error, PlanError::CoordinatorExcluded { coordinator, .. } if coordinator.as_str() == "a")
    );
    let policy = Policy { order: Order::LeastLoadedFirst, ..at_once(1) };
    assert_eq!(order(&planned(&world, &policy, &without(&["a"]))), ["b"]);
}

#[test]
fn mistakes_of_the_caller_are_named() {
    let world = Pool::default().host("a", 16).world();
    let error = plan(&world, &target(), &at_once(1), &without(&["typo"])).unwrap_err();
    assert!(error.to_string().contains("typo"), "{error}");
    let bad = Policy { max_in_flight: InFlight::Percent(90), ..Policy::default() };
    assert!(matches!(plan(&world, &target(), &bad, &Options::default()), Err(PlanError::Policy(_))));
    let absurd = Pool::default().host("a", 16).host_is(|host| host.memory = Mib(u64::MAX)).world();
    let error = plan(&absurd, &target(), &at_once(1), &Options::default()).unwrap_err();
    assert!(error.to_string().starts_with("host a of pool p has "), "{error}");
    let empty = Pool::default().world();
    assert!(matches!(
        plan(&empty, &target(), &at_once(1), &Options::default()),
        Err(PlanError::NoHosts { .. })
    ));
}

#[test]
fn a_large_host_that_no_small_one_replaces_is_upgraded_while_there_is_room() {
    // Upgraded hosts of 32 GiB never hold the guest of 48 GiB; the other host of 64 GiB does, once it is upgraded.
    let pool = Pool::default()
        .host("big1", 64)
        .with(&[48])
        .host("big2", 64)
        .with(&[8])
        .host("small1", 32)
        .with(&[4])
        .host("small2", 32)
        .with(&[4]);
    let policy = Policy { order: Order::LeastLoadedFirst, ..at_once(1) };
    let plan = planned(&pool.world(), &policy, &Options::default());
    assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
    assert_eq!(plan.steps.len(), 4);
}

#[test]
fn the_soak_is_part_of_the_estimate() {
    let world = random_pool(4, 64, 40, 1).world();
    let plain = planned(&world, &at_once(1), &Options::default()).figures.makespan;
    let soak = lifeboat_model::Millis::from_secs(3600);
    let soaked = planned(&world, &Policy { soak, ..at_once(1) }, &Options::default()).figures.makespan;
    assert_eq!(soaked.planned.0 - plain.planned.0, soak.0);
}

#[test]
fn a_host_whose_release_is_unknown_is_upgraded() {
    let pool = Pool::default().host("a", 8).host_is(|host| host.running = None).host("b", 8);
    let pool = pool.host_is(|host| host.running = Some(Sha256Hex::of(b"other")));
    let plan = planned(&pool.world(), &at_once(1), &Options::default());
    assert_eq!(plan.figures.peak_unavailable.planned, Mib::from_gib(8));
    assert_eq!(order(&plan), ["a", "b"]);
}
