//! Guests that not every host can run.

use lifeboat_model::{Order, Policy};
use lifeboat_plan::Options;

use crate::pools::{Pool, at_once, host_id, planned, random_pool};

fn words(words: &[&str]) -> std::collections::BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Every second host is of a newer generation; so many per cent of the guests on them need it.
fn two_generations(hosts: usize, percent: u64, needing: usize, seed: u64) -> Pool {
    let mut pool = random_pool(hosts, 512, percent, seed);
    for (index, host) in pool.hosts.iter_mut().enumerate() {
        host.offers = if index % 2 == 1 { words(&["net:a", "cpu:new"]) } else { words(&["net:a"]) };
    }
    for (index, guest) in pool.guests.iter_mut().enumerate() {
        let host = pool.hosts.iter().find(|host| host.id == guest.host).unwrap();
        guest.needs = words(&["net:a"]);
        if host.offers.contains("cpu:new") && index % 100 < needing {
            guest.needs.insert("cpu:new".to_owned());
        }
    }
    pool
}

#[test]
fn a_guest_goes_only_to_a_host_that_offers_all_it_needs() {
    let pool = Pool::default()
        .host("a", 64)
        .host_is(|host| host.offers = words(&["cpu:new", "net:a"]))
        .with(&[8])
        .guest_is(|guest| guest.needs = words(&["cpu:new", "net:a"]))
        .host("b", 64)
        .host_is(|host| host.offers = words(&["cpu:new"]))
        .host("c", 64)
        .host_is(|host| host.offers = words(&["net:a"]))
        .host("d", 32)
        .host_is(|host| host.offers = words(&["cpu:new", "net:a", "net:b"]))
        .with(&[8]);
    let plan = planned(&pool.coordinator("a").world(), &at_once(1), &Options::default());
    assert_eq!(plan.steps[0].moves[0].to, host_id("d"));
    assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
}

#[test]
fn what_is_lacking_is_named_with_the_figures() {
    let base = |offers: &[&str]| {
        let mut pool = Pool::default()
            .host("a", 64)
            .host_is(|host| host.offers = words(&["cpu:avx512f"]))
            .with(&[8])
            .guest_is(|guest| guest.needs = words(&["cpu:avx512f"]));
        for name in ["b", "c", "d"] {
            pool = pool.host(name, 64).with(&[4]);
        }
        pool.host("e", 16).host_is(|host| host.offers = words(offers)).with(&[12])
    };
    let policy = Policy { order: Order::LeastLoadedFirst, ..at_once(1) };
    let reason = |offers: &[&str]| {
        let plan = planned(&base(offers).world(), &policy, &Options::default());
        let blocked = plan.blocked.iter().find(|blocked| blocked.host == host_id("a")).unwrap().clone();
        assert_eq!(blocked.guest.as_ref().map(lifeboat_model::GuestId::as_str), Some("g00000"));
        blocked
    };
    let nowhere = reason(&[]);
    assert_eq!(nowhere.reason, "guest g00000 needs cpu:avx512f; of 4 other hosts in service none offers it");
    assert!(nowhere.remedy.contains("stop-start"), "{}", nowhere.remedy);
    // Guests of e leave it before, so it has room in the end; a guest larger than e never fits.
    let mut pool = base(&["cpu:avx512f"]);
    pool.guests[0].memory = lifeboat_model::Mib::from_gib(20);
    let plan = planned(&pool.world(), &policy, &Options::default());
    let blocked = plan.blocked.iter().find(|blocked| blocked.host == host_id("a")).unwrap();
    assert_eq!(
        blocked.reason,
        "guest g00000 needs 20.0 GiB and cpu:avx512f; of 3 upgraded hosts with room none offers it; the largest free \
         room where it is offered is 16.0 GiB on e"
    );
}

#[test]
fn two_generations_grow_side_by_side_and_nobody_is_blocked() {
    for seed in 0..6 {
        for needing in [0, 30, 100] {
            let world = two_generations(32, 70, needing, seed).world();
            let plan = planned(&world, &at_once(4), &Options::default());
            assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
            assert!(plan.figures.waves <= 16, "{} waves", plan.figures.waves);
            let again = plan.figures.moves.planned - plan.figures.moves.bound;
            assert!(again <= 60, "only guests of the first new host move again: {again}");
        }
    }
}

#[test]
fn more_kinds_of_hosts_than_are_kept_apart_are_planned_without_a_broken_rule() {
    // More kinds than the planner keeps apart: every host has a storage that it shares with its neighbour only.
    let mut pool = random_pool(140, 512, 40, 3);
    let storage = |index: usize| format!("storage:{}", index / 2);
    for (index, host) in pool.hosts.iter_mut().enumerate() {
        host.offers = [storage(index)].into();
    }
    for guest in pool.guests.iter_mut().step_by(9) {
        let index = pool.hosts.iter().position(|host| host.id == guest.host).unwrap();
        guest.needs = [storage(index)].into();
    }
    let plan = planned(&pool.world(), &at_once(8), &Options::default());
    // Scarce hosts are not kept free here; who finds no room because of that is named with what it needs.
    assert!(plan.steps.len() >= 70, "{} of 140", plan.steps.len());
    assert!(plan.blocked.iter().all(|blocked| blocked.reason.contains("storage:")), "{:?}", plan.blocked);
}
