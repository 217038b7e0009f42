//! Real hosts with libvirt: what is seen, guests that move, maintenance.

use std::time::Duration;

use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_hypervisor::libvirt::{LocalDisks, MigrationSettings};
use lifeboat_kvmlab::{GuestDisk, GuestSpec};
use lifeboat_model::{Effect, Mib, Movable, Outcome};

use crate::kvm_support::{Rig, guest, host, migrate};

#[test]
fn a_host_is_emptied_while_its_guests_go_on_and_nothing_is_done_twice() {
    let Some(rig) = Rig::up(3) else { return };
    let names = ["g1", "g2", "g3", "g4"];
    for name in names {
        rig.start("h1", &GuestSpec { autostart: name == "g2", ..GuestSpec::tick(name) });
    }
    let mut pool = rig.pool(MigrationSettings::default());
    // What virsh sees is what the driver sees.
    let listed = rig.lab.virsh("h1", &["list", "--name"]).unwrap();
    let mut listed: Vec<&str> = listed.split_whitespace().collect();
    listed.sort_unstable();
    let seen: Vec<String> = pool.world.running_on(&host("h1")).map(|guest| guest.id.to_string()).collect();
    assert_eq!(seen, listed);
    for view in pool.world.guests() {
        assert_eq!((&view.movable, view.running), (&Movable::Yes, true), "{view:?}");
        assert!(view.needs.iter().any(|need| need.starts_with("machine:pc-i440fx")), "{view:?}");
        for other in pool.world.hosts() {
            assert_eq!(pool.world.lacks(view, other), None, "{} on {}", view.id, other.id);
        }
    }
    assert_eq!(pool.world.host(&host("h2")).unwrap().memory, Mib(64));

    let entered = pool.done(&Effect::EnterMaintenance { host: host("h1") });
    assert!(entered.contains("1 that start with it are held"), "{entered}");
    let effects: Vec<Effect> =
        names.iter().zip(["h2", "h3", "h2", "h3"]).map(|(name, to)| migrate(name, "h1", to)).collect();
    for effect in &effects {
        // The second order of the same effect is the same order.
        pool.begin(effect);
        pool.begin(effect);
    }
    for outcome in pool.ends(&effects) {
        let Outcome::Done { detail: Some(detail) } = outcome else { panic!("{outcome:?}") };
        println!("{detail}");
        assert!(detail.contains("it paused for"), "{detail}");
    }
    assert_eq!(pool.world.guests_on(&host("h1")).count(), 0, "what is seen stands before the outcome");
    assert_eq!(pool.world.running_on(&host("h2")).count(), 2);
    // Done a second time, it is found done.
    let again = pool.done(&effects[0]);
    assert_eq!(again, "g1 is on h2");
    // It starts with its host again, which is another one now.
    let starts = rig.lab.virsh("h3", &["list", "--all", "--name", "--autostart"]).unwrap();
    assert_eq!(starts.trim(), "g2");
    let refused = pool.fails(&migrate("g1", "h2", "h1"));
    assert!(refused.0.contains("h1 is in maintenance") && !refused.1, "{refused:?}");
    pool.done(&Effect::LeaveMaintenance { host: host("h1") });
    assert!(!pool.world.host(&host("h1")).unwrap().maintenance);
    pool.done(&migrate("g1", "h2", "h1"));
    rig.assert_whole(&names);
}

#[test]
fn what_a_person_does_is_told_without_asking_and_a_lost_connection_comes_back() {
    let Some(rig) = Rig::up(2) else { return };
    rig.start("h1", &GuestSpec::tick("g1"));
    let mut pool = rig.pool(MigrationSettings::default());
    rig.lab.virsh("h1", &["shutdown", "g1"]).unwrap();
    pool.until("g1 is down", |world| !world.guest(&guest("g1")).unwrap().running);
    rig.lab.virsh("h1", &["start", "g1"]).unwrap();
    pool.until("g1 runs", |world| world.guest(&guest("g1")).unwrap().running);
    rig.lab.define_guest("h2", &GuestSpec::tick("g2")).unwrap();
    pool.until("g2 is there", |world| world.guest(&guest("g2")).is_some());
    rig.lab.virsh("h2", &["undefine", "g2"]).unwrap();
    pool.until("g2 is gone", |world| world.guest(&guest("g2")).is_none());

    // libvirtd dies; the guest lives on, and so does what is known of it.
    rig.lab.run_in("h1", &["/bin/sh", "-c", "kill -9 $(cat /run/libvirtd.pid)"]).unwrap();
    pool.until("h1 is out of reach", |world| !world.host(&host("h1")).unwrap().reachable);
    assert!(pool.world.guest(&guest("g1")).unwrap().running, "nobody saw it go");
    pool.until("h1 is back", |world| world.host(&host("h1")).unwrap().reachable);
    rig.lab.virsh("h1", &["shutdown", "g1"]).unwrap();
    pool.until("events come again", |world| !world.guest(&guest("g1")).unwrap().running);
}

