//! Incidents of the field: first as they happen without Lifeboat, then prevented.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_hoststate::Backup;
use lifeboat_hoststate::devices::{Devices as _, MachineDevices};
use lifeboat_hoststate::restore::{RestoreOptions, carry_out, plan_restore};
use lifeboat_topology::{RealTree, read_linux};

use crate::hosts::{Host, is_root, made, picture, run, unlike};

fn release(host: &Host, version: &str) {
    host.write(
        "etc/os-release",
        &format!("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux {version}\"\nVERSION_ID=\"{version}\"\n"),
    );
}

/// I-13: a state that another version made. Without: the archive is unpacked, and the host calls itself what it is not.
#[test]
fn i13_a_state_of_another_version_is_refused_before_anything_is_written() {
    let host = Host::small();
    let (root, tar) = (host.place("root").display().to_string(), host.place("etc.tar").display().to_string());
    run("tar", &["-C", &root, "-cf", &tar, "etc"]);
    let backup = Backup::open(&host.back_up()).unwrap();
    release(&host, "13");
    host.write("etc/motd", "of version 13\n");

    run("cp", &["-a", &root, &host.place("naive").display().to_string()]);
    run("tar", &["-C", &host.place("naive").display().to_string(), "-xf", &tar]);
    let naive = fs::read_to_string(host.place("naive/etc/os-release")).unwrap();
    assert!(naive.contains("VERSION_ID=\"12\""), "the incident: programs of 13, and the host says 12");

    let before = picture(&host.place("root"));
    let sys = host.place("sys");
    let plan =
        |options: &RestoreOptions| plan_restore(&host.root(), &backup, &host.request(&sys), options).unwrap();
    let refused = plan(&RestoreOptions::default());
    let blocker = &refused.blockers[0];
    assert_eq!((refused.blockers.len(), blocker.code), (1, "other-version"));
    assert!(blocker.what.contains("debian 12") && blocker.what.contains("debian 13"), "{blocker:?}");
    assert!(blocker.remedy.contains("--accept-version 12"), "{blocker:?}");
    carry_out(&host.root(), &backup, &refused, "x", &made(), &mut |_| {}).unwrap_err();
    let after = picture(&host.place("root"));
    assert!(unlike(&before, &after).is_empty() && !host.root_path("var/lib/lifeboat").exists());

    // Accepted only by name, and only for what outlives versions.
    let accept = |version: &str, only: Option<&[&str]>| RestoreOptions {
        accept_version: Some(version.to_owned()),
        only: only.map(|list| list.iter().map(|name| name.parse().unwrap()).collect()),
        ..RestoreOptions::default()
    };
    for wrong in [
        accept("12", None),
        accept("11", Some(&["network"])),
        accept("12", Some(&["network", "configuration"])),
    ] {
        assert_eq!(plan(&wrong).blockers.len(), 1, "{wrong:?}");
    }
    assert!(plan(&accept("12", Some(&["network", "libvirt"]))).blockers.is_empty());

    host.write("etc/os-release", "ID=ubuntu\nVERSION_ID=\"12\"\n");
    assert_eq!(plan(&accept("12", Some(&["network"]))).blockers[0].code, "other-product");
}

const MOUNTED: &str = "LIFEBOAT_TEST_MOUNTED";

