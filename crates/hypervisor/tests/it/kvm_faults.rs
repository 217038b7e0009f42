//! Real hosts with libvirt, while something goes wrong in the middle of a migration.

use std::time::{Duration, Instant};

use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_hypervisor::libvirt::MigrationSettings;
use lifeboat_kvmlab::GuestSpec;
use lifeboat_model::Mib;

use crate::kvm_support::{PATIENCE, Rig, guest, host, migrate};

/// One MiB a second: a guest of some MiB is on its way for seconds.
fn slow() -> MigrationSettings {
    MigrationSettings { bandwidth_mib: 1, ..MigrationSettings::default() }
}

/// A guest whose memory is large enough to be on its way for a while.
fn large(name: &str) -> GuestSpec {
    GuestSpec::elastic(name, 2048)
}

/// Waits until libvirt says that a guest is on its way.
fn await_job(rig: &Rig, name: &str, on: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let job = rig.lab.virsh(on, &["domjobinfo", name]).unwrap_or_default();
        if job.contains("Unbounded") {
            return;
        }
        assert!(Instant::now() < until, "{name} was never on its way: {job}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_guest_that_never_comes_to_an_end_is_called_off_with_figures_and_stays() {
    let Some(rig) = Rig::up(2) else { return };
    rig.start("h1", &large("busy"));
    let mut pool = rig.pool(MigrationSettings {
        give_up_after_secs: 10,
        downtime_ms: 1,
        downtime_limit_ms: 1,
        ..slow()
    });
    let (reason, retriable) = pool.fails(&migrate("busy", "h1", "h2"));
    println!("{reason}");
    assert!(retriable && reason.contains("did not come to an end in 10 s"), "{reason}");
    assert!(reason.contains("MiB/s are sent") && reason.contains("stays on h1"), "{reason}");
    assert!(
        rig.lab.virsh("h1", &["domjobinfo", "busy"]).unwrap().contains("None"),
        "nothing is left at work"
    );
    rig.assert_whole(&["busy"]);
}

#[test]
fn a_guest_that_is_too_big_or_needs_what_is_not_there_is_refused_before_anything_is_sent() {
    let Some(rig) = Rig::up(2) else { return };
    let mut settings = rig.settings(MigrationSettings::default());
    rig.start("h1", &GuestSpec { memory_kib: 32 << 10, ..GuestSpec::tick("big") });
    settings.hosts[1].memory_mib = Some(64);
    let state = tempfile::tempdir().unwrap();
    let mut pool = crate::kvm_support::Pool::open(settings.clone(), state.path());
    assert_eq!(pool.world.guest(&guest("big")).unwrap().memory, Mib(32));
    drop(pool);
    rig.start("h2", &GuestSpec { memory_kib: 40 << 10, ..GuestSpec::tick("there") });
    pool = crate::kvm_support::Pool::open(settings, state.path());
    let (reason, retriable) = pool.fails(&migrate("big", "h1", "h2"));
    assert!(retriable && reason.contains("big needs 32 MiB; h2 has 24 MiB of 64 MiB free"), "{reason}");
    let (reason, retriable) = pool.fails(&migrate("ghost", "h1", "h2"));
    assert!(!retriable && reason.contains("no guest ghost"), "{reason}");
    rig.assert_whole(&["big", "there"]);
}

#[test]
fn a_target_that_loses_its_power_in_the_middle_leaves_the_guest_where_it_was() {
    let Some(rig) = Rig::up(3) else { return };
    rig.start("h1", &large("g1"));
    let mut pool = rig.pool(slow());
    let effect = migrate("g1", "h1", "h2");
    pool.begin(&effect);
    await_job(&rig, "g1", "h1");
    rig.lab.cut("h2").unwrap();
    let outcome = pool.ends(std::slice::from_ref(&effect)).remove(0);
    println!("{outcome:?}");
    let lifeboat_model::Outcome::Failed { retriable: true, .. } = outcome else { panic!("{outcome:?}") };
    pool.until("h2 is missed", |world| !world.host(&host("h2")).unwrap().reachable);
    // Elsewhere it goes well.
    drop(pool);
    rig.lab.power_on("h2").unwrap();
    let mut pool = rig.pool(MigrationSettings::default());
    pool.done(&migrate("g1", "h1", "h3"));
    rig.assert_whole(&["g1"]);
}

#[test]
fn a_libvirtd_that_dies_in_the_middle_leaves_the_guest_running_and_another_try_moves_it() {
    let Some(rig) = Rig::up(2) else { return };
    rig.start("h1", &large("g1"));
    let mut pool = rig.pool(slow());
    let effect = migrate("g1", "h1", "h2");
    pool.begin(&effect);
    await_job(&rig, "g1", "h1");
    rig.lab.run_in("h1", &["/bin/sh", "-c", "kill -9 $(cat /run/libvirtd.pid)"]).unwrap();
    let outcome = pool.ends(std::slice::from_ref(&effect)).remove(0);
    println!("{outcome:?}");
    assert!(matches!(outcome, lifeboat_model::Outcome::Failed { retriable: true, .. }), "{outcome:?}");
    pool.until("h1 is back", |world| world.host(&host("h1")).unwrap().reachable);
    drop(pool);
    let mut pool = rig.pool(MigrationSettings::default());
    pool.done(&effect);
    rig.assert_whole(&["g1"]);
}

#[test]
fn a_migration_outlives_its_controller_and_the_next_one_finds_it() {
    let Some(rig) = Rig::up(2) else { return };
    rig.start("h1", &large("g1"));
    let effect = migrate("g1", "h1", "h2");
    // The guest writes more than is sent, unless it is slowed down: it is on its way until it may pause.
    let settings = MigrationSettings {
        bandwidth_mib: 6,
        downtime_ms: 5_000,
        downtime_limit_ms: 5_000,
        ..MigrationSettings::default()
    };
    let mut pool = rig.pool(settings.clone());
    pool.begin(&effect);
    await_job(&rig, "g1", "h1");
    drop(pool);
    let mut pool = rig.pool(settings);
    let detail = pool.done(&effect);
    println!("{detail}");
    pool.until("it is on h2", |world| world.guest(&guest("g1")).unwrap().host == host("h2"));
    assert_eq!(pool.done(&effect), "g1 is on h2");
    rig.assert_whole(&["g1"]);
}

#[test]
fn a_guest_that_runs_twice_is_named_and_not_touched() {
    let Some(rig) = Rig::up(2) else { return };
    rig.start("h1", &GuestSpec::tick("g1"));
    // Its storage does not refuse it; only who looks at all hosts sees it.
    let described = rig.lab.virsh("h1", &["dumpxml", "--inactive", "g1"]).unwrap();
    let file = rig.lab.folder().shared().join("g1.xml");
    std::fs::write(&file, described).unwrap();
    rig.lab.virsh("h2", &["define", file.to_str().unwrap()]).unwrap();
    rig.lab.virsh("h2", &["start", "g1"]).unwrap();
    let mut pool = rig.pool(MigrationSettings::default());
    let view = pool.world.guest(&guest("g1")).unwrap();
    assert!(format!("{:?}", view.movable).contains("runs on h1 and h2 at the same time"), "{view:?}");
    assert_eq!(pool.driver.notes().len(), 1);
    let (reason, _) = pool.fails(&migrate("g1", "h1", "h2"));
    assert!(reason.contains("at the same time"), "{reason}");
    assert_eq!(pool.driver.survey(None).unwrap().pool.tasks.known().map(Vec::len), Some(1));
    assert_eq!(rig.lab.where_runs("g1").unwrap().len(), 2, "a person decides which one goes");
}
