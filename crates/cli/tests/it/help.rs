//! Help, version, completions, and wrong command lines.

use super::common::Scratch;

#[test]
fn every_noun_and_verb_has_help_with_examples() {
    let scratch = Scratch::new();
    let verbs = [
        ("bank", vec!["show", "init", "install", "activate"]),
        ("release", vec!["keygen", "build", "show", "verify"]),
        ("pool", vec!["list", "show", "create-sim", "sim-set", "sim-clear", "sim-feature", "sim-reset"]),
        ("check", vec!["run", "list", "explain", "fixes", "undo"]),
        ("policy", vec!["show", "check", "example", "init"]),
        ("plan", vec!["create", "show", "list", "diff"]),
        ("roll", vec!["start", "watch", "pause", "resume", "abort", "status", "log", "list"]),
        ("lab", vec!["up", "down", "status", "console"]),
    ];
    for (noun, verbs) in verbs {
        let help = scratch.run(&[noun, "--help"]);
        help.done();
        for verb in verbs {
            assert!(help.out.contains(verb), "{noun} --help does not name {verb}");
            let help = scratch.run(&[noun, verb, "--help"]);
            help.done();
            assert!(help.out.contains("Examples:"), "{noun} {verb} --help has no example");
        }
    }
    for noun in ["demo", "completion"] {
        assert!(scratch.run(&[noun, "--help"]).done().out.contains("Examples:"), "{noun}");
    }
    assert!(scratch.run(&["--help"]).done().out.contains("Exit codes:"));
}

#[test]
fn a_wrong_command_line_is_a_usage_error_for_people_and_programs() {
    let scratch = Scratch::new();
    for words in [
        &["nonsense"][..],
        &["bank"],
        &["bank", "show"],
        &["bank", "activate", "x", "--bank", "C"],
        &["bank", "init", "x", "--size", "much"],
        &["plan", "create", "p"],
        &["-o", "xml", "version"],
        &[],
    ] {
        assert_eq!(scratch.run(words).code, 2, "{words:?}");
    }
    let answer = scratch.run(&["bank", "show", "-o", "json"]);
    let error = answer.json();
    assert_eq!((error["schema"].as_str(), error["exit"].as_u64()), (Some("lifeboat.error/1"), Some(2)));
    assert!(scratch.files().is_empty());
}

#[test]
fn completions_name_every_noun() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = scratch.run(&["completion", shell]);
        for noun in ["bank", "release", "pool", "plan", "roll", "lab"] {
            assert!(script.done().out.contains(noun), "{shell} does not complete {noun}");
        }
    }
}

#[test]
fn the_environment_is_shown_with_its_origin() {
    let scratch = Scratch::new();
    let items = scratch.run(&["env", "-o", "json"]).json();
    assert_eq!(items["schema"], "lifeboat.env-list/1");
    let found = items["items"].as_array().unwrap().iter().find(|item| item["name"] == "LIFEBOAT_STATE_DIR");
    assert_eq!(found.unwrap()["origin"], "environment");
    let version = scratch.run(&["version", "-o", "json"]).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn output_without_a_terminal_has_no_colour_unless_it_is_ordered() {
    let scratch = Scratch::new();
    assert!(!scratch.run(&["env"]).out.contains('\x1b'));
    assert!(scratch.run(&["env", "--color", "always"]).out.contains('\x1b'));
    assert!(!scratch.run(&["env", "--color", "always", "-o", "json"]).out.contains('\x1b'));
}
