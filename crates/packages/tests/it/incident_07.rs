//! I-07: an update hangs, because something else has the package database.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lifeboat_packages::{Ending, Guard, LockKind, OnStuck, PackageError, Policy, Progress, Roots, RunState};

use crate::common::{
    BLOCK, Case, guard, has, hasty, holder_of, kill, plan, unblock, versions, wait_blocked, wait_for, words,
};
use crate::debs::{self, NEW, OLD, packages};
use crate::rpms;

/// An update of somebody else, stopped in the middle with the lock in its hand.
fn stopped(mut command: Command, case: &Case) -> (Child, u32) {
    let child = command
        .args(debs::without_gamma(&case.new))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = child.spawn().unwrap();
    wait_blocked(&case.root);
    let holder = holder_of(&case.root);
    kill(holder, "STOP");
    (child, holder)
}

fn go_on(case: &Case, mut child: Child, holder: u32) {
    unblock(&case.root);
    kill(holder, "CONT");
    assert!(child.wait().unwrap().success());
}

/// Somebody's update that hangs: the guard names it, gives up without a change, and goes on once it is gone.
fn is_named_and_waited_for(
    case: &Case,
    mine: &lifeboat_packages::TransactionPlan,
    child: Child,
    holder: u32,
) {
    let guard_of = |policy| Guard::open(Roots::at(&case.root)).unwrap().with_policy(policy);
    let found = guard(&case.root).holders();
    let found = found.iter().find(|found| found.process.pid == holder).unwrap();
    assert_eq!(found.process.state, RunState::Stopped);
    assert!(found.excludes());
    assert!(found.process.since > 1_600_000_000, "since {}", found.process.since);
    let findings = guard(&case.root).holder_findings(&guard(&case.root).holders());
    let stuck = findings.iter().find(|finding| finding.code == "package-db-stuck").unwrap();
    assert!(stuck.evidence.contains("fcntl write lock on /var/lib/"), "{stuck}");
    assert!(stuck.evidence.contains("stopped (T)"), "{stuck}");
    assert!(stuck.remedy.contains("kill -CONT"));

    let mut told = Vec::new();
    let policy = Policy { lock_wait: Duration::from_secs(1), ..hasty() };
    let error = guard_of(policy).apply(mine, &mut |progress| told.push(progress)).unwrap_err();
    assert!(matches!(error, PackageError::Held { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {holder} (")), "{error}");
    assert!(error.to_string().contains("cannot go on: stopped (T)"), "{error}");
    let waits = |progress: &Progress| matches!(progress, Progress::Note { text } if text.contains("waiting for the package database"));
    assert!(told.iter().any(waits), "{told:?}");
    assert_eq!(guard(&case.root).status().unwrap().transaction, None);
    // With this policy nobody waits for what cannot go on.
    let policy = Policy { lock_wait: Duration::from_secs(600), on_stuck: OnStuck::Fail, ..hasty() };
    assert!(matches!(guard_of(policy).apply(mine, &mut |_| {}), Err(PackageError::Held { .. })));
    // It was not touched.
    assert!(fs::read_to_string(format!("/proc/{holder}/stat")).unwrap().contains(") T "));
    go_on(case, child, holder);
}

#[test]
fn i_07_dpkg_stopped_with_the_lock_in_its_hand_is_named_and_never_ended() {
    if !has(debs::PEERS) {
        return;
    }
    let case = debs::case("", BLOCK);
    let mine = plan(&case.root, &case.new);
    let mut theirs = debs::dpkg(&case.root);
    theirs.arg("-i");
    let (child, holder) = stopped(theirs, &case);
    // Without a guard: the next update fails, with nothing about why it lasts.
    let output = debs::dpkg(&case.root).arg("-i").args(packages(&case.new)).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(words(&output).contains("lock was locked by another process"), "{}", words(&output));
    assert!(!words(&output).contains("stopped"));
    is_named_and_waited_for(&case, &mine, child, holder);
    assert_eq!(versions(&case.root), NEW[..2]);
}

#[test]
fn i_07_rpm_stopped_with_the_lock_in_its_hand_is_named_and_never_ended() {
    if !has(rpms::PEERS) {
        return;
    }
    let case = rpms::case(BLOCK);
    let mine = plan(&case.root, &case.new);
    let mut theirs = rpms::rpm(&case.root);
    theirs.arg("-U");
    let (child, holder) = stopped(theirs, &case);
    let output =
        rpms::rpm(&case.root).arg("-U").args(packages(&case.new)).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(words(&output).contains("can't create transaction lock"), "{}", words(&output));
    is_named_and_waited_for(&case, &mine, child, holder);
    assert_eq!(versions(&case.root), rpms::with_release(&NEW[..2]));
}

/// Maps a file as the Berkeley database does, and sleeps in a futex inside it, for ever.
const SLEEPER: &str = "
import ctypes, mmap, sys
with open(sys.argv[1], 'r+b') as file:
    memory = mmap.mmap(file.fileno(), 4096)
word = ctypes.c_uint32.from_buffer(memory, 128)
libc = ctypes.CDLL(None, use_errno=True)
number = 98 if sys.argv[2] == 'aarch64' else 202
libc.syscall(number, ctypes.byref(word), 0, word.value, None, None, 0)
";

#[test]
fn i_07_a_futex_in_the_berkeley_database_is_named_with_its_process_file_and_age() {
    if !has(rpms::PEERS) || !has(&["python3"]) {
        return;
    }
    let case = rpms::case("");
    let mine = plan(&case.root, &case.new);
    let file = case.root.join("var/lib/rpm/__db.001");
    fs::write(&file, vec![0; 4096]).unwrap();
    let mut sleeper =
        Command::new("python3").args(["-c", SLEEPER]).arg(&file).arg(std::env::consts::ARCH).spawn().unwrap();
    let pid = sleeper.id();
    // Without a guard there is no message at all: it sleeps, and says nothing.
    let found = wait_for("the futex is seen", || {
        let holders = guard(&case.root).holders();
        holders.into_iter().find(|holder| holder.process.pid == pid && holder.cannot_go_on().is_some())
    });
    let why = found.cannot_go_on().unwrap();
    assert!(why.contains("futex at 0x") && why.contains("__db.001"), "{why}");
    assert!(found.touches.iter().any(|touch| touch.path == "/var/lib/rpm/__db.001"));
    let findings = guard(&case.root).holder_findings(&[found]);
    assert_eq!(findings[0].code, "package-db-stuck");
    assert_eq!(findings[0].subject, format!("process {pid} (python3)"));
    let policy = Policy { lock_wait: Duration::from_secs(1), ..hasty() };
    let guard_hasty = Guard::open(Roots::at(&case.root)).unwrap().with_policy(policy);
    let error = guard_hasty.apply(&mine, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("__db.001"), "{error}");
    assert_eq!(versions(&case.root), rpms::with_release(&OLD));
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let outcome = guard(&case.root).apply(&mine, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
}

#[test]
fn i_07_our_own_package_manager_without_progress_is_told_and_the_policy_decides() {
    if !has(debs::PEERS) {
        return;
    }
    for (on_stuck, is_alive) in [(OnStuck::Fail, true), (OnStuck::KillOurs, false)] {
        // One that reads from a pipe nobody writes to makes no progress at all.
        let case = debs::case("", "cat < /tmp/pipe > /dev/null 2>&1");
        crate::common::run(Command::new("mkfifo").arg(case.root.join("tmp/pipe")));
        fs::create_dir_all(case.root.join("dev")).unwrap();
        let mine = plan(&case.root, &case.new);
        let policy = Policy { on_stuck, stuck_after: Duration::from_secs(1), ..hasty() };
        let mut told = Vec::new();
        let guard_here = Guard::open(Roots::at(&case.root)).unwrap().with_policy(policy);
        let outcome = guard_here.apply(&mine, &mut |progress| told.push(progress)).unwrap();
        assert_eq!(outcome.ending, Ending::Incomplete, "{outcome:?}");
        let stuck = told.iter().find_map(|progress| match progress {
            Progress::Stuck { stuck } => Some(stuck.clone()),
            _ => None,
        });
        let stuck = stuck.unwrap();
        assert!(stuck.waited_secs >= 1 && !stuck.what.is_empty(), "{stuck}");
        assert!(guard(&case.root).may_reboot().is_err());
        let there = guard(&case.root).holders().iter().any(|holder| holder.process.name == "dpkg");
        assert_eq!(there, is_alive);
        // The script still waits for somebody to write; then all ends.
        let pipe = case.root.join("tmp/pipe");
        wait_for("the script reads", || {
            let mut options = fs::File::options();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, 0o4000);
            options.write(true).open(&pipe).ok()
        });
        fs::remove_file(&pipe).unwrap();
        fs::write(&pipe, "").unwrap();
        let end = wait_for("it can be finished", || {
            let outcome = guard(&case.root).finish(&mut |_| {}).unwrap();
            (outcome.ending == Ending::Done).then_some(outcome)
        });
        assert_eq!(end.ending, Ending::Done, "{end:?}");
        assert_eq!(versions(&case.root), NEW);
    }
}

#[test]
fn locks_of_all_kinds_are_told_with_their_kind() {
    if !has(debs::PEERS) || !has(&["python3"]) {
        return;
    }
    let case = debs::case("", "");
    let lock = case.root.join("var/lib/dpkg/lock-frontend");
    let script = "
import fcntl, struct, sys, time
file = open(sys.argv[1], 'r+')
if sys.argv[2] == 'flock': fcntl.flock(file, fcntl.LOCK_EX)
elif sys.argv[2] == 'ofd': fcntl.fcntl(file, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
else: fcntl.lockf(file, fcntl.LOCK_EX)
open(sys.argv[3], 'w').close()
time.sleep(600)
";
    for (kind, name) in [(LockKind::Flock, "flock"), (LockKind::Ofd, "ofd"), (LockKind::Posix, "posix")] {
        let ready = case.scratch.path().join(name);
        let mut child =
            Command::new("python3").args(["-c", script]).arg(&lock).arg(name).arg(&ready).spawn().unwrap();
        wait_for("the lock is taken", || ready.exists().then_some(()));
        let holders = guard(&case.root).holders();
        let holder = holders.iter().find(|holder| holder.process.pid == child.id()).unwrap();
        let has_kind = holder
            .touches
            .iter()
            .any(|touch| matches!(&touch.how, lifeboat_packages::How::Locked { lock } if lock.kind == kind));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_kind, "{name}: {holder:?}");
    }
}
