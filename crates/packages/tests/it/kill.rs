//! Our own program killed around every record of the journal, in both directions, with both package managers.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_packages::{Ending, Guard, Moment, Request, Roots};

use crate::common::{Case, copy_root, guard, has, hasty, versions};
use crate::debs::{self, NEW, OLD};
use crate::rpms;

/// Where the program of a child ends: number of the record, counted over the whole journal, and which side of it.
fn run_child(root: &Path, case: &Case, verb: &str, at: u64, moment: Moment) -> bool {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_is_killed", "--include-ignored"])
        .env("LIFEBOAT_ROOT", root)
        .env("LIFEBOAT_NEW", &case.new)
        .env("LIFEBOAT_OLD", &case.old)
        .env("LIFEBOAT_VERB", verb)
        .env("LIFEBOAT_AT", at.to_string())
        .env("LIFEBOAT_MOMENT", format!("{moment:?}"))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    status.signal() == Some(9)
}

#[test]
#[ignore = "started by the tests below"]
fn child_that_is_killed() {
    let var = |name: &str| std::env::var(name).unwrap();
    let path = |name: &str| PathBuf::from(var(name));
    let (at, moment): (u64, String) = (var("LIFEBOAT_AT").parse().unwrap(), var("LIFEBOAT_MOMENT"));
    let guard = Guard::open(Roots::at(&path("LIFEBOAT_ROOT"))).unwrap().with_policy(hasty());
    let guard = guard.with_hook(move |seq, now| {
        if seq == at && format!("{now:?}") == moment {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    });
    let outcome = match var("LIFEBOAT_VERB").as_str() {
        "apply" => {
            let request = Request {
                packages: vec![path("LIFEBOAT_NEW")],
                old_packages: vec![path("LIFEBOAT_OLD")],
                downgrade: false,
            };
            guard.apply(&guard.plan(&request).unwrap(), &mut |_| {}).unwrap()
        }
        "finish" => guard.finish(&mut |_| {}).unwrap(),
        _ => guard.rollback(&mut |_| {}).unwrap(),
    };
    assert_ne!(outcome.ending, Ending::Incomplete);
}

/// Kills an update at every record; then it is finished, or rolled back, and the host is whole with exact versions.
fn at_every_record(case: &Case, old: &[String], new: &[String]) {
    let mut kills = 0;
    'records: for at in 0.. {
        for moment in [Moment::Before, Moment::After] {
            // Before a record the disk is as after the one before: one way out each is enough there.
            let ways = if moment == Moment::After { vec![false, true] } else { vec![at % 2 == 0] };
            for back in ways {
                let root = case.scratch.path().join(format!("{at}-{moment:?}-{back}"));
                copy_root(&case.root, &root);
                let was_killed = run_child(&root, case, "apply", at, moment);
                if !was_killed {
                    assert_eq!(versions(&root), new);
                    break 'records;
                }
                kills += 1;
                end_well(&root, back, old, new, &format!("record {at} {moment:?}"));
                std::fs::remove_dir_all(&root).unwrap();
            }
        }
    }
    assert!(kills >= 3 * 9, "only {kills} kills");
    println!("{kills} kills");
}

fn end_well(root: &Path, back: bool, old: &[String], new: &[String], when: &str) {
    let is_open = root.join("var/lib/lifeboat/packages/current").exists();
    let before = versions(root);
    if before != old && before != new {
        assert!(guard(root).may_reboot().is_err(), "{when}: {before:?} and not held");
    }
    if !is_open {
        // Killed before the transaction counted, or after it ended.
        assert!(before == old || before == new, "{when}: {before:?}");
        assert!(guard(root).may_reboot().is_ok(), "{when}");
        return;
    }
    let outcome = if back { guard(root).rollback(&mut |_| {}) } else { guard(root).finish(&mut |_| {}) };
    assert!(outcome.is_ok(), "{when}: {outcome:?}");
    let outcome = outcome.unwrap();
    assert_ne!(outcome.ending, Ending::Incomplete, "{when}: {outcome:?}");
    let wanted = if back { old } else { new };
    assert_eq!(versions(root), wanted, "{when}");
    assert!(guard(root).may_reboot().is_ok(), "{when}");
    assert!(!root.join("run/lifeboat/reboot-held.json").exists(), "{when}");
}

fn owned(versions: &[&str]) -> Vec<String> {
    versions.iter().map(|version| (*version).to_owned()).collect()
}

#[test]
fn killed_at_every_record_an_update_of_dpkg_is_finished_or_rolled_back() {
    if has(debs::PEERS) {
        at_every_record(&debs::case("", ""), &owned(&OLD), &owned(&NEW));
    }
}

#[test]
fn killed_at_every_record_an_update_of_rpm_is_finished_or_rolled_back() {
    if has(rpms::PEERS) {
        at_every_record(&rpms::case(""), &rpms::with_release(&OLD), &rpms::with_release(&NEW));
    }
}

#[test]
fn killed_at_every_record_a_rollback_goes_on_backwards() {
    if !has(debs::PEERS) {
        return;
    }
    let case = debs::case("", "");
    run_child(&case.root, &case, "apply", u64::MAX, Moment::After);
    let mut kills = 0;
    let first = lifeboat_journal_len(&case.root);
    for at in first.. {
        let root = case.scratch.path().join(format!("back-{at}"));
        copy_root(&case.root, &root);
        if !run_child(&root, &case, "rollback", at, Moment::After) {
            break;
        }
        kills += 1;
        let is_open = root.join("var/lib/lifeboat/packages/current").exists();
        let outcome = guard(&root).finish(&mut |_| {}).unwrap();
        assert_ne!(outcome.ending, Ending::Incomplete, "{outcome:?}");
        assert_eq!(versions(&root), OLD, "record {at}, open {is_open}");
        assert!(guard(&root).may_reboot().is_ok());
    }
    assert!(kills >= 5, "only {kills} kills");
}

fn lifeboat_journal_len(root: &Path) -> u64 {
    let state = root.join("var/lib/lifeboat/packages");
    let id = std::fs::read_to_string(state.join("last")).unwrap();
    std::fs::read_to_string(state.join(id.trim()).join("journal")).unwrap().lines().count() as u64
}
