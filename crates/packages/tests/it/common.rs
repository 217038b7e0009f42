//! Roots with a package database, and the programs that make packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_packages::{Ending, Guard, Outcome, Policy, Request, Roots, TransactionPlan};

/// Longest wait for something that happens at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Whether all programs are installed; says which is not, and fails where peers are required.
pub(crate) fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in programs {
        let there = Path::new(program).is_absolute() && Path::new(program).is_file()
            || std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
        if !there {
            assert!(
                std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(),
                "{program} is required and not installed"
            );
            println!("skipped: {program} is not installed");
            return false;
        }
    }
    let root = fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !root {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "root is required");
        println!("skipped: scripts of packages need root (chroot)");
    }
    root
}

/// Runs a program that must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).env("LC_ALL", "C").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until `what` is so.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < DEADLINE, "still not after {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A root with a shell in it.
pub(crate) fn make_root(root: &Path) {
    for folder in ["bin", "etc", "tmp", "boot", "run", "usr/share", "var/lib", "var/cache"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for name in ["sh", "sleep", "cat", "true", "rm", "cp", "echo", "ls"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).unwrap();
    }
}

/// A copy of a root, so that a case does not build it again.
pub(crate) fn copy_root(from: &Path, to: &Path) {
    run(Command::new("cp").args(["-a", "--"]).arg(from).arg(to));
}

/// A script that waits until the file `/tmp/go` is there.
pub(crate) const BLOCK: &str =
    "echo $$ > /tmp/blocked; while [ ! -e /tmp/go ]; do sleep 0.05; done; rm -f /tmp/blocked";

/// Waits until a script stands in [`BLOCK`].
pub(crate) fn wait_blocked(root: &Path) {
    wait_for("a script stands still", || root.join("tmp/blocked").exists().then_some(()));
}

/// Lets all scripts in [`BLOCK`] go on.
pub(crate) fn unblock(root: &Path) {
    fs::write(root.join("tmp/go"), "").unwrap();
}

/// A policy that does not wait long.
pub(crate) fn hasty() -> Policy {
    Policy { lock_wait: Duration::from_secs(20), stuck_after: Duration::from_secs(2), ..Policy::default() }
}

pub(crate) fn guard(root: &Path) -> Guard {
    Guard::open(Roots::at(root)).unwrap().with_policy(hasty())
}

/// Plan of an update to the packages in `folder`.
pub(crate) fn plan(root: &Path, folder: &Path) -> TransactionPlan {
    guard(root).plan(&Request { packages: vec![folder.to_owned()], ..Request::default() }).unwrap()
}

pub(crate) fn apply(root: &Path, folder: &Path) -> Outcome {
    let plan = plan(root, folder);
    let outcome = guard(root).apply(&plan, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Done, "{outcome:?}");
    outcome
}

/// `name version` of every whole package, sorted; others with their state.
pub(crate) fn versions(root: &Path) -> Vec<String> {
    let installed = guard(root).installed().unwrap();
    let mut all: Vec<String> = installed
        .iter()
        .filter(|package| package.name != "base")
        .map(|package| {
            let state = if package.whole { String::new() } else { format!(" ({})", package.state) };
            format!("{} {}{state}", package.name, package.version)
        })
        .collect();
    all.sort();
    all
}

/// What a package installed, as the host sees it.
pub(crate) fn content(root: &Path, name: &str) -> String {
    fs::read_to_string(root.join(format!("usr/share/{name}/version"))).unwrap_or_default().trim().to_owned()
}

pub(crate) fn kill(pid: u32, signal: &str) {
    run(Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()));
}

/// The process that holds the lock of a root's database.
pub(crate) fn holder_of(root: &Path) -> u32 {
    let own = std::process::id();
    let guard = guard(root);
    wait_for("somebody holds the lock of the database", || {
        let lock = |path: &str| path.ends_with("/lock") || path.ends_with("/.rpm.lock");
        guard.holders().into_iter().find_map(|holder| {
            let locked = holder
                .touches
                .iter()
                .any(|touch| lock(&touch.path) && matches!(touch.how, lifeboat_packages::How::Locked { .. }));
            (locked && holder.process.pid != own).then_some(holder.process.pid)
        })
    })
}

/// A root and two sets of packages.
pub(crate) struct Case {
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
}

impl Case {
    pub(crate) fn empty() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let [root, old, new] = ["root", "old", "new"].map(|name| scratch.path().join(name));
        for folder in [&root, &old, &new] {
            fs::create_dir_all(folder).unwrap();
        }
        make_root(&root);
        Self { scratch, root, old, new }
    }
}
