//! The lab itself: it comes, it goes, it stays for itself.

use std::fs;
use std::path::Path;

use lifeboat_kvmlab::{HostEnd, KvmLab, LabError, Phase};

use crate::rig::{LONG, options, rig, skipped};

#[test]
fn two_labs_run_side_by_side_and_the_end_of_one_leaves_nothing_of_it() {
    let Some(one) = rig(|options| options.hosts(1)) else { return };
    let Some(two) = rig(|options| options.hosts(2)) else { return };
    assert_eq!(two.lab.run_in("h2", &["hostname"]).unwrap().trim(), "h2");
    assert!(matches!(one.lab.run_in("h2", &["hostname"]), Err(LabError::UnknownHost { .. })));
    let again = KvmLab::up(&options_of(one.folder()), &mut |_| ());
    assert!(matches!(again, Err(LabError::AlreadyUp { .. })), "{again:?}");

    let gone = one.folder().to_owned();
    assert!(!processes_of(&gone).is_empty());
    assert!(KvmLab::down(&gone).unwrap());
    assert_eq!(processes_of(&gone), Vec::<String>::new());
    assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains(gone.to_str().unwrap()));
    assert!(!gone.exists());
    assert!(matches!(KvmLab::down(&gone), Err(LabError::NotUp { .. })));
    // The machine's own namespace never saw the bridge.
    assert!(!Path::new("/sys/class/net/lb0").exists());

    two.lab.await_libvirt("h1", LONG).unwrap();
    assert!(two.lab.status().unwrap().hosts.iter().all(|host| host.libvirt));
}

fn options_of(folder: &Path) -> lifeboat_kvmlab::LabOptions {
    let program = lifeboat_kvmlab::CarrierProgram::at(env!("CARGO_BIN_EXE_lifeboat-kvmlab"));
    lifeboat_kvmlab::LabOptions::new(folder, program)
}

/// Command lines of processes that name the folder, the test's own left out.
fn processes_of(folder: &Path) -> Vec<String> {
    let text = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let words = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(text) {
            found.push(words);
        }
    }
    found
}

#[test]
fn every_host_is_a_machine_of_its_own_and_keeps_its_packages_over_a_reboot() {
    let Some(rig) = rig(|options| options.hosts(2)) else { return };
    let lab = &rig.lab;
    let fact = |host: &str, path: &str| lab.run_in(host, &["cat", path]).unwrap().trim().to_owned();
    for path in ["/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/etc/hostname"] {
        assert_ne!(fact("h1", path), fact("h2", path), "{path}");
        assert_ne!(fact("h1", path), fs::read_to_string(path).unwrap_or_default().trim(), "{path}");
    }
    let uuid = |host: &str| {
        lab.virsh(host, &["capabilities"]).unwrap().lines().nth(3).unwrap_or_default().to_owned()
    };
    assert!(uuid("h1").contains("uuid") && uuid("h1") != uuid("h2"));
    assert!(lab.run_in("h1", &["test", "-e", "/dev/kvm"]).is_err());
    // By name and address, from the fabric and from the other host.
    lab.run(&["virsh", "-c", "qemu+tcp://h1/system", "version"]).unwrap();
    lab.run_in("h2", &["virsh", "-c", "qemu+tcp://10.77.0.11/system", "version"]).unwrap();

    let before = (fact("h1", "/proc/sys/kernel/random/boot_id"), lab.power("h1").unwrap());
    let count = |host: &str| lab.run_in(host, &["sh", "-c", "dpkg-query -W | wc -l"]).unwrap();
    assert_eq!(count("h1"), count("h2"));
    lab.run_in("h1", &["dpkg", "--force-all", "--purge", "nbdkit"]).unwrap();
    let machine = lab.run(&["sh", "-c", "dpkg-query -W | wc -l"]).unwrap();
    lab.reboot("h1").unwrap();
    assert_ne!(fact("h1", "/proc/sys/kernel/random/boot_id"), before.0);
    let after = lab.power("h1").unwrap();
    assert_eq!((after.boots, after.ends.last()), (before.1.boots + 1, Some(&HostEnd::Reboot)));
    assert_ne!(count("h1"), count("h2"));
    assert_eq!(count("h2"), machine);
    lab.await_libvirt("h1", LONG).unwrap();
}

#[test]
fn power_goes_on_and_off_as_the_switch_says_and_a_cable_stays_pulled_over_a_reboot() {
    let Some(rig) = rig(|options| options.hosts(2)) else { return };
    let lab = &rig.lab;
    lab.power_off("h1").unwrap();
    assert_eq!(lab.power("h1").unwrap().ends, [HostEnd::Poweroff]);
    assert!(matches!(lab.run_in("h1", &["true"]), Err(LabError::HostOff { .. })));
    lab.power_on("h1").unwrap();
    lab.await_libvirt("h1", LONG).unwrap();
    lab.reset("h1").unwrap();
    assert_eq!(lab.power("h1").unwrap().ends.last(), Some(&HostEnd::Cut));
    lab.cut("h1").unwrap();
    let off = lab.power("h1").unwrap();
    assert_eq!((off.phase, off.boots, off.pid), (Phase::Off, 3, None));
    lab.power_on("h1").unwrap();
    lab.await_libvirt("h1", LONG).unwrap();

    let reach = |lab: &KvmLab| lab.run_in("h2", &["bash", "-c", "exec 3<>/dev/tcp/h1/16509"]).is_ok();
    assert!(reach(lab));
    lab.set_cable("h1", false).unwrap();
    lab.reboot("h1").unwrap();
    lab.await_libvirt("h1", LONG).unwrap();
    let mut command = lab.command_in("h2", "timeout").unwrap();
    let status = command.args(["1", "bash", "-c", "exec 3<>/dev/tcp/h1/16509"]).status().unwrap();
    assert!(!status.success());
    lab.set_cable("h1", true).unwrap();
    assert!(reach(lab));
}

#[test]
fn a_folder_that_cannot_hold_a_lab_is_refused_before_anything_is_made() {
    if skipped() {
        return;
    }
    for folder in ["/run/lifeboat-lab-test", "/tmp/a:b", "/tmp/with space"] {
        let made = KvmLab::up(&options_of(Path::new(folder)), &mut |_| ());
        assert!(matches!(made, Err(LabError::BadFolder { .. })), "{made:?}");
        assert!(!Path::new(folder).exists());
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(KvmLab::up(&options(&folder).hosts(0), &mut |_| ()), Err(LabError::Refused { .. })));
    fs::write(folder.path().join("mine"), "a file of somebody else").unwrap();
    assert!(matches!(KvmLab::down(folder.path()), Err(LabError::NotUp { .. })));
    assert!(folder.path().join("mine").exists());
}
