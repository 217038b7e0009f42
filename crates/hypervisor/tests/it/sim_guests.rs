//! Guests that are shut down, started and placed, whatever happens meanwhile.

use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimOrder, SimPool, SimSpec};
use lifeboat_model::{Effect, GuestId, HostId, Mib, Millis};

use crate::sim_support::{Controller, guest, host, memory_pool, release};

fn where_is(controller: &Controller, id: &GuestId) -> HostId {
    controller.world.guest(id).unwrap().host.clone()
}

/// A guest, its host, and the orders to shut it down and to start it.
fn first(controller: &Controller) -> (GuestId, HostId, Effect, Effect) {
    let id = guest("g01");
    let on = where_is(controller, &id);
    let stop = Effect::StopGuest { guest: id.clone(), host: on.clone() };
    let start = Effect::StartGuest { guest: id.clone(), host: on.clone() };
    (id, on, stop, start)
}

fn later(controller: &mut Controller, seconds: u64) {
    controller.pool.let_pass(Millis::from_secs(seconds)).unwrap();
    controller.world = controller.pool.observe().unwrap();
}

#[test]
fn a_guest_is_shut_down_and_started_once_however_often_it_is_ordered() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    controller.starts = 2;
    let (id, on, stop, start) = first(&controller);
    let load = controller.world.load_of(&on);
    for round in 1..=3 {
        controller.done(&stop);
        assert!(controller.done(&stop).contains("is shut down"));
        assert!(controller.world.load_of(&on) < load);
        controller.done(&start);
        assert!(controller.done(&start).contains("runs"));
        assert_eq!(controller.world.load_of(&on), load);
        let life = controller.pool.guest_life(&id).unwrap();
        assert_eq!((life.stops, life.restarts, life.lost), (round, round, false));
    }
    assert_eq!(where_is(&controller, &id), on);
}

#[test]
fn the_room_of_a_guest_that_is_shut_down_is_free_and_a_start_without_room_waits() {
    let spec = SimSpec { host_memory: Mib::from_gib(16), fill_percent: 100, ..SimSpec::in_memory(2, 12) };
    let mut controller = Controller::new(SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap());
    let biggest = controller.world.guests().max_by_key(|guest| guest.memory).unwrap().clone();
    let stop = Effect::StopGuest { guest: biggest.id.clone(), host: biggest.host.clone() };
    let start = Effect::StartGuest { guest: biggest.id.clone(), host: biggest.host.clone() };
    controller.done(&stop);
    let mut filled = Vec::new();
    let others: Vec<_> = controller.world.guests().filter(|g| g.host != biggest.host).cloned().collect();
    for other in others {
        let to = biggest.host.clone();
        let effect = Effect::Migrate { guest: other.id.clone(), from: other.host.clone(), to };
        if matches!(controller.run(&effect), lifeboat_model::Outcome::Done { .. }) {
            filled.push(other);
        }
    }
    assert!(!filled.is_empty());
    let (reason, retriable) = controller.fails(&start);
    assert!(reason.contains("free") && retriable, "{reason}");
    for other in filled {
        let from = biggest.host.clone();
        controller.done(&Effect::Migrate { guest: other.id, from, to: other.host });
    }
    controller.done(&start);
    for host in controller.world.hosts() {
        assert!(controller.world.load_of(&host.id) <= host.memory);
    }
}

#[test]
fn a_start_takes_its_room_at_once_and_gives_it_back_if_it_fails() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let (_, on, stop, start) = first(&controller);
    controller.done(&stop);
    controller.drain(&on);
    for _ in 0..3 {
        controller.start(&start);
        controller.pool.press_reset(&on).unwrap();
        let outcome = controller.wait(&start, Millis::from_secs(60));
        assert!(matches!(outcome, Some(lifeboat_model::Outcome::Failed { retriable: true, .. })));
        later(&mut controller, 600);
    }
    controller.done(&start);
    // The room that was taken is the room of what runs: all of it can still be used.
    let free = controller.host(&on).memory.saturating_sub(controller.world.load_of(&on));
    let biggest =
        controller.world.guests().filter(|g| g.host != on && g.memory <= free).max_by_key(|g| g.memory);
    let biggest = biggest.unwrap().clone();
    controller.done(&Effect::Place { guest: biggest.id, from: biggest.host, to: on });
}

