//! Rolls whose journal or pool is not what it was.

use std::process::Output;

use crate::sigkill::Play;

fn refused(play: &Play, args: &[&str], code: i32, words: &[&str]) {
    let output: Output = play.command(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: {word:?} is missing in {text}");
    }
}

/// A pool whose roll lost its controller in the middle.
fn interrupted() -> (Play, String) {
    let play = Play::new();
    let plan = play.plan("2.0.lfb");
    assert!(play.kill_after(&["roll", "start", &plan, "-o", "jsonl"], 20).is_some());
    (play, plan)
}

#[test]
fn a_roll_that_was_interrupted_is_named_by_a_second_start() {
    let (play, plan) = interrupted();
    for args in [&["roll", "start", &plan][..], &["roll", "start", &plan, "--dry-run"]] {
        refused(&play, args, 7, &["was interrupted", "roll resume"]);
    }
}

#[test]
fn a_roll_whose_journal_was_altered_can_be_given_up_and_the_pool_rolled_anew() {
    let (play, _) = interrupted();
    let journal = rusqlite::Connection::open(play.dir.path().join("lifeboat.db")).unwrap();
    let sql = "UPDATE event SET payload = replace(payload, 'h01', 'h02') WHERE seq = 9";
    assert_eq!(journal.execute(sql, []).unwrap(), 1);
    drop(journal);
    for verb in ["resume", "abort", "status"] {
        refused(&play, &["roll", verb], 10, &["event 9", "--give-up"]);
    }
    play.done(&["roll", "abort", "--give-up"]);
    // What the dead roll left is seen, not hidden: the host it had in hand is still in maintenance.
    let bundle = play.dir.path().join("pools/play/releases/2.0.lfb").display().to_string();
    let key = play.dir.path().join("pools/play/releases/maker.key.pub").display().to_string();
    let made =
        play.command(&["plan", "create", "play", "--release", &bundle, "--trust", &key]).output().unwrap();
    let text = String::from_utf8_lossy(&made.stderr);
    assert!(matches!(made.status.code(), Some(0 | 3)), "{text}");
    if made.status.code() == Some(3) {
        assert!(text.contains("maintenance"), "{text}");
    }
}

#[test]
fn a_roll_is_not_taken_up_on_another_pool_of_the_same_name() {
    let (play, plan) = interrupted();
    std::fs::remove_dir_all(play.dir.path().join("pools/play")).unwrap();
    play.done(&["pool", "create-sim", "play", "--hosts", "4", "--guests", "12", "--speed", "0"]);
    refused(&play, &["roll", "resume"], 7, &["made before", "plan create"]);
    refused(&play, &["roll", "start", &plan], 7, &["made before"]);
}