/// The part of I-13 that runs in a mount namespace of its own, where a file of the root is a mount point.
#[test]
fn child_with_a_mount() {
    let Some(place) = std::env::var_os(MOUNTED) else { return };
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    fs::write(&place, "bound over\n").unwrap();
    let motd = host.root_path("etc/motd");
    run("mount", &["--bind", &PathBuf::from(&place).display().to_string(), &motd.display().to_string()]);
    host.write("etc/cron.d/job", "changed\n");

    // The incident: replacing it, as every careful program does, fails in the middle.
    let beside = motd.with_extension("new");
    fs::write(&beside, "new").unwrap();
    let error = fs::rename(&beside, &motd).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(16), "{error}");
    fs::remove_file(&beside).unwrap();

    let sys = host.place("sys");
    let plan =
        || plan_restore(&host.root(), &backup, &host.request(&sys), &RestoreOptions::default()).unwrap();
    let refused = plan();
    let [blocker] = refused.blockers.as_slice() else { panic!("{:#?}", refused.blockers) };
    assert_eq!(blocker.code, "busy");
    assert!(blocker.what.contains("etc/motd") && blocker.remedy.contains("umount"), "{blocker:?}");
    carry_out(&host.root(), &backup, &refused, "x", &made(), &mut |_| {}).unwrap_err();
    assert_eq!(host.read("etc/cron.d/job"), "changed\n", "nothing was written");

    run("umount", &[&motd.display().to_string()]);
    fs::write(&motd, "changed\n").unwrap();
    carry_out(&host.root(), &backup, &plan(), "x", &made(), &mut |_| {}).unwrap();
    assert_eq!(host.read("etc/cron.d/job"), "* * * * * root true\n");

    // A file system that is mounted read-only is told just so.
    let etc = host.root_path("etc").display().to_string();
    host.write("etc/motd", "changed again\n");
    run("mount", &["--bind", &etc, &etc]);
    run("mount", &["-o", "remount,bind,ro", &etc]);
    assert!(plan().blockers.iter().any(|blocker| blocker.code == "read-only"), "{:#?}", plan().blockers);
    println!("MOUNTS TRIED");
}

