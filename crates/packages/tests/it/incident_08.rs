//! I-08: a half-installed host is rebooted.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use lifeboat_packages::{Ending, HostState, Outcome};

use crate::common::{
    BLOCK, Case, content, guard, has, holder_of, kill, plan, unblock, versions, wait_blocked, words,
};
use crate::debs::{self, NEW, OLD, packages};
use crate::rpms;

/// Somebody's update, killed half way.
fn killed(mut command: Command, case: &Case) {
    let mut child = command
        .args(debs::without_gamma(&case.new))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_blocked(&case.root);
    child.kill().unwrap();
    child.wait().unwrap();
    unblock(&case.root);
}

/// The guard's update, with its package manager killed half way.
fn killed_under_guard(case: &Case, plan: &lifeboat_packages::TransactionPlan) -> Outcome {
    let (root, plan) = (case.root.clone(), plan.clone());
    let work = thread::spawn(move || guard(&root).apply(&plan, &mut |_| {}).unwrap());
    wait_blocked(&case.root);
    // The thread above is this very process: the other holder is the package manager.
    kill(holder_of(&case.root), "KILL");
    let outcome = work.join().unwrap();
    unblock(&case.root);
    outcome
}

fn is_held(root: &Path) {
    let held = guard(root).may_reboot().unwrap_err();
    assert!(held.to_string().starts_with("reboot-held: "), "{held}");
    assert!(held.to_string().contains("packages finish"), "{held}");
    assert!(root.join("run/lifeboat/reboot-held.json").is_file());
    let status = guard(root).status().unwrap();
    assert_eq!(status.state, HostState::Incomplete);
    assert!(status.transaction.is_some());
    assert!(status.findings.iter().any(|finding| finding.code == "reboot-held"));
    // Another update is refused while this one is open.
    assert!(guard(root).apply(&plan(root, root), &mut |_| {}).is_err());
}

fn is_free(root: &Path) {
    assert!(guard(root).may_reboot().is_ok());
    assert!(!root.join("run/lifeboat/reboot-held.json").exists());
    assert_eq!(guard(root).status().unwrap().state, HostState::Clean);
}

#[test]
fn i_08_without_a_guard_dpkg_killed_half_way_leaves_a_broken_host_that_nothing_holds() {
    if !has(debs::PEERS) {
        return;
    }
    for (preinst, postinst, state) in [(BLOCK, "", "half-installed"), ("", BLOCK, "half-configured")] {
        let case = debs::case(preinst, postinst);
        let mut theirs = debs::dpkg(&case.root);
        theirs.arg("-i");
        killed(theirs, &case);
        let audit = debs::dpkg(&case.root).arg("--audit").output().unwrap();
        assert!(words(&audit).contains("beta"), "{}", words(&audit));
        assert!(!case.root.join("run/lifeboat").exists(), "nothing holds this host");

        // A guard that comes afterwards sees it, and holds.
        let status = guard(&case.root).status().unwrap();
        assert_eq!(status.state, HostState::Incomplete);
        assert!(status.defects.iter().any(|defect| defect.evidence.contains(state)), "{:?}", status.defects);
        assert!(guard(&case.root).may_reboot().is_err());
        assert!(guard(&case.root).hold_if_incomplete().unwrap());
        assert!(case.root.join("run/lifeboat/reboot-held.json").is_file());

        // What lies in apt's cache is what is missing.
        let cache = case.root.join("var/cache/apt/archives");
        std::fs::create_dir_all(&cache).unwrap();
        for file in packages(&case.new) {
            std::fs::copy(&file, cache.join(file.file_name().unwrap())).unwrap();
        }
        let outcome = guard(&case.root).finish(&mut |_| {}).unwrap();
        assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
        assert!(versions(&case.root).contains(&"beta 2".to_owned()), "{:?}", versions(&case.root));
        is_free(&case.root);
    }
}

