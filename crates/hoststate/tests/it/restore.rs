//! A restore refuses first, then writes, and can be taken back.

use std::fs;
use std::os::unix::fs::symlink;

use lifeboat_hoststate::restore::{
    Action, NicChoice, Plan, RestoreError, RestoreOptions, carry_out, plan_restore, standing, undo,
};
use lifeboat_hoststate::{Backup, Section};

use crate::hosts::{Host, Known, MADE, made, picture, unlike};

fn plan(host: &Host, backup: &Backup, options: &RestoreOptions) -> Plan {
    let sys = host.place("sys");
    plan_restore(&host.root(), backup, &host.request(&sys), options).unwrap()
}

fn codes(plan: &Plan) -> Vec<&str> {
    plan.blockers.iter().map(|blocker| blocker.code).collect()
}

/// Settings that changed since the backup.
fn change(host: &Host) {
    host.write("etc/motd", "changed\n");
    fs::remove_file(host.root_path("etc/network/interfaces")).unwrap();
    host.write("etc/only-here", "mine\n");
    host.write("var/lib/libvirt/qemu/nvram/web.fd", "newer variables");
}

#[test]
fn every_merge_is_told_and_nothing_is_done_silently() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    change(&host);
    let plan = plan(&host, &backup, &RestoreOptions::default());
    let told: Vec<(String, Action, bool)> =
        plan.decisions.iter().map(|d| (d.path.to_string(), d.action, d.changed_since)).collect();
    let now = jiff::Timestamp::now().as_second() > MADE;
    assert_eq!(
        told,
        [
            ("etc/motd".to_owned(), Action::Replace, now),
            ("etc/network/interfaces".to_owned(), Action::Create, false),
            ("etc/only-here".to_owned(), Action::OnlyOnHost, now),
            ("var/lib/libvirt/qemu/nvram/web.fd".to_owned(), Action::Keep, now),
        ]
    );
    let before = picture(&host.place("root"));
    let report = carry_out(&host.root(), &backup, &plan, "a", &made(), &mut |_| {}).unwrap();
    assert_eq!(report.written, 2);
    assert_eq!(host.read("etc/motd"), "welcome\n");
    assert_eq!(host.read("etc/only-here"), "mine\n");
    assert_eq!(host.read("var/lib/libvirt/qemu/nvram/web.fd"), "newer variables");

    undo(&host.root(), false, &mut |_| {}).unwrap();
    let after = picture(&host.place("root"));
    assert!(unlike(&before, &after).is_empty(), "{:#?}", unlike(&before, &after));
    assert!(matches!(undo(&host.root(), false, &mut |_| {}), Err(RestoreError::NothingToUndo { .. })));
}

#[test]
fn an_undo_does_not_overwrite_what_somebody_changed_after_the_restore() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    change(&host);
    let plan = plan(&host, &backup, &RestoreOptions::default());
    carry_out(&host.root(), &backup, &plan, "a", &made(), &mut |_| {}).unwrap();
    host.write("etc/motd", "by hand, after the restore\n");
    let error = undo(&host.root(), false, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, RestoreError::Changed(paths) if paths.len() == 1), "{error:?}");
    assert!(host.root_path("etc/network/interfaces").exists(), "nothing was undone yet");
    undo(&host.root(), true, &mut |_| {}).unwrap();
    assert_eq!(host.read("etc/motd"), "changed\n");
    assert!(!host.root_path("etc/network/interfaces").exists());
}

#[test]
fn what_changes_between_plan_and_restore_stops_it_before_the_first_write() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    change(&host);
    let plan = plan(&host, &backup, &RestoreOptions::default());
    host.write("etc/motd", "changed once more\n");
    let error = carry_out(&host.root(), &backup, &plan, "a", &made(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, RestoreError::Changed(_)), "{error:?}");
    assert!(!host.root_path("etc/network/interfaces").exists());
    assert!(standing(&host.root()).unwrap().is_none());
}

#[test]
fn only_the_named_sections_are_restored_and_what_is_kept_stays() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    change(&host);
    let only = RestoreOptions { only: Some(vec![Section::Network]), ..RestoreOptions::default() };
    let chosen = plan(&host, &backup, &only);
    let paths: Vec<String> = chosen.decisions.iter().map(|d| d.path.to_string()).collect();
    assert_eq!(paths, ["etc/network/interfaces"]);
    let keep = RestoreOptions { keep: vec!["/etc/motd".to_owned()], ..RestoreOptions::default() };
    let kept = plan(&host, &backup, &keep);
    assert!(kept.decisions.iter().any(|d| d.path.to_string() == "etc/motd" && d.action == Action::Keep));
    carry_out(&host.root(), &backup, &kept, "a", &made(), &mut |_| {}).unwrap();
    assert_eq!(host.read("etc/motd"), "changed\n");
    assert!(host.root_path("etc/network/interfaces").exists());
}

