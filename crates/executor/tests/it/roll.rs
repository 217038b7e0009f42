//! Rolls from beginning to end.

use lifeboat_executor::{ExecutorError, Quiet};
use lifeboat_hypervisor::Hypervisor;
use lifeboat_model::{InFlight, OperatorVerb, Policy, RollEnd, RollId, Timestamp};
use lifeboat_store::StoreError;

use crate::pool::{Killer, folder, options, picture, pool, release, resume, start, store};

#[test]
fn a_pool_of_eight_is_upgraded_without_a_guest_noticing() {
    let dir = folder();
    let (mut pool, plan) = pool(8, 60, &Policy::default(), &[]);
    let end = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    assert_eq!(end, RollEnd::Completed);
    let world = pool.observe().unwrap();
    assert!(world.hosts().all(|host| host.running == Some(release(2).digest) && !host.maintenance));
    let picture = picture(&mut pool, &end);
    assert!(picture.contains("ha-admission-control=percent:25"), "{picture}");
}

#[test]
fn ordering_every_effect_twice_changes_nothing() {
    let run = |twice: bool| {
        let dir = folder();
        let policy = Policy { max_in_flight: InFlight::Hosts(2), ..Policy::default() };
        let (mut pool, plan) = pool(6, 30, &policy, &["no-boot:h03"]);
        let mut options = options();
        options.twice = twice;
        let end = start(&mut store(dir.path()), &mut pool, &plan, options, &mut Killer::at(0)).unwrap();
        picture(&mut pool, &end)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_host_that_does_not_boot_falls_back_alone_and_the_roll_says_so() {
    let dir = folder();
    let (mut pool, plan) = pool(8, 60, &Policy::default(), &["no-boot:h04"]);
    let end = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    let RollEnd::Stopped { reason } = &end else { panic!("{end:?}") };
    assert!(reason.contains("h04") && reason.contains("bank B was tried and left"), "{reason}");
    let picture = picture(&mut pool, &end);
    assert!(picture.contains("h04 Some(A) 1 maintenance=false up=true"), "{picture}");
    assert!(picture.contains("ha-admission-control=percent:25"), "{picture}");
}

#[test]
fn a_guest_that_cannot_move_keeps_its_host_up() {
    let dir = folder();
    let (mut pool, plan) = pool(4, 20, &Policy::default(), &["migration-fails:g03"]);
    let end = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    let RollEnd::Stopped { reason } = &end else { panic!("{end:?}") };
    assert!(reason.contains("g03"), "{reason}");
    picture(&mut pool, &end);
}

#[test]
fn a_second_controller_and_a_second_roll_are_refused() {
    let dir = folder();
    let (mut pool, plan) = pool(3, 6, &Policy::default(), &[]);
    let mut first = store(dir.path());
    // The first controller dies after a while; its roll is still the pool's.
    let left = start(&mut first, &mut pool, &plan, options(), &mut Killer::at(20));
    assert!(matches!(left, Err(ExecutorError::Left { .. })), "{left:?}");
    let world = pool.observe().unwrap();
    let again =
        lifeboat_plan::plan(&world, &release(2), &Policy::default(), &lifeboat_plan::Options::default());
    let again = again.unwrap();
    let id = RollId::new("r2").unwrap();
    let hash = again.hash().unwrap();
    let mut second = store(dir.path());
    if again.blocked.is_empty() {
        let refused =
            lifeboat_executor::Executor::start(&mut second, &mut pool, &id, &again, &hash, "{}", options());
        assert!(matches!(refused, Err(ExecutorError::Store(StoreError::Active { .. }))), "{refused:?}");
    }
    let lease = first.lease(&plan.pool, options().holder).unwrap();
    let refused = resume(&mut second, &mut pool, &mut Quiet);
    assert!(matches!(refused, Err(ExecutorError::Store(StoreError::Held { .. }))), "{refused:?}");
    drop(lease);
    assert_eq!(resume(&mut second, &mut pool, &mut Quiet).unwrap(), RollEnd::Completed);
}

#[test]
fn a_plan_that_was_not_approved_or_is_stale_is_not_started() {
    let dir = folder();
    let (mut pool, mut plan) = pool(3, 6, &Policy::default(), &[]);
    let approved = plan.hash().unwrap();
    plan.policy.reserve_hosts = 1;
    let id = RollId::new("r1").unwrap();
    let mut store = store(dir.path());
    let mut try_it = |plan: &lifeboat_model::Plan, hash| {
        lifeboat_executor::Executor::start(&mut store, &mut pool, &id, plan, &hash, "{}", options()).map(drop)
    };
    let refused = try_it(&plan, approved);
    assert!(matches!(refused, Err(ExecutorError::NotApproved { .. })), "{refused:?}");
    let planned = plan.steps[0].moves[0].guest.clone();
    plan.steps[0].moves.remove(0);
    let hash = plan.hash().unwrap();
    let refused = try_it(&plan, hash);
    let Err(ExecutorError::Stale { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains(planned.as_str()), "{reason}");
    assert!(store.rolls().unwrap().is_empty());
}

#[test]
fn a_stopped_roll_is_taken_up_with_another_try_of_the_host() {
    let dir = folder();
    let (mut pool, plan) = pool(4, 16, &Policy::default(), &["no-boot:h02"]);
    let mut store = store(dir.path());
    let end = start(&mut store, &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    assert!(matches!(end, RollEnd::Stopped { .. }), "{end:?}");
    pool.clear_faults().unwrap();
    let retry = OperatorVerb::Retry { host: lifeboat_model::HostId::new("h02").unwrap() };
    store.request(&RollId::new("r1").unwrap(), &retry, "test", Timestamp(0)).unwrap();
    let end = resume(&mut store, &mut pool, &mut Killer::at(0)).unwrap();
    assert_eq!(end, RollEnd::Completed, "{}", picture(&mut pool, &end));
}