#[test]
fn i_08_without_a_guard_rpm_killed_half_way_leaves_two_versions_that_nothing_holds() {
    if !has(rpms::PEERS) {
        return;
    }
    let case = rpms::case(BLOCK);
    let mut theirs = rpms::rpm(&case.root);
    theirs.arg("-U");
    killed(theirs, &case);
    let list = words(&rpms::rpm(&case.root).arg("-qa").output().unwrap());
    assert!(list.contains("alpha-1-1") && list.contains("alpha-2-1"), "{list}");
    // rpm itself finds its database in order.
    assert!(rpms::rpm(&case.root).arg("--verifydb").status().unwrap().success());
    assert!(!case.root.join("run/lifeboat").exists(), "nothing holds this host");

    let status = guard(&case.root).status().unwrap();
    assert_eq!(status.state, HostState::Incomplete);
    assert!(status.defects.iter().all(|defect| defect.code == "packages-duplicated"), "{:?}", status.defects);
    assert!(guard(&case.root).may_reboot().is_err());
    let outcome = guard(&case.root).finish(&mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    assert!(versions(&case.root).iter().all(|version| !version.contains('(')), "{:?}", versions(&case.root));
    assert_eq!(content(&case.root, "alpha"), "2");
    is_free(&case.root);
}

#[test]
fn i_08_dpkg_killed_under_the_guard_holds_the_host_until_it_is_finished() {
    if !has(debs::PEERS) {
        return;
    }
    for (preinst, postinst) in [(BLOCK, ""), ("", BLOCK)] {
        let case = debs::case(preinst, postinst);
        let outcome = killed_under_guard(&case, &plan(&case.root, &case.new));
        assert_eq!(outcome.ending, Ending::Incomplete);
        assert!(outcome.reason.unwrap().contains("signal 9"));
        is_held(&case.root);
        let outcome = guard(&case.root).finish(&mut |_| {}).unwrap();
        assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
        assert_eq!(versions(&case.root), NEW);
        is_free(&case.root);
    }
}

#[test]
fn i_08_dpkg_killed_under_the_guard_holds_the_host_until_it_is_rolled_back() {
    if !has(debs::PEERS) {
        return;
    }
    for (preinst, postinst) in [(BLOCK, ""), ("", BLOCK)] {
        let case = debs::case(preinst, postinst);
        killed_under_guard(&case, &plan(&case.root, &case.new));
        is_held(&case.root);
        let outcome = guard(&case.root).rollback(&mut |_| {}).unwrap();
        assert_eq!(outcome.ending, Ending::RolledBack, "{outcome:?}");
        assert_eq!(versions(&case.root), OLD);
        assert_eq!(
            (content(&case.root, "beta"), content(&case.root, "gamma")),
            ("1".to_owned(), String::new())
        );
        is_free(&case.root);
    }
}

#[test]
fn i_08_rpm_killed_under_the_guard_is_finished_or_rolled_back() {
    if !has(rpms::PEERS) {
        return;
    }
    for back in [false, true] {
        let case = rpms::case(BLOCK);
        let plan = rpms::plan_with_back(&case, &case.root);
        let outcome = killed_under_guard(&case, &plan);
        assert_eq!(outcome.ending, Ending::Incomplete);
        is_held(&case.root);
        let (outcome, ending, end) = if back {
            (guard(&case.root).rollback(&mut |_| {}).unwrap(), Ending::RolledBack, rpms::with_release(&OLD))
        } else {
            (guard(&case.root).finish(&mut |_| {}).unwrap(), Ending::Done, rpms::with_release(&NEW))
        };
        assert_eq!(outcome.ending, ending, "{outcome:?}");
        assert_eq!(versions(&case.root), end);
        is_free(&case.root);
    }
}

#[test]
fn i_08_a_maintainer_script_that_always_fails_leaves_the_way_back_open() {
    if !has(debs::PEERS) {
        return;
    }
    let case = debs::case("", "echo no; exit 3");
    let outcome = guard(&case.root).apply(&plan(&case.root, &case.new), &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Incomplete);
    is_held(&case.root);
    let again = guard(&case.root).finish(&mut |_| {}).unwrap();
    assert_eq!(again.ending, Ending::Incomplete);
    is_held(&case.root);
    let back = guard(&case.root).rollback(&mut |_| {}).unwrap();
    assert_eq!(back.ending, Ending::RolledBack, "{back:?}");
    assert_eq!(versions(&case.root), OLD);
    is_free(&case.root);
}
