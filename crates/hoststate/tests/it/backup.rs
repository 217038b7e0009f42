//! A backup holds everything, and gives everything back.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use lifeboat_hoststate::restore::{RestoreOptions, carry_out, plan_restore};
use lifeboat_hoststate::{Backup, Section};

use crate::hosts::{Host, has, is_root, made, picture, run, unlike};

#[test]
fn a_backup_tells_product_host_and_sections_and_is_for_its_owner_alone() {
    let host = Host::small();
    let path = host.back_up();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let backup = Backup::open(&path).unwrap();
    let index = backup.index();
    assert_eq!((index.product.id.as_str(), index.product.version.as_str()), ("debian", "12"));
    assert_eq!(index.host.hostname.as_deref(), Some("kvm-1"));
    assert_eq!(index.host.dmi_uuid.as_deref(), Some("4c4c4544-0042-3510-8048-b4c04f473432"));
    let names: Vec<&str> = index.sections.iter().map(|section| section.name.as_str()).collect();
    let all: Vec<&str> = Section::ALL.iter().map(|section| section.word()).collect();
    assert_eq!(names, all);
    let left: Vec<&str> = index.left_out.iter().map(|left| left.path.as_str()).collect();
    assert!(
        left.contains(&"etc/os-release") && left.contains(&"var/lib/libvirt/qemu/save/web.save"),
        "{left:?}"
    );
    // Nothing of the write is left beside it.
    assert!(!host.place("backup.lfhs.new").exists());
}

#[test]
fn a_host_whose_product_nobody_tells_is_not_backed_up() {
    let host = Host::small();
    fs::remove_file(host.root_path("etc/os-release")).unwrap();
    let sys = host.place("sys");
    let path = host.place("backup.lfhs");
    let error = lifeboat_hoststate::back_up(&host.root(), &host.request(&sys), &path).unwrap_err();
    assert!(error.to_string().contains("which product"), "{error}");
    assert!(!path.exists() && !host.place("backup.lfhs.new").exists());
}

/// The whole /etc of this machine, and everything else that a file system can hold.
#[test]
fn every_owner_mode_time_attribute_link_and_hole_comes_back_as_rsync_sees_it() {
    if !is_root() || !has("rsync") {
        return;
    }
    let host = Host::small();
    run("cp", &["-a", "--no-clobber", "/etc/.", &host.root_path("etc").display().to_string()]);
    host.add_oddities();
    let before = picture(&host.place("root"));
    let path = host.back_up();
    assert!(unlike(&before, &picture(&host.place("root"))).is_empty(), "a backup changes nothing");

    let target = Host::empty();
    let backup = Backup::open(&path).unwrap();
    let sys = host.place("sys");
    let options = RestoreOptions { device_nodes: true, ..RestoreOptions::default() };
    let plan = plan_restore(&target.root(), &backup, &host.request(&sys), &options).unwrap();
    assert!(plan.blockers.is_empty(), "{:#?}", plan.blockers);
    carry_out(&target.root(), &backup, &plan, "t1", &made(), &mut |_| {}).unwrap();

    // What is never kept is listed in the backup; rsync is told to pass over exactly that.
    let mut rsync = Command::new("rsync");
    rsync.args(["-aHAXn", "--delete", "--itemize-changes", "--checksum"]);
    for left in &backup.index().left_out {
        rsync.arg(format!("--exclude=/{}", left.path));
    }
    for other in ["/var/lib/lifeboat", "/var/lib/dpkg"] {
        rsync.arg(format!("--exclude={other}"));
    }
    let output = rsync
        .arg(format!("{}/", host.place("root").display()))
        .arg(format!("{}/", target.place("root").display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The two folders in which the folder of restores was made, and the root itself, have times of their own.
    let unexpected: Vec<&str> = text
        .lines()
        .filter(|line| ![".d..t...... ./", ".d..t...... var/", ".d..t...... var/lib/"].contains(line))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(before.len() > 500, "{} paths are few", before.len());
    assert!(target.root_path("etc/odd/big").exists());

    // rsync does not tell holes.
    let space = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    let sparse = target.root_path("etc/odd/sparse");
    assert_eq!(fs::metadata(&sparse).unwrap().len(), 9 << 20);
    assert!(space(&sparse) < 1 << 20, "{}", space(&sparse));
}

#[test]
fn a_difference_says_what_changed_and_not_what_only_looks_otherwise() {
    let host = Host::small();
    let sys = host.place("sys");
    let backup = Backup::open(&host.back_up()).unwrap();
    let compare = |secrets| {
        lifeboat_hoststate::diff_with_root(&backup, &host.root(), &host.request(&sys), secrets).unwrap()
    };
    assert!(compare(false).is_empty(), "{:#?}", compare(false));

    host.write("etc/libvirt/qemu/web.xml", "<!-- by hand --><domain  type=\"kvm\"><name>web</name></domain>");
    assert!(compare(false).is_empty(), "layout of XML is no difference: {:#?}", compare(false));

    host.write(
        "etc/libvirt/qemu/web.xml",
        "<domain type='kvm'>\n  <name>web</name>\n  <vcpu>2</vcpu>\n</domain>\n",
    );
    host.write("etc/motd", "welcome\nback\n");
    host.write("etc/shadow", "root:other:1::::::\n");
    host.write("etc/new", "x");
    fs::remove_file(host.root_path("etc/cron.d/job")).unwrap();
    fs::rename(host.place("sys/class/net/eth0"), host.place("sys/class/net/ens3")).unwrap();
    let found = compare(false);
    let of = |path: &str| found.changes.iter().find(|change| change.path.to_string() == path).unwrap();
    assert_eq!(of("etc/motd").text.as_deref(), Some("@@ -1,1 +1,2 @@\n welcome\n+back\n"));
    let xml = of("etc/libvirt/qemu/web.xml").text.clone().unwrap();
    assert!(xml.contains("+  <vcpu>\n+    2\n+  </vcpu>"), "{xml}");
    assert_eq!(
        (of("etc/shadow").text.as_deref(), of("etc/shadow").not_shown),
        (None, Some("not everybody may read it"))
    );
    assert_eq!(format!("{:?} {:?}", of("etc/new").kind, of("etc/cron.d/job").kind), "Added Removed");
    assert_eq!(
        found.facts,
        [("network", "network card eth0 is called ens3 now (same address 52:54:00:00:00:01)".to_owned())]
    );
    let shown = compare(true);
    let shadow = shown.changes.iter().find(|change| change.path.to_string() == "etc/shadow").unwrap();
    assert!(shadow.text.as_ref().is_some_and(|text| text.contains("+root:other")), "{shadow:?}");
}
