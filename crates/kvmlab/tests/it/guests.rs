//! Guests prove what was done to them.

use std::process::Stdio;
use std::time::{Duration, Instant};

use lifeboat_kvmlab::{GuestDisk, GuestSpec};

use crate::rig::{LONG, rig};

#[test]
fn a_guest_that_moves_live_through_three_hosts_is_whole_and_one_whose_host_dies_starts_anew() {
    let Some(rig) = rig(|options| options.hosts(3)) else { return };
    let lab = &rig.lab;
    lab.start_guest(
        "h1",
        &GuestSpec { kind: lifeboat_kvmlab::GuestKind::Tick { period: 2 }, ..GuestSpec::tick("g1") },
    )
    .unwrap();
    let watch = lab.watch(&[]).unwrap();
    for (from, to) in [("h1", "h2"), ("h2", "h3"), ("h3", "h1")] {
        rig.migrate("g1", from, to);
        assert_eq!(lab.where_runs("g1").unwrap(), [to]);
    }
    let before = lab.guest_life("g1").unwrap().counter;
    let life = lab.await_life("g1", LONG, "another count", |life| life.counter > before).unwrap();
    assert!(life.is_whole(), "{}", life.words());
    assert_eq!(life.disk_behind, Some(0));
    let report = watch.report().pop().unwrap();
    println!("{} counts, longest silence {:?} ms", report.counts, report.max_gap_ms);
    assert!(report.counts > 3 && report.max_gap_ms.is_some_and(|gap| gap >= 50), "{report:?}");

    let xml = lab.virsh("h1", &["dumpxml", "--inactive", "g1"]).unwrap();
    lab.cut("h1").unwrap();
    assert_eq!(lab.where_runs("g1").unwrap(), Vec::<String>::new());
    let file = rig.folder().join("g1.xml");
    std::fs::write(&file, xml).unwrap();
    lab.virsh("h2", &["create", file.to_str().unwrap()]).unwrap();
    std::fs::remove_file(file).unwrap();
    let life = lab
        .await_life("g1", LONG, "a second life", |life| life.lives == 2 && life.counter.is_some())
        .unwrap();
    assert!(!life.is_whole(), "{}", life.words());
    lab.virsh("h2", &["shutdown", "g1"]).unwrap();
    lab.await_life("g1", LONG, "the end by its button", |life| life.powered_off).unwrap();
}

#[test]
fn a_guest_that_dirties_memory_faster_than_a_slow_link_takes_it_moves_only_over_a_fast_one_and_keeps_every_page()
 {
    let Some(rig) = rig(|options| options.hosts(2)) else { return };
    let lab = &rig.lab;
    lab.start_guest("h1", &GuestSpec::elastic("e1", 1024)).unwrap();
    // 4 MiB are dirty 18 times a second; 2.4 MiB could be sent in the pause that libvirt allows.
    lab.virsh("h1", &["migrate-setspeed", "e1", "8"]).unwrap();
    let words = ["migrate", "--live", "--p2p", "e1", "qemu+tcp://h2/system"];
    let mut slow = lab.virsh_command("h1").unwrap().args(words).stderr(Stdio::null()).spawn().unwrap();
    let rounds = || {
        let info = lab.virsh("h1", &["domjobinfo", "e1"]).unwrap_or_default();
        let line = info.lines().find_map(|line| line.strip_prefix("Iteration:"));
        line.and_then(|number| number.trim().parse::<u32>().ok()).unwrap_or(0)
    };
    let begin = Instant::now();
    while rounds() < 4 {
        assert!(
            slow.try_wait().unwrap().is_none() && begin.elapsed() < LONG,
            "it has ended, or does not go on"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    lab.virsh("h1", &["domjobabort", "e1"]).unwrap();
    assert!(!slow.wait().unwrap().success());
    assert_eq!(lab.where_runs("e1").unwrap(), ["h1"]);

    lab.virsh("h1", &["migrate-setspeed", "e1", "1000"]).unwrap();
    lab.virsh("h1", &words).unwrap();
    let counter = lab.guest_life("e1").unwrap().counter;
    let life = lab.await_life("e1", LONG, "another count", |life| life.counter > counter).unwrap();
    assert!(life.is_whole(), "{}", life.words());
    assert_eq!(lab.where_runs("e1").unwrap(), ["h2"]);
}

#[test]
fn guests_that_cannot_move_are_refused_by_libvirt_for_what_they_have() {
    let Some(rig) = rig(|options| options.hosts(2)) else { return };
    let lab = &rig.lab;
    let refuse = |guest: &str, reason: &str| {
        let words = ["migrate", "--live", "--p2p", guest, "qemu+tcp://h2/system"];
        let why = lab.virsh("h1", &words).unwrap_err().to_string();
        assert!(why.contains(reason), "{guest}: {why}");
    };
    lab.start_guest("h1", &GuestSpec { pinned: true, ..GuestSpec::tick("pinned") }).unwrap();
    refuse("pinned", "shmem");
    lab.start_guest("h1", &GuestSpec { disk: GuestDisk::SharedFile, ..GuestSpec::tick("shared") }).unwrap();
    refuse("shared", "Unsafe migration");
    lab.start_guest("h1", &GuestSpec { local_cdrom: true, ..GuestSpec::tick("cd") }).unwrap();
    refuse("cd", "cd.iso");
    lab.start_guest("h1", &GuestSpec { disk: GuestDisk::Local, autostart: true, ..GuestSpec::tick("local") })
        .unwrap();
    refuse("local", "migration");

    // Every one of them is still there, and was never touched.
    for guest in ["pinned", "shared", "cd", "local"] {
        let counter = lab.guest_life(guest).unwrap().counter;
        let life = lab.await_life(guest, LONG, "another count", |life| life.counter > counter).unwrap();
        assert!(life.is_whole(), "{guest}: {}", life.words());
    }
    lab.reboot("h1").unwrap();
    lab.await_libvirt("h1", LONG).unwrap();
    lab.await_life("local", Duration::from_secs(60), "its start with the host", |life| life.lives == 2)
        .unwrap();
    assert_eq!(lab.guests_on("h1").unwrap().iter().filter(|one| one.state == "running").count(), 1);
    lab.remove_guest("cd").unwrap();
    assert!(lab.guest_life("cd").is_err());
}