#[test]
fn what_a_person_did_meanwhile_is_found() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let (id, on, stop, start) = first(&controller);
    let load = controller.world.load_of(&on);
    let hand = |run| SimOrder::Guest { guest: guest("g01"), run };
    controller.start(&stop);
    controller.pool.order(&hand(false)).unwrap();
    let told = controller.wait(&stop, Millis::from_secs(600)).unwrap();
    assert!(format!("{told:?}").contains("somebody else"));
    assert_eq!(controller.pool.guest_life(&id).unwrap().stops, 1);
    controller.start(&start);
    controller.pool.order(&hand(true)).unwrap();
    let told = controller.wait(&start, Millis::from_secs(600)).unwrap();
    assert!(format!("{told:?}").contains("somebody else"));
    assert_eq!(controller.pool.guest_life(&id).unwrap().restarts, 1);
    controller.world = controller.pool.observe().unwrap();
    assert_eq!(controller.world.load_of(&on), load);
    // A move of a guest that a person shut down meanwhile fails, and the guest stays where it is.
    let to = controller.world.hosts().find(|host| host.id != on).unwrap().id.clone();
    let place = Effect::Place { guest: id.clone(), from: on.clone(), to: to.clone() };
    controller.start(&place);
    controller.pool.order(&hand(false)).unwrap();
    assert!(matches!(
        controller.wait(&place, Millis::from_secs(3600)),
        Some(lifeboat_model::Outcome::Failed { retriable: false, .. })
    ));
    assert_eq!(where_is(&controller, &id), on);
    // What was reserved on the target is free again: a second move is as the first.
    controller.pool.order(&hand(true)).unwrap();
    controller.done(&place);
    assert_eq!(controller.done(&place), format!("g01 is on {to}"));
}

#[test]
fn a_guest_that_is_on_its_way_takes_no_second_order() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let (id, on, stop, _) = first(&controller);
    let mut others = controller.world.hosts().filter(|host| host.id != on).map(|host| host.id.clone());
    let (to, elsewhere) = (others.next().unwrap(), others.next().unwrap());
    drop(others);
    let go = Effect::Migrate { guest: id.clone(), from: on.clone(), to };
    controller.start(&go);
    let place = Effect::Place { guest: id, from: on, to: elsewhere };
    assert!(controller.fails(&place).1, "another try may help");
    assert!(controller.fails(&stop).1);
    controller.pool.let_pass(Millis::from_secs(3600)).unwrap();
    controller.world = controller.pool.observe().unwrap();
    controller.done(&go);
}

#[test]
fn a_host_that_is_down_starts_and_stops_nothing() {
    let mut controller = Controller::new(memory_pool(Behaviour::Good));
    let (_, on, stop, start) = first(&controller);
    controller.done(&stop);
    controller.drain(&on);
    controller.pool.set_condition(format!("unreachable:{on}").parse().unwrap()).unwrap();
    assert!(controller.fails(&start).0.contains("does not answer"));
    assert!(controller.done(&stop).contains("is shut down"));
    controller.pool.order(&SimOrder::Reset { host: on }).unwrap();
    later(&mut controller, 600);
    controller.done(&start);
}

#[test]
fn guests_that_must_be_kept_apart_are_not_started_side_by_side() {
    let spec = SimSpec::in_memory(3, 6);
    let mut inventory = spec.inventory().unwrap();
    for name in ["g01", "g02"] {
        let mut view = inventory.guest(&guest(name)).unwrap().clone();
        (view.keep_apart, view.host) = (Some("pair".to_owned()), host("h01"));
        view.running = name == "g01";
        inventory.set_guest(view).unwrap();
    }
    let pool = SimPool::in_memory_of(&spec, &inventory, release(1), ClockMode::Virtual).unwrap();
    let mut controller = Controller::new(pool);
    let start = Effect::StartGuest { guest: guest("g02"), host: host("h01") };
    assert!(controller.fails(&start).0.contains("kept apart from g01"));
    controller.done(&Effect::Migrate { guest: guest("g01"), from: host("h01"), to: host("h02") });
    controller.done(&start);
    let back = Effect::Migrate { guest: guest("g01"), from: host("h02"), to: host("h01") };
    assert!(controller.fails(&back).0.contains("kept apart from g02"));
}