#[test]
fn guests_are_shut_down_and_started_once_however_often_it_is_ordered() {
    let Some(rig) = Rig::up(1) else { return };
    rig.start("h1", &GuestSpec::tick("g1"));
    let mut pool = rig.pool(MigrationSettings::default());
    let stop = Effect::StopGuest { guest: guest("g1"), host: host("h1") };
    let start = Effect::StartGuest { guest: guest("g1"), host: host("h1") };
    for _ in 0..2 {
        pool.done(&stop);
        assert!(!pool.world.guest(&guest("g1")).unwrap().running);
    }
    for _ in 0..2 {
        pool.done(&start);
        assert!(pool.world.guest(&guest("g1")).unwrap().running);
    }
    let life = rig.lab.await_life("g1", Duration::from_secs(60), "its second life", |life| life.lives == 2);
    assert_eq!(life.unwrap().lives, 2, "it was started once after it was shut down");
}

#[test]
fn what_a_host_had_before_maintenance_it_has_after_it_also_by_another_controller() {
    let Some(rig) = Rig::up(1) else { return };
    rig.start("h1", &GuestSpec { autostart: true, ..GuestSpec::tick("g1") });
    rig.lab.define_guest("h1", &GuestSpec { autostart: true, ..GuestSpec::tick("off") }).unwrap();
    let starts = |rig: &Rig| {
        let listed = rig.lab.virsh("h1", &["list", "--all", "--name", "--autostart"]).unwrap();
        let mut names: Vec<String> = listed.split_whitespace().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let mut pool = rig.pool(MigrationSettings::default());
    pool.done(&Effect::EnterMaintenance { host: host("h1") });
    assert_eq!(starts(&rig), Vec::<String>::new());
    drop(pool);
    // A second time, by another controller: what was kept is not overwritten by what is found now.
    let mut pool = rig.pool(MigrationSettings::default());
    assert!(pool.world.host(&host("h1")).unwrap().maintenance, "a new controller knows it");
    pool.done(&Effect::EnterMaintenance { host: host("h1") });
    // The host loses a description meanwhile.
    rig.lab.virsh("h1", &["undefine", "off"]).unwrap();
    let left = pool.done(&Effect::LeaveMaintenance { host: host("h1") });
    assert!(left.contains("off was described anew"), "{left}");
    assert_eq!(starts(&rig), ["g1", "off"]);
    assert_eq!(pool.done(&Effect::LeaveMaintenance { host: host("h1") }), "h1 takes guests");
}

#[test]
fn local_disks_hold_a_guest_unless_the_policy_lets_them_be_copied() {
    let Some(rig) = Rig::up(2) else { return };
    rig.start("h1", &GuestSpec { disk: GuestDisk::Local, ..GuestSpec::tick("g1") });
    rig.start("h1", &GuestSpec { pinned: true, ..GuestSpec::tick("held") });
    let mut pool = rig.pool(MigrationSettings::default());
    let reason = |pool: &crate::kvm_support::Pool, name: &str| match &pool
        .world
        .guest(&guest(name))
        .unwrap()
        .movable
    {
        Movable::No { reason } => reason.clone(),
        Movable::Yes => String::new(),
    };
    assert!(reason(&pool, "g1").contains("on its host alone"), "{}", reason(&pool, "g1"));
    assert!(reason(&pool, "held").contains("shares memory"), "{}", reason(&pool, "held"));
    let survey = pool.driver.survey(None).unwrap();
    assert!(survey.guests[&guest("g1")].local_disk.is_some());
    drop(pool);

    let copy = MigrationSettings { local_disks: LocalDisks::Copy, ..MigrationSettings::default() };
    let mut pool = rig.pool(copy);
    assert_eq!(reason(&pool, "g1"), "");
    // The other host needs a storage pool in which the disk can be made.
    let define = ["pool-define-as", "images", "dir", "--target", "/var/lib/libvirt/images"];
    for host in ["h1", "h2"] {
        rig.lab.virsh(host, &define).unwrap();
        rig.lab.virsh(host, &["pool-start", "images"]).unwrap();
    }
    pool.done(&migrate("g1", "h1", "h2"));
    rig.assert_whole(&["g1"]);
}
