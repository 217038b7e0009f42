//! A controller that dies at every moment there is.

use lifeboat_executor::ExecutorError;
use lifeboat_model::{InFlight, Policy, RollEnd};

use crate::pool::{Killer, folder, options, picture, pool, resume, start, store};

/// Kills the controller at every `stride`-th moment of the roll, and compares the end with that of one that lived.
fn every_moment(hosts: u32, guests: u32, faults: &[&str], stride: usize) -> usize {
    let dir = folder();
    let (mut whole, plan) = pool(hosts, guests, &Policy::default(), faults);
    let mut observer = Killer::at(0);
    let end = start(&mut store(dir.path()), &mut whole, &plan, options(), &mut observer).unwrap();
    let expected = picture(&mut whole, &end);
    let mut kills = 0;
    for moment in (1..=observer.seen).step_by(stride) {
        let dir = folder();
        let (mut pool, plan) = pool(hosts, guests, &Policy::default(), faults);
        let dead = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(moment));
        assert!(matches!(dead, Err(ExecutorError::Left { .. })), "moment {moment}: {dead:?}");
        kills += 1;
        // The next controller knows only the file; it dies too, a little later.
        let mut again = resume(&mut store(dir.path()), &mut pool, &mut Killer::at(17));
        if let Err(ExecutorError::Left { .. }) = again {
            kills += 1;
            again = resume(&mut store(dir.path()), &mut pool, &mut Killer::at(0));
        }
        let end = match again {
            Ok(end) => end,
            // It died with its last words on the disk.
            Err(ExecutorError::Ended { .. }) => RollEnd::Completed,
            Err(other) => panic!("moment {moment}: {other}"),
        };
        assert_eq!(picture(&mut pool, &end), expected, "killed at moment {moment}");
    }
    kills
}

#[test]
fn killed_at_every_moment_a_good_roll_ends_alike() {
    let kills = every_moment(3, 6, &[], 4);
    println!("{kills} kills");
    assert!(kills > 200, "only {kills} kills");
}

#[test]
fn killed_at_every_moment_a_roll_that_must_stop_stops_alike() {
    let kills = every_moment(4, 10, &["no-boot:h03"], 7);
    println!("{kills} kills");
    assert!(kills > 100, "only {kills} kills");
}

#[test]
fn killed_while_two_hosts_are_in_flight_nothing_is_lost() {
    let policy = Policy { max_in_flight: InFlight::Hosts(2), ..Policy::default() };
    for moment in (5..400).step_by(29) {
        let dir = folder();
        let (mut pool, plan) = pool(6, 24, &policy, &[]);
        let mut end = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(moment));
        if end.is_err() {
            end = resume(&mut store(dir.path()), &mut pool, &mut Killer::at(0));
        }
        let end = end.unwrap();
        let picture = picture(&mut pool, &end);
        assert!(picture.starts_with("Completed"), "moment {moment}: {picture}");
    }
}
