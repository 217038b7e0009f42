//! The whole way through the program, on machines that boot for real: up, plan, roll, crash, resume, fall back, down.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::Scratch;

/// The agent that travels into the machines.
pub(crate) const AGENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/x86_64-unknown-linux-gnu/agent/lifeboat-agent");

/// Why there can be no machines here; `None` if there can.
pub(crate) fn missing() -> Option<String> {
    let needed = [
        "/usr/bin/qemu-system-x86_64",
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
        "/usr/bin/mkfs.erofs",
        "/usr/bin/busybox",
        AGENT,
    ];
    let absent = needed.into_iter().find(|path| !Path::new(path).exists())?;
    Some(format!("{absent} is missing; ./test installs and builds what the machines need"))
}

/// Ends the machines also when the test fails.
struct Down<'a>(&'a Scratch);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.run(&["lab", "down", "--yes"]);
    }
}

/// Processes whose command line names this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let ours = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if name != ours && name.bytes().all(|byte| byte.is_ascii_digit()) && line.contains(folder) {
            found.push(line);
        }
    }
    found
}

fn plan(scratch: &Scratch, release: &str) -> String {
    let lab = scratch.path("state/pools/lab/lab");
    let bundle = lab.join(format!("releases/{release}.lfb")).display().to_string();
    let keys = lab.join("keys/trusted-keys").display().to_string();
    let made = scratch.run(&["plan", "create", "lab", "--release", &bundle, "--trust", &keys, "-o", "name"]);
    made.done().out.trim().to_owned()
}

/// Starts a roll and kills its controller with SIGKILL while the host of `phase` is on its way.
fn start_and_kill(scratch: &Scratch, plan: &str, phase: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .env("LIFEBOAT_STATE_DIR", scratch.path("state"))
        .args(["roll", "start", plan, "-o", "jsonl"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wanted = format!("\"phase\":\"{phase}\"");
    let reached = lines.any(|line| line.unwrap().contains(&wanted));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reached, "the roll ended before any host was {phase}");
}

#[test]
fn three_machines_are_upgraded_through_a_crash_and_a_sick_release_falls_back() {
    if let Some(reason) = missing() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let scratch = Scratch::new();
    let down = Down(&scratch);
    scratch.run(&["lab", "up", "--hosts", "3", "--agent", AGENT]).done();
    assert_eq!(processes_of(&scratch.path("state")).len(), 3);

    // The controller dies while the first host reboots; the host goes on, and the next controller goes on with it.
    let good = plan(&scratch, "2");
    start_and_kill(&scratch, &good, "rebooted");
    let status = scratch.run(&["roll", "status", "-o", "json"]).json();
    assert_eq!(status["state"], "running", "{status}");
    scratch.run(&["roll", "resume"]).done();
    let pool = scratch.run(&["pool", "show", "lab", "-o", "json"]).json();
    for host in pool["world"]["hosts"].as_array().unwrap() {
        assert_eq!((&host["version"], &host["active"]), (&"2".into(), &"B".into()), "{host}");
        assert_eq!(host["banks"][0]["state"], "good", "the old bank is the way back: {host}");
    }

    let sick = plan(&scratch, "3-sick");
    let stopped = scratch.run(&["roll", "start", &sick]);
    stopped.refused(5, &["stopped", "health check", "roll resume --retry", "--exclude"]);
    let pool = scratch.run(&["pool", "show", "lab", "-o", "json"]).json();
    let hosts = pool["world"]["hosts"].as_array().unwrap();
    let failed: Vec<_> = hosts.iter().filter(|host| host["banks"][0]["state"] == "failed").collect();
    assert_eq!(failed.len(), 1, "only one host tried the release: {pool}");
    assert!(hosts.iter().all(|host| host["version"] == "2" && host["maintenance"] == false), "{pool}");

    // The same release on the same host needs an explicit order.
    let again = plan_refused(&scratch, "3-sick");
    assert!(again.contains("failed"), "{again}");

    drop(down);
    assert_eq!(processes_of(&scratch.path("state")), Vec::<String>::new());
    assert!(!scratch.path("state/pools/lab").exists());
}

/// What the planner says of the host on which the release failed.
fn plan_refused(scratch: &Scratch, release: &str) -> String {
    let lab = scratch.path("state/pools/lab/lab");
    let bundle = lab.join(format!("releases/{release}.lfb")).display().to_string();
    let keys = lab.join("keys/trusted-keys").display().to_string();
    let made = scratch.run(&["plan", "create", "lab", "--release", &bundle, "--trust", &keys]);
    format!("{}{}", made.out, made.err)
}