#[test]
fn another_host_is_refused_and_then_keeps_its_own_identity() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    host.write("etc/hostname", "kvm-2\n");
    fs::write(host.place("sys/class/dmi/id/product_uuid"), "11112222-3333-4444-5555-666677778888\n").unwrap();
    let refused = plan(&host, &backup, &RestoreOptions::default());
    assert_eq!(codes(&refused), ["other-host"]);
    assert!(refused.blockers[0].what.contains("kvm-1") && refused.blockers[0].what.contains("kvm-2"));
    let other = RestoreOptions { as_other_host: true, ..RestoreOptions::default() };
    let allowed = plan(&host, &backup, &other);
    assert!(codes(&allowed).is_empty() && allowed.writes() == 0, "{allowed:#?}");
}

#[test]
fn a_link_in_the_target_never_leads_out_of_it() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    let outside = host.place("outside");
    fs::create_dir(&outside).unwrap();
    fs::remove_dir_all(host.root_path("etc/network")).unwrap();
    symlink(&outside, host.root_path("etc/network")).unwrap();
    let plan = plan(&host, &backup, &RestoreOptions::default());
    assert!(
        codes(&plan).contains(&"through-link") || codes(&plan).contains(&"other-kind"),
        "{:#?}",
        plan.blockers
    );
    let error = carry_out(&host.root(), &backup, &plan, "a", &made(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, RestoreError::Blocked(_)));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_link_that_appears_while_a_restore_writes_stops_it_inside_the_root() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    change(&host);
    let plan = plan(&host, &backup, &RestoreOptions::default());
    let (outside, folder) = (host.place("outside"), host.root_path("etc/network"));
    fs::create_dir(&outside).unwrap();
    let error = carry_out(&host.root(), &backup, &plan, "a", &made(), &mut |step| {
        if step.doing == "beginning"
            && step.path.is_some_and(|path| path.to_string() == "etc/network/interfaces")
        {
            fs::rename(&folder, host.place("moved")).unwrap();
            symlink(&outside, &folder).unwrap();
        }
    })
    .unwrap_err();
    assert!(matches!(error, RestoreError::Stopped { .. }), "{error:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_card_with_another_name_is_told_and_gets_its_name_back_when_it_is_asked_for() {
    let host = Host::small();
    let backup = Backup::open(&host.back_up()).unwrap();
    fs::rename(host.place("sys/class/net/eth0"), host.place("sys/class/net/ens3")).unwrap();
    fs::remove_file(host.root_path("etc/network/interfaces")).unwrap();
    let asked = plan(&host, &backup, &RestoreOptions::default());
    assert_eq!(codes(&asked), ["nic-renamed"]);
    assert!(asked.blockers[0].what.contains("eth0 is called ens3"), "{:#?}", asked.blockers);
    let pin = RestoreOptions { nics: NicChoice::Pin, ..RestoreOptions::default() };
    let pinned = plan(&host, &backup, &pin);
    let before = picture(&host.place("root"));
    carry_out(&host.root(), &backup, &pinned, "a", &made(), &mut |_| {}).unwrap();
    let link = host.read("etc/systemd/network/10-lifeboat-eth0.link");
    assert!(link.contains("PermanentMACAddress=52:54:00:00:00:01") && link.contains("Name=eth0"), "{link}");
    undo(&host.root(), false, &mut |_| {}).unwrap();
    let after = picture(&host.place("root"));
    assert!(unlike(&before, &after).is_empty(), "{:#?}", unlike(&before, &after));
    fs::remove_dir_all(host.place("sys/class/net/ens3")).unwrap();
    assert_eq!(codes(&plan(&host, &backup, &pin)), ["nic-missing"]);
}

#[test]
fn devices_are_found_by_what_they_are_and_their_names_here_are_written() {
    let mut host = Host::small();
    host.devices = Known::of(&[
        ("/dev/disk/by-id/cciss-36-part1", "naa.36-part1"),
        ("/dev/cciss/c0d0p1", "naa.36-part1"),
    ]);
    let backup = Backup::open(&host.back_up()).unwrap();
    fs::remove_file(host.root_path("etc/fstab")).unwrap();

    host.devices =
        Known::of(&[("/dev/disk/by-id/scsi-36-part1", "naa.36-part1"), ("/dev/sda1", "naa.36-part1")]);
    let found = plan(&host, &backup, &RestoreOptions::default());
    assert!(codes(&found).is_empty(), "{:#?}", found.blockers);
    carry_out(&host.root(), &backup, &found, "a", &made(), &mut |_| {}).unwrap();
    assert_eq!(host.read("etc/fstab"), "/dev/disk/by-id/scsi-36-part1 / ext4 defaults 0 1\n");

    host.devices = Known::of(&[("/dev/sdb", "naa.99")]);
    let lost = plan(&host, &backup, &RestoreOptions::default());
    assert_eq!(codes(&lost), ["device-unclear"]);
    let what = &lost.blockers[0].what;
    for word in ["/dev/disk/by-id/cciss-36-part1", "/dev/cciss/c0d0p1", "/dev/sdb", "etc/fstab"] {
        assert!(what.contains(word), "{word} is missing: {what}");
    }
    host.devices = Known::of(&[("/dev/sda1", "naa.36-part1")]);
    host.devices.twice.push("naa.36-part1".to_owned());
    let twice = plan(&host, &backup, &RestoreOptions::default());
    assert!(twice.blockers[0].what.contains("/dev/sdx, /dev/sdy"), "{:#?}", twice.blockers);
}