#[test]
fn i13_device_or_resource_busy_is_found_before_the_first_write() {
    if !is_root() {
        return;
    }
    let place = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "incidents::child_with_a_mount", "--nocapture"])
        .env(MOUNTED, place.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("MOUNTS TRIED"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A machine with one disk and two partitions behind an array controller, as the driver `cciss` or `hpsa` shows it.
fn machine(host: &Host, kernel: &str, links: &[(&str, &str)], parts: [&str; 2]) -> PathBuf {
    let root = host.place(&format!("machine-{}", kernel.replace('!', "-")));
    let disk = root.join("sys/devices/pci0000:00/0000:00:01.0").join("block").join(kernel);
    let put = |path: &Path, text: &str| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put(&disk.join("size"), "2000000\n");
    put(&disk.join("dev"), "104:0\n");
    for (i, part) in parts.iter().enumerate() {
        let folder = disk.join(part);
        put(&folder.join("partition"), &format!("{}\n", i + 1));
        put(&folder.join("size"), "100000\n");
        put(&folder.join("start"), "2048\n");
        put(&folder.join("dev"), &format!("104:{}\n", i + 1));
    }
    let link = |from: PathBuf, to: &str| {
        fs::create_dir_all(from.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, from).unwrap();
    };
    let inside = format!("devices/pci0000:00/0000:00:01.0/block/{kernel}");
    link(root.join("sys/block").join(kernel), &format!("../{inside}"));
    link(root.join("sys/class/block").join(kernel), &format!("../../{inside}"));
    for part in parts {
        link(root.join("sys/class/block").join(part), &format!("../../{inside}/{part}"));
    }
    for (name, node) in links {
        put(&root.join("dev").join(node), "");
        link(root.join("dev/disk/by-id").join(name), &format!("../../{node}"));
    }
    root
}

/// I-14: the backup names `cciss-…-part1`, the restored machine writes `wwn-…-part1`, another program asks for `…p1`.
#[test]
fn i14_partitions_are_found_by_identity_in_every_spelling() {
    const ID: &str = "3600508b1001c4d2e5f6a7b8c9d0e1f20";
    let mut host = Host::small();
    let cciss = [format!("cciss-{ID}"), format!("cciss-{ID}-part1"), format!("cciss-{ID}-part2")];
    let old = machine(
        &host,
        "cciss!c0d0",
        &[(&cciss[0], "cciss/c0d0"), (&cciss[1], "cciss/c0d0p1"), (&cciss[2], "cciss/c0d0p2")],
        ["cciss!c0d0p1", "cciss!c0d0p2"],
    );
    let scsi = [format!("scsi-{ID}"), format!("scsi-{ID}-part1"), format!("scsi-{ID}-part2")];
    let new =
        machine(&host, "sda", &[(&scsi[0], "sda"), (&scsi[1], "sda1"), (&scsi[2], "sda2")], ["sda1", "sda2"]);
    let old_name = format!("/dev/disk/by-id/cciss-{ID}-part1");
    // The incident: the name of the backup is looked for as it is spelled, or with `p1` behind the disk's.
    assert!(old.join(old_name.trim_start_matches('/')).symlink_metadata().is_ok());
    assert!(new.join(old_name.trim_start_matches('/')).symlink_metadata().is_err());
    assert!(new.join(format!("dev/disk/by-id/scsi-{ID}p1")).symlink_metadata().is_err());

    let devices = |place: &Path| MachineDevices::new(&read_linux(&RealTree::new(place)).unwrap());
    let (there, here) = (devices(&old), devices(&new));
    let identity = there.resolve(&old_name).unwrap().identity;
    for spelling in [
        format!("/dev/disk/by-id/cciss-{ID}-part1"),
        format!("/dev/disk/by-id/cciss-{ID}p1"),
        format!("/dev/disk/by-id/scsi-{ID}-part1"),
        format!("/dev/disk/by-id/scsi-{ID}p1"),
        format!("/dev/disk/by-id/wwn-0x{}-part1", &ID[1..]),
    ] {
        let found = here.resolve(&spelling).unwrap_or_else(|error| panic!("{spelling}: {error}"));
        assert_eq!(
            (found.identity.as_str(), found.node.as_str()),
            (identity.as_str(), "/dev/sda1"),
            "{spelling}"
        );
    }

    host.write(
        "etc/fstab",
        &format!("{old_name} / ext4 defaults 0 1\n/dev/disk/by-id/cciss-{ID}p2 /srv xfs defaults 0 0\n"),
    );
    let path = host.place("cciss.lfhs");
    let sys = host.place("sys");
    let mut request = host.request(&sys);
    request.devices = &there;
    lifeboat_hoststate::back_up(&host.root(), &request, &path).unwrap();
    let backup = Backup::open(&path).unwrap();
    fs::remove_file(host.root_path("etc/fstab")).unwrap();
    let mut request = host.request(&sys);
    request.devices = &here;
    let plan = plan_restore(&host.root(), &backup, &request, &RestoreOptions::default()).unwrap();
    assert!(plan.blockers.is_empty(), "{:#?}", plan.blockers);
    carry_out(&host.root(), &backup, &plan, "x", &made(), &mut |_| {}).unwrap();
    let fstab = host.read("etc/fstab");
    assert_eq!(
        fstab,
        format!(
            "/dev/disk/by-id/scsi-{ID}-part1 / ext4 defaults 0 1\n/dev/disk/by-id/scsi-{ID}-part2 /srv xfs defaults 0 0\n"
        )
    );

    // Another disk in its place is not taken for it.
    let other = format!("scsi-{}", ID.replace("1f20", "1f21"));
    let strange = machine(&host, "sdb", &[(&other, "sdb")], ["sdb1", "sdb2"]);
    let strange = devices(&strange);
    host.devices = crate::hosts::Known::default();
    let mut request = host.request(&sys);
    request.devices = &strange;
    fs::remove_file(host.root_path("etc/fstab")).unwrap();
    let plan = plan_restore(&host.root(), &backup, &request, &RestoreOptions::default()).unwrap();
    assert_eq!(plan.blockers.iter().map(|blocker| blocker.code).collect::<Vec<_>>(), ["device-unclear"; 2]);
    assert!(
        plan.blockers[0].what.contains(&old_name) && plan.blockers[0].what.contains("sdb"),
        "{:#?}",
        plan.blockers
    );
}
