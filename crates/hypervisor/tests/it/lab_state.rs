//! A real machine keeps its state from bank to bank, migrated; a failed trial costs the old bank nothing. And a person at
//! the firmware's menu is heard.

use std::io::Write as _;
use std::time::{Duration, Instant};

use lifeboat_hypervisor::lab::Machine;
use lifeboat_model::{Bank, BankState};

use crate::lab_support::{PATIENCE, Pool, bring_up, install, reboot_into, with_power_off};

/// What the last boot of the machine said that it had kept: the words behind `kept in FILE:`.
fn kept(machine: &Machine) -> String {
    let console = String::from_utf8_lossy(&std::fs::read(machine.console()).unwrap()).into_owned();
    let last = console.lines().rfind(|line| line.contains("lifeboat-init: kept in "));
    last.unwrap_or_else(|| panic!("{console}")).split("kept in ").last().unwrap().trim().to_owned()
}

/// What the console said so far.
fn text(machine: &Machine) -> String {
    String::from_utf8_lossy(&std::fs::read(machine.console()).unwrap()).into_owned()
}

/// Powers the machine on and types as a person would: ESC for the firmware's menu, down to the boot manager, the second
/// entry. Every key waits for what the screen shows.
fn choose_by_hand(machine: &Machine) {
    let from = text(machine).len();
    machine.start_with_menu().unwrap();
    let mut keys = machine.connect_console().unwrap();
    // Whoever is connected must read, or the machine waits; what it writes is in the file all the same.
    let mut screen = keys.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut screen, &mut std::io::sink()));
    let begin = Instant::now();
    let shown = || text(machine).get(from..).unwrap_or_default().to_owned();
    while !shown().contains("Select Language") {
        assert!(begin.elapsed() < PATIENCE, "no menu: {}", shown());
        keys.write_all(b"\x1b").unwrap();
        std::thread::sleep(Duration::from_millis(700));
    }
    // A terminal takes an escape for a key of its own after two seconds only.
    let mut press = |key: &[u8]| {
        std::thread::sleep(Duration::from_millis(2500));
        keys.write_all(key).unwrap();
    };
    let wait = |what: &str| {
        while !shown().contains(what) {
            assert!(begin.elapsed() < PATIENCE, "no {what:?} on the screen: {}", shown());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    for key in [b"\x1b[B".as_slice(), b"\x1b[B", b"\r"] {
        press(key);
    }
    for what in ["Boot Manager Menu", "Lifeboat bank A (1, good)", "Lifeboat bank B (2, good)"] {
        wait(what);
    }
    for key in [b"\x1b[B".as_slice(), b"\r"] {
        press(key);
    }
}

#[test]
fn state_is_carried_migrated_and_the_old_bank_keeps_its_own() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("lab");
    let begin = Instant::now();
    let Some(_down) = bring_up(&folder, 1) else { return };
    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("the agent says hello", |pool| pool.host("host-1").reachable);
    let machine = pool.driver.lab().machine("host-1").unwrap();
    assert_eq!(kept(&machine), "/etc/host/boots: 1");
    with_power_off(&mut pool, "host-1", |_| ());
    assert_eq!(kept(&machine), "/etc/host/boots: 1 1");

    // A release that fails its health check wrote into its own copy only.
    let bank = install(&mut pool, "host-1", "3-sick");
    reboot_into(&mut pool, "host-1", bank);
    let host = pool.host("host-1");
    assert_eq!((host.active, host.bank(Bank::B).state), (Some(Bank::A), BankState::Failed));
    let console = String::from_utf8_lossy(&std::fs::read(machine.console()).unwrap()).into_owned();
    assert!(
        console.contains("kept in /etc/host/log: 1 1 3-sick"),
        "the trial had the migrated state: {console}"
    );
    assert_eq!(kept(&machine), "/etc/host/boots: 1 1 1");

    // A good release takes over what the old one had, under its new name.
    let bank = install(&mut pool, "host-1", "2");
    reboot_into(&mut pool, "host-1", bank);
    let host = pool.host("host-1");
    assert_eq!((host.active, host.bank(Bank::B).state), (Some(Bank::B), BankState::Good));
    assert_eq!(kept(&machine), "/etc/host/log: 1 1 1 2");
    with_power_off(&mut pool, "host-1", |_| ());
    assert_eq!(kept(&machine), "/etc/host/log: 1 1 1 2 2");

    // Both banks are good. A person opens the firmware's menu, finds both by telling names, and takes the other one.
    let before = pool.host("host-1").boot_id.clone();
    machine.cut_power().unwrap();
    pool.wait_for("the host is missed", |pool| !pool.host("host-1").reachable);
    choose_by_hand(&machine);
    pool.wait_for("the host is back", |pool| pool.host("host-1").reachable);
    let host = pool.host("host-1");
    assert!(host.active == Some(Bank::A) && host.boot_id != before, "{host:?}");
    assert_eq!([Bank::A, Bank::B].map(|bank| host.bank(bank).state), [BankState::Good; 2]);
    assert!(host.failed_releases.len() == 1, "nothing new is blamed: {host:?}");
    let told = "bank A was chosen by hand for this boot: bank B is whole and stays first in the boot order";
    pool.wait_for("the choice is told", |_| text(&machine).contains(told));
    // What bank A kept is its own.
    assert_eq!(kept(&machine), "/etc/host/boots: 1 1 1 1");
    // A choice holds for one boot.
    with_power_off(&mut pool, "host-1", |_| ());
    assert_eq!(pool.host("host-1").active, Some(Bank::B));
    println!("the whole story took {:.0} s", begin.elapsed().as_secs_f32());
}
