//! A controller that is killed with SIGKILL, again and again, brings the roll to the same end.
//!
//! The process is killed after the n-th line that it prints, so every run of the loop dies at another place, and
//! each has done something before it dies.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

pub(crate) struct Play {
    pub(crate) dir: tempfile::TempDir,
}

impl Play {
    /// A simulated pool with real disk images, whose time passes as fast as it can.
    pub(crate) fn new() -> Self {
        // In memory if possible: what dies here is the process, not the power.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let play = Self { dir };
        play.done(&["pool", "create-sim", "play", "--hosts", "4", "--guests", "12", "--speed", "0"]);
        play
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.arg("--state-dir").arg(self.dir.path()).args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn done(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn releases(&self) -> PathBuf {
        self.dir.path().join("pools/play/releases")
    }

    /// Plans a release and gives the plan's hash.
    pub(crate) fn plan(&self, release: &str) -> String {
        self.plan_with(release, "")
    }

    /// As [`Play::plan`], with this policy.
    fn plan_with(&self, release: &str, policy: &str) -> String {
        let file = |name: &str| self.releases().join(name).display().to_string();
        let (bundle, key) = (file(release), file("maker.key.pub"));
        let path = self.dir.path().join("policy.toml");
        std::fs::write(&path, policy).unwrap();
        let path = path.display().to_string();
        let words = ["plan", "create", "play", "--release", &bundle, "--trust", &key, "--policy", &path];
        self.done(&[words.as_slice(), &["-o", "name"]].concat()).trim().to_owned()
    }

    /// Runs a command and kills it after so many lines; `None` if it ended before.
    pub(crate) fn kill_after(&self, args: &[&str], lines: usize) -> Option<()> {
        let mut child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let reader = BufReader::new(child.stdout.take().unwrap());
        let seen = reader.lines().take(lines).count();
        let ended = seen < lines;
        if !ended {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        (!ended && status.code().is_none()).then_some(())
    }

    /// What a person finds at the end, without names of rolls and times.
    fn picture(&self) -> String {
        let pool: Value = serde_json::from_str(&self.done(&["pool", "show", "play", "-o", "json"])).unwrap();
        let roll: Value = serde_json::from_str(&self.done(&["roll", "status", "-o", "json"])).unwrap();
        let world = &pool["world"];
        let mut text = format!("{} {}\n", roll["state"], roll["reason"]);
        for host in world["hosts"].as_array().unwrap() {
            let states = [&host["banks"][0], &host["banks"][1]]
                .map(|bank| format!("{}/{}", bank["state"], bank["version"]));
            text.push_str(&format!(
                "{} {} {states:?} {} {}\n",
                host["id"], host["active"], host["version"], host["maintenance"]
            ));
        }
        for guest in world["guests"].as_array().unwrap() {
            text.push_str(&format!("{}@{}/{} ", guest["id"], guest["host"], guest["running"]));
        }
        text.push_str(&format!("{}", world["features"]));
        text
    }
}

/// A policy that uses what rolls can do: a guest that is shut down, hooks and a gate, moves after the last host.
const POLICY: &str = r#"
placement = "restore"

[[guests]]
guests = ["g02"]
strategy = "stop-start"

[[hooks]]
name = "begin"
stage = "pre-maintenance"
command = ["/bin/sh", "-c", "echo $LIFEBOAT_HOST begins"]

[[hooks]]
name = "end"
stage = "post-maintenance"
command = ["/bin/sh", "-c", "echo $LIFEBOAT_HOST ends"]

[[gates]]
name = "calm"
command = ["/bin/true"]
after = "every-wave"
"#;

/// Rolls a release while killing the controller every few lines; the gaps vary, so the places do.
fn under_kills(release: &str, policy: &str, first_gap: usize) -> (String, usize) {
    let play = Play::new();
    let plan = play.plan_with(release, policy);
    let mut kills = 0;
    let mut gap = first_gap;
    if play.kill_after(&["roll", "start", &plan, "-o", "jsonl"], gap).is_some() {
        kills += 1;
    }
    for _ in 0..400 {
        let state: Value = serde_json::from_str(&play.done(&["roll", "list", "-o", "json"])).unwrap();
        if state["items"][0]["state"] != "active" {
            return (play.picture(), kills);
        }
        gap = gap % 7 + 2;
        if play.kill_after(&["roll", "resume", "-o", "jsonl"], gap).is_some() {
            kills += 1;
        }
    }
    panic!("the roll came to no end under kills");
}

fn undisturbed(release: &str, policy: &str) -> String {
    let play = Play::new();
    let plan = play.plan_with(release, policy);
    // The bad release ends with exit code 5: a person is needed.
    let status =
        play.command(&["roll", "start", &plan, "-o", "jsonl"]).stdout(Stdio::null()).status().unwrap();
    assert!(matches!(status.code(), Some(0 | 5)), "{status}");
    play.picture()
}

#[test]
fn killed_again_and_again_a_roll_ends_as_if_it_had_not_been() {
    let mut total = 0;
    for (release, policy) in
        [("2.0.lfb", ""), ("3.0-bad.lfb", ""), ("2.0.lfb", POLICY), ("3.0-bad.lfb", POLICY)]
    {
        let expected = undisturbed(release, policy);
        let gaps: &[usize] = if policy.is_empty() { &[1, 3] } else { &[2, 3, 5] };
        for &first_gap in gaps {
            let (picture, kills) = under_kills(release, policy, first_gap);
            assert_eq!(picture, expected, "{release}, first killed after {first_gap} lines, {kills} kills");
            total += kills;
        }
    }
    println!("{total} kills by SIGKILL");
    assert!(total >= 200, "only {total} kills");
}
