//! A restore that is killed at any moment can be finished, and can be taken back.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_hoststate::restore::{
    Ended, RestoreError, RestoreOptions, carry_out, plan_restore, resume, standing, undo,
};
use lifeboat_hoststate::{Backup, Root};

use crate::hosts::{Host, is_root, made, picture, run, unlike};

const ROOT: &str = "LIFEBOAT_TEST_KILLED_ROOT";
const BACKUP: &str = "LIFEBOAT_TEST_KILLED_BACKUP";
const SYS: &str = "LIFEBOAT_TEST_KILLED_SYS";
const STEP: &str = "LIFEBOAT_TEST_KILLED_STEP";
const WAY: &str = "LIFEBOAT_TEST_KILLED_WAY";

/// Not a test of its own: restores in a process that kills itself before a step.
#[test]
fn child_that_is_killed() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let value = |name| std::env::var(name).unwrap();
    let at: usize = value(STEP).parse().unwrap();
    let mut n = 0;
    let mut watch = |_: lifeboat_hoststate::restore::Step<'_>| {
        n += 1;
        if n == at {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    };
    let root = Root::open(Path::new(&root)).unwrap();
    match value(WAY).as_str() {
        "undo" => drop(undo(&root, false, &mut watch).unwrap()),
        "resume" => drop(resume(&root, false, &mut watch).unwrap()),
        _ => {
            let backup = Backup::open(Path::new(&value(BACKUP))).unwrap();
            let host = Host::empty();
            let sys = PathBuf::from(value(SYS));
            let plan = plan_restore(&root, &backup, &host.request(&sys), &RestoreOptions::default()).unwrap();
            assert!(plan.blockers.is_empty(), "{:#?}", plan.blockers);
            carry_out(&root, &backup, &plan, "k", &made(), &mut watch).unwrap();
        }
    }
    println!("STEPS {n}");
}

/// Runs the child; the number of steps if it came to its end.
fn child(host: &Host, root: &Path, backup: &Path, step: usize, way: &str) -> Option<usize> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::child_that_is_killed", "--nocapture"])
        .env(ROOT, root)
        .env(BACKUP, backup)
        .env(SYS, host.place("sys"))
        .env(STEP, step.to_string())
        .env(WAY, way)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.signal() == Some(9) {
        return None;
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().find_map(|line| line.split_once("STEPS ")?.1.trim().parse().ok())
}

/// A host with a change of every sort since its backup.
fn changed_host() -> (Host, PathBuf) {
    let host = Host::small();
    let root = host.place("root");
    fs::write(host.root_path("etc/a"), "one file").unwrap();
    fs::hard_link(host.root_path("etc/a"), host.root_path("etc/b")).unwrap();
    symlink("a", host.root_path("etc/link")).unwrap();
    fs::create_dir_all(host.root_path("etc/libvirt/qemu/autostart")).unwrap();
    symlink("../web.xml", host.root_path("etc/libvirt/qemu/autostart/web.xml")).unwrap();
    let backup = host.back_up();
    fs::remove_file(host.root_path("etc/b")).unwrap();
    fs::write(host.root_path("etc/b"), "no longer the same").unwrap();
    fs::remove_file(host.root_path("etc/link")).unwrap();
    symlink("b", host.root_path("etc/link")).unwrap();
    fs::remove_dir_all(host.root_path("etc/libvirt/qemu/autostart")).unwrap();
    fs::remove_dir_all(host.root_path("etc/cron.d")).unwrap();
    host.write("etc/motd", "changed\n");
    host.write("etc/only-here", "stays\n");
    run("chmod", &["0640", &host.root_path("etc/hostname").display().to_string()]);
    run(
        "touch",
        &[
            "-d",
            "2002-01-01",
            &root.join("etc/motd").display().to_string(),
            &root.join("etc").display().to_string(),
        ],
    );
    (host, backup)
}

fn copy(from: &Path, to: &Path) {
    run("cp", &["-a", &from.display().to_string(), &to.display().to_string()]);
}

