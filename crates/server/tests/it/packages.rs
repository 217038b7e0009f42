//! The Debian packages, installed by `dpkg` into a root of their own, and upgraded under a running agent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use lifeboat_model::agent::{AgentCommand, AgentOutcome};

use crate::support::{Daemon, agent_program, order, outcome_of, wait_for};

/// Builds packages with this version; where they lie.
fn build(out: &Path, version: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/build-deb");
    let mut build = Command::new(script);
    build.arg("--out").arg(out).args([
        "--version",
        version,
        "--only",
        "lifeboatd,lifeboat-agent",
        "--compression",
        "none",
    ]);
    build.args(["--lifeboatd", env!("CARGO_BIN_EXE_lifeboatd"), "--agent"]).arg(agent_program());
    let output = build.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    out.to_owned()
}

fn package(folder: &Path, name: &str, version: &str) -> PathBuf {
    let found = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let start = format!("{name}_{version}_");
    found.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&start)).unwrap()
}

fn dpkg(root: &Path, args: &[&str], packages: &[PathBuf]) {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display())).args([
        "--force-script-chrootless",
        "--force-depends",
        "--force-not-root",
    ]);
    let output = dpkg.args(args).args(packages).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

#[test]
fn an_upgrade_of_its_own_package_does_not_restart_an_agent_that_is_at_work_and_it_goes_on_as_the_new_one() {
    for program in ["dpkg", "dpkg-deb"] {
        if Command::new(program).arg("--version").output().is_err() {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{program} is required");
            println!("skipped: {program} is not installed");
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for place in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
        fs::create_dir_all(root.join(place)).unwrap();
    }
    fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
    let old = build(&folder.path().join("old"), "0.0.1");
    let new = build(&folder.path().join("new"), "0.0.2");
    dpkg(
        &root,
        &["--install"],
        &[package(&old, "lifeboat-agent", "0.0.1"), package(&old, "lifeboatd", "0.0.1")],
    );
    for file in [
        "usr/bin/lifeboatd",
        "usr/lib/systemd/system/lifeboatd.service",
        "usr/lib/systemd/system/lifeboat-agent.service",
        "usr/lib/sysusers.d/lifeboatd.conf",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }

    let daemon = Daemon::new(folder.path(), "");
    let mut agent = daemon.enrolled("one");
    let program = root.join("usr/bin/lifeboat-agent");
    agent.start_program(&program);
    daemon.wait_connected("one");
    let pid = agent.process.as_ref().unwrap().pid();
    let running = || fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert_eq!(running(), program.canonicalize().unwrap());

    // A command that is at work until a file appears.
    let checks = agent.root.join("etc/lifeboat/health.d");
    fs::create_dir_all(&checks).unwrap();
    let (begun, go_on) = (folder.path().join("begun"), folder.path().join("go-on"));
    let script = format!(
        "#!/bin/sh\ntouch {}\nwhile [ ! -e {} ]; do sleep 0.1; done\n",
        begun.display(),
        go_on.display()
    );
    fs::write(checks.join("10-wait"), script).unwrap();
    fs::set_permissions(checks.join("10-wait"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut hub = daemon.hub();
    hub.watch().unwrap();
    hub.order(order("one", "long", AgentCommand::CheckHealth)).unwrap();
    wait_for("the command to begin", || begun.exists().then_some(()));
    dpkg(&root, &["--install"], &[package(&new, "lifeboat-agent", "0.0.2")]);
    let replaced = running().to_string_lossy().ends_with(" (deleted)");
    assert!(replaced, "the old program runs on: {:?}", running());
    // Longer than an idle agent takes to go on as the new one.
    thread::sleep(Duration::from_secs(7));
    assert!(running().to_string_lossy().ends_with(" (deleted)"), "it is at work, and stays what it is");
    fs::write(&go_on, "").unwrap();
    assert!(matches!(outcome_of(&mut hub, "long"), AgentOutcome::Done { .. }));
    wait_for("the agent to go on as the new program", || {
        (running() == program.canonicalize().unwrap()).then_some(())
    });
    hub.order(order("one", "after", AgentCommand::SaveState)).unwrap();
    outcome_of(&mut hub, "after");
    assert!(agent.process.as_mut().unwrap().exit().is_none(), "the same process");
    dpkg(&root, &["--purge", "lifeboat-agent", "lifeboatd"], &[]);
    assert!(!program.exists());
}

#[test]
fn the_units_are_whole_in_the_eyes_of_systemd() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let units = ["lifeboat-agent.service", "lifeboatd.service"].map(|unit| folder.join(unit));
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output() {
        Err(error) => {
            assert!(
                std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(),
                "systemd-analyze is required: {error}"
            );
            println!("skipped: systemd-analyze: {error}");
        }
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let ours: Vec<&str> = told
                .lines()
                .filter(|line| line.contains("lifeboat"))
                // Not installed on the computer that tests.
                .filter(|line| !line.contains("is not executable") && !line.contains("No such file"))
                .collect();
            assert!(ours.is_empty(), "{ours:#?}");
        }
    }
}
