//! The real rpm: an update, and back.

use std::fs;
use std::path::Path;
use std::process::Command;

use lifeboat_packages::{Ending, Guard, HostState, ManagerKind, Request, Roots, WayBack};

use crate::common::{Case, content, guard, has, hasty, plan, run, versions};
use crate::debs::{NEW, OLD, packages};

pub(crate) const PEERS: &[&str] = &["rpm", "rpmbuild", "/bin/busybox"];

/// Builds a package with one file and one configuration file; `post` runs after it was installed.
pub(crate) fn build(folder: &Path, name: &str, version: &str, head: &str, post: &str) {
    let scratch = tempfile::tempdir().unwrap();
    let spec = scratch.path().join("x.spec");
    let files = if name == "base" {
        String::new()
    } else {
        format!("/usr/share/{name}/version\n%config(noreplace) /etc/{name}.conf\n")
    };
    let post = if post.is_empty() { String::new() } else { format!("%post\n{post}\n") };
    let text = format!(
        "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: a test\nLicense: none\nBuildArch: noarch\n\
         AutoReqProv: no\n{head}\n%description\na test\n%install\nmkdir -p %{{buildroot}}/usr/share/{name} %{{buildroot}}/etc\n\
         echo {version} > %{{buildroot}}/usr/share/{name}/version\n\
         echo setting of {version} > %{{buildroot}}/etc/{name}.conf\n{post}%files\n{files}"
    );
    let text = if name == "base" { text.replace("echo", "true") } else { text };
    fs::write(&spec, text).unwrap();
    let define = |key: &str, value: &str| ["--define".to_owned(), format!("{key} {value}")];
    let mut build = Command::new("rpmbuild");
    build.arg("-bb");
    build.args(define("_topdir", &scratch.path().join("top").display().to_string()));
    build.args(define("_rpmdir", &folder.display().to_string()));
    build.args(define("_build_name_fmt", "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"));
    build.args(define("_unpackaged_files_terminate_build", "0"));
    run(build.arg(spec));
}

/// rpm itself, without a guard.
pub(crate) fn rpm(root: &Path) -> Command {
    let mut rpm = Command::new("rpm");
    rpm.arg("--root").arg(root).args(["--dbpath", "/var/lib/rpm"]);
    rpm
}

/// alpha and beta, of version 1 installed; version 2 waits, with a new gamma.
pub(crate) fn case(post: &str) -> Case {
    let case = Case::empty();
    run(rpm(&case.root).arg("--initdb"));
    let base = case.scratch.path().join("base");
    build(&base, "base", "1", "Provides: /bin/sh", "");
    for version in ["1", "2"] {
        let folder = if version == "1" { &case.old } else { &case.new };
        build(folder, "alpha", version, "", "");
        let post = if version == "1" { "" } else { post };
        let shell = if post.is_empty() { "" } else { "\nRequires(post): /bin/sh" };
        build(folder, "beta", version, &format!("Requires: alpha >= {version}{shell}"), post);
    }
    build(&case.new, "gamma", "2", "Requires: alpha >= 2", "");
    for folder in [&base, &case.old] {
        run(rpm(&case.root).arg("-U").args(packages(folder)));
    }
    case
}

/// [`OLD`] and [`NEW`] with rpm's releases.
pub(crate) fn with_release(versions: &[&str]) -> Vec<String> {
    versions.iter().map(|version| format!("{version}-1")).collect()
}

/// A plan with the old packages at hand, which rpm cannot rebuild.
pub(crate) fn plan_with_back(case: &Case, root: &Path) -> lifeboat_packages::TransactionPlan {
    let request =
        Request { packages: vec![case.new.clone()], old_packages: vec![case.old.clone()], downgrade: false };
    guard(root).plan(&request).unwrap()
}

