//! A simulated pool in the hands of a person, also while a roll runs.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::common::Scratch;
use super::sigkill::Play;

fn words<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

#[test]
fn faults_and_conditions_are_set_shown_and_cleared() {
    let scratch = Scratch::new();
    let create = ["pool", "create-sim", "play", "--hosts", "3", "--guests", "6", "--speed", "0"];
    let begun = ["--condition", "ghost:h02:B", "--condition", "slow:h03:4", "--condition", "runs-newer:h03"];
    scratch.run(&[create.as_slice(), begun.as_slice()].concat()).done();
    let show = |scratch: &Scratch| scratch.run(&["pool", "show", "play", "-o", "json"]).json();
    let shown = show(&scratch);
    assert_eq!(
        (words(&shown, "conditions"), words(&shown, "faults")),
        (vec!["ghost:h02:B"], vec!["slow:h03:4"])
    );
    assert_eq!(shown["world"]["hosts"][2]["version"], "2.0");
    scratch.run(&["pool", "sim-set", "play", "media:g01:debian 13.iso", "no-boot:h01"]).done();
    let people = scratch.run(&["pool", "show", "play"]);
    for word in ["CONDITION", "media:g01:debian 13.iso", "FAULT", "no-boot:h01"] {
        assert!(people.done().out.contains(word), "{word}: {people:#?}");
    }
    scratch.run(&["pool", "sim-feature", "play", "power-management", "off"]).done();
    assert!(show(&scratch)["world"]["features"].to_string().contains("\"off\""));
    scratch.run(&["pool", "sim-clear", "play", "ghost:h02:B", "slow:h03:4"]).done();
    let shown = show(&scratch);
    assert_eq!(words(&shown, "conditions"), ["media:g01:debian 13.iso"]);
    assert_eq!(words(&shown, "faults"), ["no-boot:h01"]);
    scratch.run(&["pool", "sim-clear", "play", "--all"]).done();
    let shown = show(&scratch);
    assert!(words(&shown, "conditions").is_empty() && words(&shown, "faults").is_empty());
    // Wrong words and names change nothing.
    let before = scratch.files();
    for (wrong, word) in
        [("ghost:h02", "ghost:HOST:BANK"), ("slow:h02:0", "1 to 1000"), ("x", "pending-reboot")]
    {
        let answer = scratch.run(&["pool", "sim-set", "play", wrong]);
        assert!(answer.code == 2 && answer.err.contains(word), "{answer:#?}");
    }
    scratch.run(&["pool", "sim-set", "play", "ghost:h99:B"]).refused(7, &["h99"]);
    scratch.run(&["pool", "sim-reset", "play", "h99"]).refused(7, &["h99"]);
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_pool_with_a_running_roll_is_looked_at_and_changed_by_a_person() {
    let play = Play::new();
    let plan = play.plan("2.0.lfb");
    // Slow enough to be looked at: its time passes a hundred times as fast as ours.
    let file = play.dir.path().join("pools/play/pool.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("speed = 0", "speed = 100")).unwrap();
    let mut command = play.command(&["roll", "start", &plan, "-o", "jsonl"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The features are suspended: the roll is at work.
    let at_work = lines.by_ref().map_while(Result::ok).any(|line| line.contains("enter-maintenance"));
    assert!(at_work);
    for args in [&["pool", "show", "play"][..], &["status"], &["roll", "status"]] {
        play.done(args);
    }
    // The checks find the roll, and nothing else stands in the way of looking.
    let checks = play.command(&["check", "run", "play"]).output().unwrap();
    let told = String::from_utf8(checks.stdout).unwrap();
    assert!(checks.status.code() == Some(3) && told.contains("roll-not-ended"), "{told}");
    let left: Value = serde_json::from_str(&play.done(&[
        "pool",
        "sim-feature",
        "play",
        "load-balancer",
        "manual",
        "-o",
        "json",
    ]))
    .unwrap();
    assert_eq!(left["through"], "controller");
    play.done(&["pool", "sim-set", "play", "clock:h04:5000"]);
    // The roll goes on looking, and takes both at its next look.
    let mut seen = false;
    for _ in lines.by_ref().map_while(Result::ok) {
        let shown: Value = serde_json::from_str(&play.done(&["pool", "show", "play", "-o", "json"])).unwrap();
        if words(&shown, "conditions") == ["clock:h04:5000"] {
            assert!(shown["world"]["features"].to_string().contains("manual"));
            seen = true;
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen, "the roll ended before it took the orders");
}