#[test]
fn killed_before_any_step_it_is_finished_and_it_is_taken_back() {
    if !is_root() {
        return;
    }
    let (host, backup) = changed_host();
    let before = picture(&host.place("root"));
    copy(&host.place("root"), &host.place("whole"));
    let steps = child(&host, &host.place("whole"), &backup, usize::MAX, "restore").unwrap();
    let after = picture(&host.place("whole"));
    assert!(steps > 30 && !unlike(&before, &after).is_empty(), "{steps}");

    let (mut finished, mut untouched) = (0, 0);
    for step in 1..=steps {
        let (one, two) = (host.place("one"), host.place("two"));
        copy(&host.place("root"), &one);
        assert_eq!(child(&host, &one, &backup, step, "restore"), None, "step {step} kills");
        copy(&one, &two);
        let root = Root::open(&one).unwrap();
        match standing(&root).unwrap() {
            None => {
                let now = picture(&one);
                assert!(unlike(&before, &now).is_empty(), "step {step}: {:#?}", unlike(&before, &now));
                untouched += 1;
            }
            Some(state) if state.ended.is_none() => {
                // Another restore is refused while one is open.
                let sys = host.place("sys");
                let opened = Backup::open(&backup).unwrap();
                let plan =
                    plan_restore(&root, &opened, &host.request(&sys), &RestoreOptions::default()).unwrap();
                let refused = carry_out(&root, &opened, &plan, "other", &made(), &mut |_| {});
                assert!(matches!(refused, Err(RestoreError::Unfinished { .. })), "{refused:?}");
                assert_eq!(resume(&root, false, &mut |_| {}).unwrap().ended, Ended::Restored);
                let now = picture(&one);
                assert!(unlike(&after, &now).is_empty(), "step {step}, resumed: {:#?}", unlike(&after, &now));
                finished += 1;
            }
            Some(_) => {}
        }
        let root = Root::open(&two).unwrap();
        if standing(&root).unwrap().is_some() {
            undo(&root, false, &mut |_| {}).unwrap();
        }
        let now = picture(&two);
        assert!(unlike(&before, &now).is_empty(), "step {step}, undone: {:#?}", unlike(&before, &now));
        fs::remove_dir_all(&one).unwrap();
        fs::remove_dir_all(&two).unwrap();
    }
    println!("{steps} steps: {untouched} before the first write, {finished} in the middle");
    assert!(finished > 20 && untouched >= 5, "{finished} {untouched}");
}

#[test]
fn an_undo_that_is_killed_is_taken_up_again() {
    if !is_root() {
        return;
    }
    let (host, backup) = changed_host();
    let before = picture(&host.place("root"));
    let whole = host.place("whole");
    copy(&host.place("root"), &whole);
    child(&host, &whole, &backup, usize::MAX, "restore").unwrap();
    let after = picture(&whole);
    copy(&whole, &host.place("undone"));
    let steps = child(&host, &host.place("undone"), &backup, usize::MAX, "undo").unwrap();
    assert!(steps > 20, "{steps}");
    for step in 1..=steps {
        let one = host.place("one");
        copy(&whole, &one);
        assert_eq!(child(&host, &one, &backup, step, "undo"), None, "step {step} kills");
        let root = Root::open(&one).unwrap();
        if standing(&root).unwrap().is_some_and(|state| state.ended.is_none()) {
            assert_eq!(
                resume(&root, false, &mut |_| {}).unwrap().ended,
                Ended::Undone,
                "it goes on the way it went"
            );
            let now = picture(&one);
            assert!(unlike(&before, &now).is_empty(), "step {step}: {:#?}", unlike(&before, &now));
        } else {
            let now = picture(&one);
            let near = if step == 1 { &after } else { &before };
            assert!(unlike(near, &now).is_empty(), "step {step}: {:#?}", unlike(near, &now));
        }
        fs::remove_dir_all(&one).unwrap();
    }
}
