//! Hosts that boot from banks, judged by Lifeboat's own code.

use std::fs;
use std::path::PathBuf;

use lifeboat_kvmlab::{GuestSpec, HostEnd, HostKind, KvmLab, Phase};
use lifeboat_model::{Bank, BankState};

use crate::rig::{LONG, Rig, agent, rig};

fn bank_host(change: impl FnOnce(lifeboat_kvmlab::LabOptions) -> lifeboat_kvmlab::LabOptions) -> Option<Rig> {
    rig(|options| change(options.hosts(1).kind(HostKind::Banks)))
}

/// The version that the running root tells, not the one that the lab believes in.
fn version(lab: &KvmLab) -> String {
    lab.run_in("h1", &["cat", "/etc/lifeboat-release"]).unwrap().trim().to_owned()
}

#[test]
fn a_host_runs_a_read_only_root_from_bank_a_and_finds_its_own_disk_and_no_other() {
    let Some(rig) = bank_host(|options| options) else { return };
    let lab = &rig.lab;
    let state = lab.power("h1").unwrap();
    assert_eq!((state.bank, state.release.as_deref()), (Some(Bank::A), Some("1")));
    assert_eq!(version(lab), "1");
    let mounts = lab.run_in("h1", &["cat", "/proc/mounts"]).unwrap();
    let at =
        |path: &str| mounts.lines().find(|line| line.split(' ').nth(1) == Some(path)).unwrap().to_owned();
    assert!(at("/").contains(" ro,"), "{}", at("/"));
    assert!(at("/var/lib/lifeboat").contains(" ext4 rw,"), "{}", at("/var/lib/lifeboat"));
    assert!(lab.run_in("h1", &["touch", "/usr/bin/anything"]).is_err());
    lab.run_in("h1", &["touch", "/etc/anything"]).unwrap();
    let line = lab.run_in("h1", &["cat", "/proc/cmdline"]).unwrap();
    assert!(line.contains("lifeboat.bank=A") && line.contains("root=PARTUUID="), "{line}");
    let device = PathBuf::from(state.device.unwrap());
    let nodes = lab.run_in("h1", &["find", "/dev", "-type", "b"]).unwrap();
    assert_eq!(nodes.lines().count(), 6, "the disk and its five partitions: {nodes}");
    assert!(nodes.lines().all(|node| node.starts_with(device.to_str().unwrap())), "{nodes}");

    let backing =
        PathBuf::from("/sys/class/block").join(device.file_name().unwrap()).join("loop/backing_file");
    let disk = rig.folder().join("hosts/h1/disk.img");
    assert_eq!(fs::read_to_string(&backing).unwrap().trim(), disk.to_str().unwrap());
    lab.cut("h1").unwrap();
    assert!(!fs::read_to_string(&backing).unwrap_or_default().contains(disk.to_str().unwrap()));
    assert_eq!(lab.disk("h1").unwrap().bank_state(Bank::A).unwrap(), BankState::Good);
    lab.power_on("h1").unwrap();
    KvmLab::down(rig.folder()).unwrap();
    assert!(!fs::read_to_string(&backing).unwrap_or_default().contains(disk.to_str().unwrap()));
}

