//! Incidents from the field as scripts: command files with the output that was looked at and committed.
//!
//! Each file in `incidents/` first reproduces a failure with `naive`, which has no guards, then shows what the program
//! makes of the same pool. A line that begins with `$ ` is given to a shell; what follows, up to the next such line or
//! comment, is its output, with names of this run (hashes, rolls, folders, times) replaced by words in brackets, and
//! `[exit N]` where it did not end with 0. After a change that was meant: `LIFEBOAT_BLESS=1 cargo test -p lifeboat
//! incidents`, then read the difference.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether these programs are here; if not, says so, or fails where none may be missing.
fn has(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let there = |name: &str| path.split(':').any(|folder| Path::new(folder).join(name).exists());
    let Some(missing) = programs.iter().find(|name| !there(name)) else { return true };
    assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing; ./test installs it");
    false
}

/// Runs one file; says what differs.
fn play(incident: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/incidents/{incident}.txt"));
    let script = std::fs::read_to_string(&file).unwrap();
    // In memory if possible: nothing here is about the power of this machine.
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for policy in ["kill-once.toml", "fill-up.toml"] {
        let from = file.with_file_name(policy);
        std::fs::copy(from, scratch.path().join(policy)).unwrap();
    }
    let mut played = String::new();
    for block in blocks(&script) {
        match block {
            Block::Comment(text) => writeln!(played, "{text}").unwrap(),
            Block::Command(command) => {
                let answer = shell(scratch.path(), command);
                write!(played, "$ {command}\n{}", normal(&answer, scratch.path())).unwrap();
            }
        }
    }
    if std::env::var_os("LIFEBOAT_BLESS").is_some() {
        std::fs::write(&file, &played).unwrap();
        return;
    }
    let difference = script.lines().zip(played.lines()).position(|(old, new)| old != new);
    let at = difference.unwrap_or_else(|| script.lines().count().min(played.lines().count()));
    let near = |text: &str| text.lines().skip(at.saturating_sub(3)).take(8).collect::<Vec<_>>().join("\n");
    assert!(
        script == played,
        "{}:{}: the output is another\n--- committed\n{}\n--- now\n{}",
        file.display(),
        at + 1,
        near(&script),
        near(&played)
    );
}

enum Block<'s> {
    Comment(&'s str),
    Command(&'s str),
}

/// Comments are kept, outputs are dropped; of empty lines those before a comment and among comments are kept.
fn blocks(script: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let (mut output, mut empty) = (false, false);
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            blocks.push(Block::Command(command));
            output = true;
        } else if line.starts_with("# ") || line == "#" {
            if output && empty {
                blocks.push(Block::Comment(""));
            }
            blocks.push(Block::Comment(line));
            output = false;
        } else if !output {
            blocks.push(Block::Comment(line));
        }
        empty = line.is_empty();
    }
    blocks
}

fn shell(dir: &Path, command: &str) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_lifeboat"));
    let folder = program.parent().unwrap();
    let path = format!(
        "{}:{}:{}",
        folder.display(),
        folder.join("examples").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut shell = Command::new("sh");
    for name in ["LIFEBOAT_OUTPUT", "LIFEBOAT_TRUST", "CLICOLOR_FORCE", "SOURCE_DATE_EPOCH"] {
        shell.env_remove(name);
    }
    let output = shell
        .args(["-c", &format!("exec 2>&1; {command}")])
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .env("USER", "admin")
        .env("AGENT", crate::lab::AGENT)
        .env_remove("SUDO_USER")
        .env("LIFEBOAT_STATE_DIR", dir.join("state"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !output.status.success() {
        writeln!(text, "[exit {}]", output.status.code().unwrap_or(-1)).unwrap();
    }
    text
}

/// Names of this run become words; empty lines at the end of an output go.
fn normal(answer: &str, dir: &Path) -> String {
    let answer = answer.replace(&dir.display().to_string(), "[DIR]");
    let mut text = String::new();
    for line in answer.trim_end().lines() {
        let words: Vec<String> = line.split(' ').map(word).collect();
        writeln!(text, "{}", words.join(" ").trim_end()).unwrap();
    }
    // An empty line would end the output when the file is read again.
    text
}

/// One word, with what differs from run to run named.
fn word(word: &str) -> String {
    let core = word.trim_matches(|letter: char| "(),;:.\"'".contains(letter));
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let named = if core.starts_with("roll-2") && core.len() >= 20 {
        "[ROLL]"
    } else if core.starts_with("lifeboat@") {
        "[CONTROLLER]"
    } else if core.ends_with(".lfundo") {
        "[UNDO]"
    } else if core.contains("/undo/2") {
        "[KEPT]"
    } else if (core.len() == 12 || core.len() == 32 || core.len() == 64)
        && hex(core)
        && !core.bytes().all(|b| b.is_ascii_digit())
    {
        "[HASH]"
    } else {
        return word.to_owned();
    };
    word.replace(core, named)
}

#[test]
fn a_script_is_split_into_comments_and_commands_and_its_outputs_are_dropped() {
    let blocks = blocks("# one\n\n$ true\nout\n\nmore\n# two\n$ false\n[exit 1]\n");
    let commands: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Command(command) => Some(*command),
            Block::Comment(_) => None,
        })
        .collect();
    assert_eq!(commands, ["true", "false"]);
    assert_eq!(blocks.len(), 5);
}

#[test]
fn names_of_a_run_become_words() {
    let line = "plan 0dc38b1c4a60: roll roll-20261120-200605-7126, by lifeboat@vm[17486], 123456789012";
    assert_eq!(normal(line, Path::new("/x")), "plan [HASH]: roll [ROLL], by [CONTROLLER], 123456789012\n");
}

#[test]
fn i_01_admission_control_keeps_a_host_from_maintenance() {
    play("I-01");
}

#[test]
fn i_02_power_management_switches_a_host_off_in_its_turn() {
    play("I-02");
}

#[test]
fn i_03_a_host_that_waits_for_a_reboot_refuses_the_release() {
    play("I-03");
}

#[test]
fn i_04_the_files_of_a_release_do_not_fit() {
    play("I-04");
}

#[test]
fn i_05_foreign_files_in_both_banks_block_every_upgrade() {
    if has(&["mdir", "mdeltree"]) {
        play("I-05");
    }
}

#[test]
fn i_06_a_new_image_does_not_boot() {
    match crate::lab::missing() {
        None => play("I-06"),
        Some(reason) => {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
            println!("skipped: {reason}");
        }
    }
}

#[test]
fn i_09_an_entry_that_nothing_can_delete_makes_a_bank_unwritable() {
    if has(&["mdel", "fsck.fat"]) {
        play("I-09");
    }
}

#[test]
fn i_10_the_power_fails_in_the_middle_of_the_repair() {
    play("I-10");
}

#[test]
fn i_11_a_member_was_upgraded_before_its_coordinator() {
    play("I-11");
}

#[test]
fn i_12_the_coordinator_is_down_and_members_go_on() {
    play("I-12");
}

#[test]
fn i_22_the_controller_dies_and_features_stay_off() {
    play("I-22");
}

#[test]
fn i_23_a_host_is_rebooted_with_a_guest_on_it() {
    play("I-23");
}

#[test]
fn i_24_success_is_told_and_nothing_was_installed() {
    play("I-24");
}

#[test]
fn i_25_a_fall_back_is_overlooked_until_both_banks_are_bad() {
    play("I-25");
}
