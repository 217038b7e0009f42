//! Machines that boot for real: QEMU, OVMF, Debian's kernel, our disks, our agent.
//!
//! One test, since it is one pool and every boot costs seconds: what one part leaves is what the next begins with.

use std::time::Instant;

use lifeboat_hypervisor::lab::{Lab, LabDriver, LabError, LabOptions};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{Bank, BankState, Effect, HostId, Outcome, PoolName};

use crate::lab_support::{PATIENCE, Pool, agent, bring_up};

#[test]
fn real_machines_are_upgraded_and_every_bad_release_falls_back_without_a_hand() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("lab");
    let begin = Instant::now();
    let Some(_down) = bring_up(&folder, 3) else { return };
    let again = LabOptions {
        folder: folder.clone(),
        kernel_cache: folder.join("unused"),
        agent: agent(),
        hosts: 1,
        memory_mib: 256,
    };
    assert!(matches!(Lab::up(&again, &mut |_| ()), Err(LabError::AlreadyUp { .. })));

    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("every agent says hello", |pool| pool.world.hosts().all(|host| host.reachable));
    for host in pool.world.hosts() {
        assert_eq!((host.active, host.bank(Bank::A).state), (Some(Bank::A), BankState::Good));
        assert_eq!(host.bank(Bank::B).state, BankState::Empty);
    }
    let second = LabDriver::open(Lab::open(&folder).unwrap(), PoolName::new("lab").unwrap());
    assert!(matches!(second, Err(LabError::Listen { .. })), "two controllers on one lab");

    // A good release: every host boots the other bank, and is blessed.
    pool.turn(&[("host-1", "2"), ("host-2", "2"), ("host-3", "2")]);
    for host in pool.world.hosts() {
        assert_eq!((host.active, host.bank(Bank::B).state), (Some(Bank::B), BankState::Good));
        assert_eq!(host.running, Some(pool.release("2").digest));
    }

    // The controller is lost in the middle: another one takes up what the first had ordered.
    let before = pool.host("host-1").boot_id.clone();
    drop(pool);
    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("every agent comes back", |pool| pool.world.hosts().all(|host| host.reachable));
    assert_eq!(pool.host("host-1").boot_id, before, "a lost controller costs no reboot");

    // Three bad releases, one on each host: each falls back, and says why.
    let bad = [("host-1", "3-panics"), ("host-2", "3-hangs"), ("host-3", "3-sick")];
    pool.turn(&bad);
    for (name, version) in bad {
        let host = pool.host(name);
        assert_eq!((host.active, host.bank(Bank::A).state), (Some(Bank::B), BankState::Failed), "{name}");
        assert_eq!(host.failed_releases, [pool.release(version).digest], "{name}");
        let note = host.bank(Bank::A).note.clone().unwrap();
        let expected = if version == "3-sick" { "50-sick" } else { "did not come to the end of its trial" };
        assert!(note.contains(expected), "{name}: {note}");
    }
    // What failed here is not tried again by itself.
    let (host, release) = (HostId::new("host-1").unwrap(), pool.release("3-panics"));
    let effect = Effect::CheckHost { host, release, retry: false };
    pool.driver.start(&effect.key(), &effect).unwrap();
    let events = pool.poll();
    let refused = |event: &DriverEvent| {
        matches!(event, DriverEvent::Outcome { outcome: Outcome::Failed { retriable: false, .. }, .. })
    };
    assert!(events.iter().any(refused), "{events:?}");

    // The power fails in the middle of an install: the host boots the bank that ran.
    let (host, release) = (HostId::new("host-3").unwrap(), pool.release("2"));
    pool.order(&[Effect::Stage { host: host.clone(), release: release.clone() }]);
    let install = Effect::Install { host, release, bank: Bank::A, retry: false };
    let key = install.key();
    pool.driver.start(&key, &install).unwrap();
    let machine = pool.driver.lab().machine("host-3").unwrap();
    let began = Instant::now();
    while !pool
        .poll()
        .iter()
        .any(|event| matches!(event, DriverEvent::Progress { key: of, .. } if *of == key))
    {
        assert!(began.elapsed() < PATIENCE);
    }
    machine.cut_power().unwrap();
    pool.wait_for("the host is missed", |pool| !pool.host("host-3").reachable);
    machine.start().unwrap();
    // The order still stands: it is carried out when the host is back.
    pool.wait_for("the host is back and did what was ordered", |pool| {
        let host = pool.host("host-3");
        host.reachable && host.bank(Bank::A).state == BankState::Upgraded
    });
    assert_eq!(pool.host("host-3").active, Some(Bank::B));

    let lab = pool.driver.lab().clone();
    for machine in lab.status() {
        println!("{}: {} KiB resident", machine.name, machine.resident_kib.unwrap());
    }
    drop(pool);
    let pids: Vec<u32> = lab.status().iter().filter_map(|machine| machine.pid).collect();
    assert_eq!(Lab::down(&folder).unwrap().len(), 3);
    assert!(!folder.exists(), "something is left");
    // A process that has ended may still stand in the table, without a command line.
    let runs = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    assert!(pids.len() == 3 && !pids.iter().any(runs), "{pids:?}");
    assert!(matches!(Lab::open(&folder), Err(LabError::NotUp { .. })));
}