#[test]
fn the_one_shot_boot_is_used_up_and_a_trial_without_an_agent_is_ended_by_the_watchdog() {
    let Some(rig) = bank_host(|options| options.watchdog_secs(3)) else { return };
    let lab = &rig.lab;
    lab.run_in("h1", &["sh", "-c", "echo mine > /etc/host/kept; echo first > /etc/only-here"]).unwrap();
    assert_eq!(lab.install_release("h1", "2").unwrap(), Bank::B);
    let variables = lab.folder().host("h1").variables();
    let next = |folder: &PathBuf| {
        fs::read_dir(folder)
            .unwrap()
            .flatten()
            .any(|one| one.file_name().to_string_lossy().starts_with("BootNext-"))
    };
    assert!(next(&variables));
    lab.reboot("h1").unwrap();
    let state = lab.power("h1").unwrap();
    assert_eq!((state.bank, state.release.as_deref()), (Some(Bank::B), Some("2")));
    assert!(state.why.unwrap().contains("BootNext"));
    assert!(!next(&variables));
    assert_eq!(version(lab), "2");
    // Another install has writable parts of its own.
    assert!(lab.run_in("h1", &["test", "-e", "/etc/only-here"]).is_err());
    assert_eq!(lab.disk("h1").unwrap().bank_state(Bank::B).unwrap(), BankState::Trying);

    let back = lab
        .await_power("h1", LONG, "the way back", |state| state.boots == 3 && state.phase == Phase::Running);
    let back = back.unwrap();
    assert_eq!((back.bank, back.ends.last()), (Some(Bank::A), Some(&HostEnd::Watchdog)));
    assert_eq!(version(lab), "1");
    lab.run_in("h1", &["test", "-e", "/etc/only-here"]).unwrap();
}

#[test]
fn a_release_that_panics_is_left_for_the_old_bank_by_the_firmware_alone() {
    let Some(rig) = bank_host(|options| options) else { return };
    let lab = &rig.lab;
    lab.install_release("h1", "3-panics").unwrap();
    let order = lab.power("h1").unwrap().boots;
    lab.run_in("h1", &["/bin/busybox", "reboot", "-f"]).ok();
    let back =
        |state: &lifeboat_kvmlab::PowerState| state.boots == order + 2 && state.phase == Phase::Running;
    let state = lab.await_power("h1", LONG, "the way back", back).unwrap();
    assert_eq!(state.bank, Some(Bank::A));
    assert_eq!(state.ends, [HostEnd::Reboot, HostEnd::Panic]);
    assert_eq!(version(lab), "1");
}

#[test]
fn the_agent_blesses_a_good_release_and_leaves_a_sick_one_and_guests_stay_defined() {
    let Some(agent) = agent() else { return };
    let Some(rig) = bank_host(|options| options.agent(agent)) else { return };
    let lab = &rig.lab;
    let state = |bank| lab.disk("h1").unwrap().bank_state(bank).unwrap();
    lab.define_guest("h1", &GuestSpec::tick("g1")).unwrap();
    lab.run_in("h1", &["sh", "-c", "echo mine > /etc/host/kept"]).unwrap();
    lab.install_release("h1", "2").unwrap();
    lab.reboot("h1").unwrap();
    let blessed = |_: &lifeboat_kvmlab::PowerState| state(Bank::B) == BankState::Good;
    lab.await_power("h1", LONG, "the blessing of bank B", blessed).unwrap();
    assert_eq!(version(lab), "2");
    assert_eq!(lab.run_in("h1", &["cat", "/etc/host/kept"]).unwrap().trim(), "mine");
    lab.await_libvirt("h1", LONG).unwrap();
    assert_eq!(lab.guests_on("h1").unwrap().pop().unwrap().name, "g1");
    lab.reboot("h1").unwrap();
    assert_eq!(version(lab), "2");

    lab.install_release("h1", "3-sick").unwrap();
    let boots = lab.power("h1").unwrap().boots;
    lab.reboot("h1").unwrap();
    let back = |now: &lifeboat_kvmlab::PowerState| now.boots == boots + 2 && now.phase == Phase::Running;
    let now = lab.await_power("h1", LONG, "the way back", back).unwrap();
    assert_eq!(
        (now.bank, now.ends.last()),
        (Some(Bank::B), Some(&HostEnd::Reboot)),
        "{}",
        lab.agent_log("h1").unwrap()
    );
    assert_eq!(state(Bank::A), BankState::Failed);
    assert_eq!(lab.run_in("h1", &["cat", "/etc/host/kept"]).unwrap().trim(), "mine");
}
