//! The real dpkg: an update, and back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use lifeboat_packages::{Ending, Guard, HostState, Request, Roots, WayBack};

use crate::common::{Case, apply, content, guard, has, hasty, plan, run, versions};

pub(crate) const PEERS: &[&str] = &["dpkg", "dpkg-deb", "/bin/busybox"];

/// What a package is made of.
#[derive(Default)]
pub(crate) struct Deb<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) fields: &'a str,
    pub(crate) preinst: &'a str,
    pub(crate) postinst: &'a str,
}

/// Builds a package with one file and one configuration file.
pub(crate) fn build(folder: &Path, deb: &Deb<'_>) {
    let Deb { name, version, fields, preinst, postinst } = deb;
    let tree = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str, mode: u32| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    put(&format!("usr/share/{name}/version"), &format!("{version}\n"), 0o644);
    put(&format!("etc/{name}.conf"), &format!("setting of {version}\n"), 0o644);
    let head = "Architecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: a test\n";
    put("DEBIAN/control", &format!("Package: {name}\nVersion: {version}\n{head}{fields}"), 0o644);
    put("DEBIAN/conffiles", &format!("/etc/{name}.conf\n"), 0o644);
    for (script, text) in [("preinst", preinst), ("postinst", postinst)] {
        if !text.is_empty() {
            put(&format!("DEBIAN/{script}"), &format!("#!/bin/sh\nset -e\n{text}\n"), 0o755);
        }
    }
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.join(format!("{name}_{version}_all.deb"));
    run(Command::new("dpkg-deb").args(["-Zgzip", "--root-owner-group", "-b"]).arg(tree.path()).arg(file));
}

/// alpha and beta, of version 1 installed; version 2 waits, with a new gamma. `script` runs when beta is configured.
pub(crate) fn case(preinst: &str, postinst: &str) -> Case {
    let case = Case::empty();
    let dpkg = case.root.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(dpkg.join(folder)).unwrap();
    }
    fs::write(dpkg.join("status"), "").unwrap();
    fs::write(dpkg.join("available"), "").unwrap();
    for version in ["1", "2"] {
        let folder = if version == "1" { &case.old } else { &case.new };
        build(folder, &Deb { name: "alpha", version, ..Deb::default() });
        let needs = format!("Depends: alpha (>= {version})\n");
        let (preinst, postinst) = if version == "1" { ("", "") } else { (preinst, postinst) };
        build(folder, &Deb { name: "beta", version, fields: &needs, preinst, postinst });
    }
    build(
        &case.new,
        &Deb { name: "gamma", version: "2", fields: "Pre-Depends: alpha (>= 2)\n", ..Deb::default() },
    );
    install(&case.root, &case.old);
    case
}

/// dpkg itself, without a guard.
pub(crate) fn dpkg(root: &Path) -> Command {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display())).args(["--force-confold", "--force-confdef"]);
    dpkg.env("DEBIAN_FRONTEND", "noninteractive");
    dpkg
}

pub(crate) fn install(root: &Path, folder: &Path) {
    run(dpkg(root).arg("-i").args(packages(folder)));
}