#[test]
fn an_update_ends_with_the_exact_versions_and_a_rollback_with_the_old_ones() {
    if !has(PEERS) {
        return;
    }
    let case = case("");
    assert_eq!(guard(&case.root).kind(), ManagerKind::Rpm);
    assert_eq!(guard(&case.root).status().unwrap().state, HostState::Clean);
    let outcome = guard(&case.root).apply(&plan_with_back(&case, &case.root), &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    assert_eq!(versions(&case.root), with_release(&NEW));
    assert_eq!(content(&case.root, "beta"), "2");
    let back = guard(&case.root).rollback(&mut |_| {}).unwrap();
    assert_eq!(back.ending, Ending::RolledBack, "{back:?}");
    assert_eq!(versions(&case.root), with_release(&OLD));
    assert_eq!((content(&case.root, "alpha"), content(&case.root, "gamma")), ("1".to_owned(), String::new()));
}

#[test]
fn without_the_old_packages_the_plan_says_that_there_is_no_way_back_and_a_rollback_refuses() {
    if !has(PEERS) {
        return;
    }
    let case = case("");
    let plan = plan(&case.root, &case.new);
    assert_eq!(plan.without_way_back().count(), 2);
    assert!(plan.findings.iter().any(|finding| finding.code == "no-way-back" && finding.subject == "alpha"));
    assert!(plan.changes.iter().any(|change| matches!(change.back, WayBack::None { .. })));
    let outcome = guard(&case.root).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    let error = guard(&case.root).rollback(&mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("no way back for alpha, beta"), "{error}");
    assert_eq!(versions(&case.root), with_release(&NEW));
}

#[test]
fn a_set_that_needs_more_than_it_holds_is_refused_before_anything_changes() {
    if !has(PEERS) {
        return;
    }
    let case = case("");
    fs::remove_file(case.new.join("alpha-2-1.noarch.rpm")).unwrap();
    let plan = plan(&case.root, &case.new);
    assert!(plan.blockers().any(|finding| finding.code == "package-not-closed"), "{:?}", plan.findings);
    assert!(guard(&case.root).apply(&plan, &mut |_| {}).is_err());
    assert_eq!(versions(&case.root), with_release(&OLD));
}

#[test]
fn the_lock_passes_to_rpm_without_a_gap() {
    if !has(PEERS) {
        return;
    }
    let case = case("");
    // The test harness takes what follows for names of tests: a shell hands it over in the environment instead.
    let exe = std::env::current_exe().unwrap();
    let script = case.scratch.path().join("trampoline");
    let text = format!(
        "#!/bin/sh\nlock=$1; shift 2\nexport LIFEBOAT_LOCK=\"$lock\" LIFEBOAT_COMMAND=\"$*\"\n\
         exec '{}' --exact rpms::child_takes_the_lock_of_its_environment --include-ignored --nocapture\n",
        exe.display()
    );
    fs::write(&script, text).unwrap();
    let policy = lifeboat_packages::Policy { trampoline: Some(vec!["sh".into(), script.into()]), ..hasty() };
    let plan = plan_with_back(&case, &case.root);
    let guard = Guard::open(Roots::at(&case.root)).unwrap().with_policy(policy);
    let outcome = guard.apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    assert_eq!(versions(&case.root), with_release(&NEW));
}

#[test]
#[ignore = "started by the_lock_passes_to_rpm_without_a_gap"]
fn child_takes_the_lock_of_its_environment() {
    let lock = std::env::var_os("LIFEBOAT_LOCK").unwrap();
    let command = std::env::var("LIFEBOAT_COMMAND").unwrap();
    let command: Vec<_> = command.split(' ').map(Into::into).collect();
    // It returns only when it could not become the command.
    let error = lifeboat_packages::exec_locked(Path::new(&lock), &command);
    assert_eq!(error.to_string(), "");
}

#[test]
fn dnf_waits_for_the_process_that_holds_the_transaction() {
    if !has(PEERS) || !has(&["dnf", "timeout"]) {
        return;
    }
    let case = case(crate::common::BLOCK);
    fs::create_dir_all(case.root.join("var/lib/dnf")).unwrap();
    let plan = plan_with_back(&case, &case.root);
    let (pid_file, says) = std::thread::scope(|scope| {
        let work = scope.spawn(|| guard(&case.root).apply(&plan, &mut |_| {}).unwrap());
        crate::common::wait_blocked(&case.root);
        let pid_file = fs::read_to_string(case.root.join("var/lib/dnf/rpmdb_lock.pid"));
        let mut dnf = Command::new("timeout");
        dnf.args(["5", "dnf", "-y", "--releasever=1", "--disablerepo=*", "--setopt=exit_on_lock=True"]);
        // Where Debian's dnf looks for a database is a macro; so is where the root has it.
        dnf.env("HOME", case.scratch.path()).env("LC_ALL", "C");
        fs::write(case.scratch.path().join(".rpmmacros"), "%_dbpath /var/lib/rpm\n").unwrap();
        let dnf = dnf
            .arg(format!("--installroot={}", case.root.display()))
            .args(["remove", "alpha"])
            .output()
            .unwrap();
        crate::common::unblock(&case.root);
        assert_eq!(work.join().unwrap().ending, Ending::Done);
        (pid_file.unwrap_or_default(), crate::common::words(&dnf))
    });
    assert_eq!(pid_file, std::process::id().to_string());
    assert!(
        says.contains(&format!("PID {}", std::process::id()))
            || says.contains(&format!("process with pid {}", std::process::id())),
        "{says}"
    );
    assert!(!case.root.join("var/lib/dnf/rpmdb_lock.pid").exists());
    assert_eq!(versions(&case.root), with_release(&NEW));
}