pub(crate) fn packages(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// What somebody installs without thinking of the order: all but gamma, whose need must be configured before.
pub(crate) fn without_gamma(folder: &Path) -> Vec<std::path::PathBuf> {
    packages(folder).into_iter().filter(|path| !path.display().to_string().contains("gamma")).collect()
}

pub(crate) const OLD: [&str; 2] = ["alpha 1", "beta 1"];
pub(crate) const NEW: [&str; 3] = ["alpha 2", "beta 2", "gamma 2"];

#[test]
fn an_update_ends_with_the_exact_versions_and_a_rollback_with_the_old_ones() {
    if !has(PEERS) {
        return;
    }
    let case = case("", "");
    assert_eq!(guard(&case.root).status().unwrap().state, HostState::Clean);
    let outcome = apply(&case.root, &case.new);
    assert_eq!(versions(&case.root), NEW);
    assert_eq!(content(&case.root, "beta"), "2");
    assert!(outcome.took_secs < 60);
    assert!(guard(&case.root).may_reboot().is_ok());
    assert_eq!(guard(&case.root).status().unwrap().hold, None);

    let back = guard(&case.root).rollback(&mut |_| {}).unwrap();
    assert_eq!(back.ending, Ending::RolledBack, "{back:?}");
    assert_eq!(versions(&case.root), OLD);
    assert_eq!((content(&case.root, "alpha"), content(&case.root, "gamma")), ("1".to_owned(), String::new()));
    assert!(guard(&case.root).may_reboot().is_ok());
    // A second one finds nothing that went forward.
    assert!(guard(&case.root).rollback(&mut |_| {}).is_err());
}

#[test]
fn the_way_back_is_rebuilt_from_the_files_where_no_package_is_kept_and_changed_files_are_named() {
    if !has(PEERS) {
        return;
    }
    let case = case("", "");
    fs::write(case.root.join("usr/share/alpha/version"), "patched here\n").unwrap();
    fs::write(case.root.join("etc/beta.conf"), "mine\n").unwrap();
    let plan = plan(&case.root, &case.new);
    let alpha = plan.changes.iter().find(|change| change.name == "alpha").unwrap();
    // dpkg writes no md5sums for a package without them: these packages have none, so nothing can be said changed.
    assert!(matches!(&alpha.back, WayBack::Rebuilt { .. }), "{alpha:?}");
    guard(&case.root).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(content(&case.root, "alpha"), "2");
    guard(&case.root).rollback(&mut |_| {}).unwrap();
    assert_eq!(content(&case.root, "alpha"), "patched here");
    assert_eq!(fs::read_to_string(case.root.join("etc/beta.conf")).unwrap(), "mine\n");
}

#[test]
fn a_kept_package_file_is_preferred_as_the_way_back() {
    if !has(PEERS) {
        return;
    }
    let case = case("", "");
    let request =
        Request { packages: vec![case.new.clone()], old_packages: vec![case.old.clone()], downgrade: false };
    let plan = guard(&case.root).plan(&request).unwrap();
    let from_file = |name: &str| {
        let change = plan.changes.iter().find(|change| change.name == name).unwrap();
        matches!(&change.back, WayBack::File { path } if path.starts_with(&case.old))
    };
    assert!(from_file("alpha") && from_file("beta"));
    assert!(plan.changes.iter().any(|change| change.name == "gamma" && change.back == WayBack::Remove));
}

#[test]
fn what_is_installed_is_left_out_and_what_is_older_is_refused_unless_it_is_wanted() {
    if !has(PEERS) {
        return;
    }
    let case = case("", "");
    let same = plan(&case.root, &case.old);
    assert!(same.changes.is_empty());
    assert!(same.findings.iter().any(|finding| finding.code == "package-unwanted"));
    let outcome = guard(&case.root).apply(&same, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::NothingToDo);
    apply(&case.root, &case.new);
    let older = plan(&case.root, &case.old);
    assert!(older.blockers().any(|finding| finding.code == "package-downgrade"));
    assert!(guard(&case.root).apply(&older, &mut |_| {}).is_err());
    // gamma needs the new alpha.
    let wanted = Request { packages: vec![case.old.clone()], downgrade: true, ..Request::default() };
    let blocked = guard(&case.root).plan(&wanted).unwrap();
    assert!(blocked.blockers().any(|finding| finding.evidence.contains("gamma")), "{:?}", blocked.findings);
    run(dpkg(&case.root).args(["--purge", "gamma"]));
    let wanted = Request { packages: vec![case.old.clone()], downgrade: true, ..Request::default() };
    let wanted = guard(&case.root).plan(&wanted).unwrap();
    assert_eq!(wanted.blockers().count(), 0, "{:?}", wanted.findings);
}

#[test]
fn a_set_that_needs_more_than_it_holds_is_refused_before_anything_changes() {
    if !has(PEERS) || !has(&["apt-get"]) {
        return;
    }
    let case = case("", "");
    fs::remove_file(case.new.join("alpha_2_all.deb")).unwrap();
    let plan = plan(&case.root, &case.new);
    assert!(plan.blockers().any(|finding| finding.code == "package-not-closed"), "{:?}", plan.findings);
    assert!(guard(&case.root).apply(&plan, &mut |_| {}).is_err());
    assert_eq!(versions(&case.root), OLD);
}

#[test]
fn a_plan_for_another_state_of_the_host_changes_nothing() {
    if !has(PEERS) {
        return;
    }
    let case = case("", "");
    let plan = plan(&case.root, &case.new);
    run(dpkg(&case.root).args(["--purge", "beta"]));
    let error = guard(&case.root).apply(&plan, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("beta has nothing"), "{error}");
    assert_eq!(versions(&case.root), ["alpha 1"]);
    assert!(guard(&case.root).may_reboot().is_ok());
    assert_eq!(guard(&case.root).status().unwrap().transaction, None);
}

#[test]
fn a_file_system_that_is_too_small_is_named_before_anything_changes() {
    if !has(PEERS) || !has(&["mount", "unshare"]) {
        return;
    }
    let case = case("", "");
    let small = case.root.join("usr/share");
    let script = format!(
        "mount -t tmpfs -o size=8m none {0} && exec {1} --exact debs::child_plans_on_a_small_file_system --include-ignored --nocapture",
        small.display(),
        std::env::current_exe().unwrap().display()
    );
    let text = run(Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .env("LIFEBOAT_CASE", case.scratch.path()));
    assert!(text.contains("space-short /usr/share"), "{text}");
    assert_eq!(versions(&case.root), OLD);
}

#[test]
#[ignore = "started by a_file_system_that_is_too_small_is_named_before_anything_changes"]
fn child_plans_on_a_small_file_system() {
    let scratch = std::env::var_os("LIFEBOAT_CASE").unwrap();
    let (root, new) = (Path::new(&scratch).join("root"), Path::new(&scratch).join("new"));
    let plan = Guard::open(Roots::at(&root)).unwrap().with_policy(hasty());
    let plan = plan.plan(&Request { packages: vec![new], ..Request::default() }).unwrap();
    for finding in plan.blockers() {
        println!("{} {}: {}", finding.code, finding.subject, finding.evidence);
    }
}

#[test]
fn nobody_else_changes_packages_between_two_steps() {
    if !has(PEERS) || !has(&["apt-get"]) {
        return;
    }
    let case = case("", crate::common::BLOCK);
    let plan = plan(&case.root, &case.new);
    let (dpkg_says, apt_says) = std::thread::scope(|scope| {
        let work = scope.spawn(|| guard(&case.root).apply(&plan, &mut |_| {}).unwrap());
        crate::common::wait_blocked(&case.root);
        let theirs = dpkg(&case.root).args(["--purge", "alpha"]).output().unwrap();
        let root = case.root.display();
        let mut apt = Command::new("apt-get");
        apt.arg("-o")
            .arg(format!("Dir={root}"))
            .arg("-o")
            .arg(format!("Dir::State::status={root}/var/lib/dpkg/status"));
        let apt = apt.args(["-y", "remove", "alpha"]).env("LC_ALL", "C").output().unwrap();
        crate::common::unblock(&case.root);
        assert_eq!(work.join().unwrap().ending, Ending::Done);
        (crate::common::words(&theirs), crate::common::words(&apt))
    });
    assert!(dpkg_says.contains("frontend lock was locked by another process"), "{dpkg_says}");
    assert!(dpkg_says.contains(&std::process::id().to_string()), "{dpkg_says}");
    assert!(apt_says.contains(&format!("It is held by process {}", std::process::id())), "{apt_says}");
    assert_eq!(versions(&case.root), NEW);
}
