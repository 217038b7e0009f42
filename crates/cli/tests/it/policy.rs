//! Policy files: every mistake with its place, every value with its origin.

use super::common::Scratch;

/// One file with a mistake of every sort.
const WRONG: &str = r#"order = "coordinator-frist"
attempts = 0
max_in_flight = 2
spill = "x"
soak = "3 weeks"
window-margin = "9 h"
canary = "h1"
last = ["h2", "h1", "h2"]
on-failure = { carry-on = 2 }

[timeouts]
reboot = 0
colour = 1

[[guests]]
guests = ["*"]
strategy = "migrate"

[[guests]]
guests = ["db*"]
strategy = "leave"

[[windows]]
from = "7:00"
to = "24:00"
zone = "Europe/Wien"

[[windows]]
days = ["sat", "sun", "someday"]
from = "22:00"
to = "05:00"
zone = "UTC"

[[hooks]]
name = "ticket"
stage = "pre-maintenance"
command = ["/none/such", "open"]

[[hooks]]
name = "ticket"
stage = "later"
command = ["relative"]
timeout = "1 min"
warn-after = "1 min"

[[gates]]
name = "not executable"
command = ["PLAIN"]
attempts = -1
"#;

#[test]
fn every_mistake_is_told_at_once_with_its_line_and_column() {
    let scratch = Scratch::new();
    scratch.write("plain", "no program");
    let plain = scratch.path("plain").display().to_string();
    scratch.write("p.toml", WRONG.replace("PLAIN", &plain));
    let answer = scratch.run(&["policy", "check", "p.toml"]);
    let expected = [
        "p.toml:1:9: order = \"coordinator-frist\": it is not a word that is known here; did you mean \"coordinator-first\"?",
        "p.toml:2:12: attempts = 0: it is outside 1 to 20;",
        "p.toml:3:1: max_in_flight = 2: there is no such key; did you mean max-in-flight?",
        "p.toml:4:9: spill = \"x\": it is a string; write a whole number",
        "p.toml:5:8: soak = \"3 weeks\": it is not a length of time; write a number of milliseconds, or text such as",
        "p.toml:7:10: canary = \"h1\": it is also in `last`; choose one",
        "p.toml:8:21: last.2 = \"h2\": the host is named twice;",
        "p.toml:9:14: on-failure = { carry-on = 2 }: carry-on has no meaning here;",
        "p.toml:12:10: timeouts.reboot = 0: it is outside 1 ms and more;",
        "p.toml:13:1: timeouts.colour = 1: there is no such key; the keys are step,",
        "p.toml:20:10: guests.1.guests = [\"db*\"]: it is never used: rule 0",
        "p.toml:24:8: windows.0.from = \"7:00\": it cannot be used as it is; write a time as HH:MM",
        "p.toml:26:8: windows.0.zone = \"Europe/Wien\": this time zone is not known;",
        "p.toml:29:23: windows.1.days.2 = \"someday\": it is not a word that is known here;",
        "p.toml:37:11: hooks.0.command = [\"/none/such\", \"open\"]: there is no program /none/such;",
        "p.toml:40:8: hooks.1.name = \"ticket\": the name is used twice;",
        "p.toml:41:9: hooks.1.stage = \"later\":",
        "p.toml:42:11: hooks.1.command = [\"relative\"]: name the program by its absolute path;",
        "p.toml:44:14: hooks.1.warn-after = \"1 min\": the hook is ended before, after 1 min;",
        "p.toml:47:8: gates.0.name = \"not executable\": a name has 1 to 64 letters",
        "is not executable for this user; chmod +x",
        "p.toml:49:12: gates.0.attempts = -1: it is outside 0 to 4294967295;",
    ];
    answer.refused(1, &expected);
    assert!(answer.err.contains(&format!("{} mistakes", expected.len())), "{answer:#?}");
    scratch.write(
        "w.toml",
        "window-margin = \"9 h\"\n[[windows]]\nfrom = \"22:00\"\nto = \"05:00\"\nzone = \"UTC\"\n",
    );
    let expected =
        "w.toml:1:17: window-margin = \"9 h\": no window is so long, the longest is 7 h: no host could";
    scratch.run(&["policy", "check", "w.toml"]).refused(1, &[expected]);
    // Planning refuses the same file with the same words, and a program reads the same mistakes.
    let json = scratch.run(&["policy", "check", "p.toml", "-o", "json"]);
    assert_eq!((json.code, json.json()["schema"].as_str()), (1, Some("lifeboat.policy-check/1")));
    let problems = json.json()["problems"].as_array().unwrap().clone();
    assert_eq!(problems.len(), 22);
    assert_eq!((problems[1]["line"].as_u64(), problems[1]["column"].as_u64()), (Some(2), Some(12)));
    assert_eq!(scratch.run(&["policy", "show", "p.toml"]).err, answer.err);
}

#[test]
fn a_mistake_of_form_hides_no_other_and_makes_none() {
    let scratch = Scratch::new();
    scratch.write(
        "p.toml",
        "attempts = 3\nspill = \nsoak = \"1 s\nattempts = 4\n[timeouts\nreserve-hosts = -1\n",
    );
    let answer = scratch.run(&["policy", "check", "p.toml"]);
    answer.refused(1, &["p.toml:2:", "p.toml:3:", "p.toml:4:1:", "p.toml:5:", "this is not TOML"]);
    scratch.write("t.toml", "[[timeouts]]\nstep = 1\n[guests]\nguests = []\n[hooks.x]\n");
    scratch
        .run(&["policy", "check", "t.toml"])
        .refused(1, &["t.toml:1:", "timeouts", "t.toml:3:", "[[guests]]"]);
    scratch.write("m.toml", "[[hooks]]\nname = \"x\"\n");
    scratch
        .run(&["policy", "check", "m.toml"])
        .refused(1, &["hooks.0.stage: it is missing", "hooks.0.command: it is missing"]);
}

#[test]
fn hostile_files_are_refused_and_do_not_end_the_program() {
    let scratch = Scratch::new();
    scratch.write("none-utf8.toml", [0xff, 0xfe, 0x00]);
    scratch.run(&["policy", "check", "none-utf8.toml"]).refused(1, &["none-utf8.toml"]);
    scratch.write("deep.toml", format!("x = {}", "[".repeat(100_000)));
    assert_eq!(scratch.run(&["policy", "check", "deep.toml"]).code, 1);
    scratch.write("large.toml", vec![b'#'; 2 << 20]);
    scratch.run(&["policy", "check", "large.toml"]).refused(1, &["larger than"]);
    let many: Vec<String> = (0..5000).map(|at| format!("k{at} = \"\\u001b[2J\"\n")).collect();
    scratch.write("many.toml", many.concat());
    let answer = scratch.run(&["policy", "check", "many.toml"]);
    answer.refused(1, &["5000 mistakes", "and 4900 more"]);
    assert!(!answer.err.contains('\x1b') && answer.err.len() < 100_000);
    let whole = scratch.run(&["policy", "example"]).out;
    for cut in (0..whole.len()).step_by(37) {
        scratch.write("cut.toml", &whole.as_bytes()[..cut]);
        let code = scratch.run(&["policy", "check", "cut.toml"]).code;
        assert!(matches!(code, 0 | 1), "cut at {cut}: {code}");
    }
    scratch.run(&["policy", "check", "none.toml"]).refused(6, &["none.toml"]);
}

#[test]
fn the_example_can_be_used_as_it_is_and_is_never_overwritten() {
    let scratch = Scratch::new();
    scratch.run(&["policy", "init", "p.toml"]).done();
    scratch.run(&["policy", "check", "p.toml"]).done();
    scratch.run(&["policy", "init", "p.toml"]).refused(7, &["p.toml"]);
    assert_eq!(scratch.run(&["policy", "example"]).out.into_bytes(), scratch.read("p.toml"));
}

#[test]
fn every_value_is_shown_with_the_line_it_comes_from() {
    let scratch = Scratch::new();
    scratch.write("p.toml", "# night\nattempts = 5\nmax-in-flight = 2\n[timeouts]\nreboot = 900000\n[[hooks]]\nname = \"a\"\nstage = \"preflight\"\ncommand = [\"/bin/sh\"]\n");
    let shown = scratch.run(&["policy", "show", "p.toml", "-o", "json"]).json();
    assert_eq!(shown["schema"], "lifeboat.policy/1");
    let value = |key: &str| {
        let values = shown["values"].as_array().unwrap();
        let line = values.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("{key}: {shown}"));
        (
            line["value"].as_str().unwrap().to_owned(),
            line["origin"]["from"].as_str().unwrap().to_owned(),
            line["origin"]["line"].as_u64(),
        )
    };
    assert_eq!(value("attempts"), ("5".to_owned(), "file".to_owned(), Some(2)));
    assert_eq!(value("max-in-flight"), ("{ hosts = 2 }".to_owned(), "file".to_owned(), Some(3)));
    assert_eq!(value("timeouts.reboot"), ("\"15 min\"".to_owned(), "file".to_owned(), Some(5)));
    assert_eq!(value("timeouts.step"), ("\"5 min\"".to_owned(), "default".to_owned(), None));
    assert_eq!(value("hooks.0.command"), ("[\"/bin/sh\"]".to_owned(), "file".to_owned(), Some(9)));
    // As a file it is the same policy.
    let file = scratch.run(&["policy", "show", "p.toml", "--toml"]);
    scratch.write("q.toml", &file.done().out);
    let again = scratch.run(&["policy", "show", "q.toml", "-o", "json"]).json();
    let values = |shown: &serde_json::Value| -> Vec<(String, String)> {
        let text = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
        shown["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| (text(line, "key"), text(line, "value")))
            .collect()
    };
    assert_eq!(values(&shown), values(&again));
    assert!(scratch.run(&["policy", "show"]).done().out.contains("coordinator-first"));
}

#[test]
fn a_plan_remembers_which_line_said_what() {
    let scratch = Scratch::new();
    scratch.run(&["pool", "create-sim", "play", "--hosts", "4", "--guests", "8", "--speed", "0"]).done();
    scratch.write("p.toml", "\n\nspill = 1\n");
    let releases = scratch.path("state/pools/play/releases");
    let (bundle, key) = (releases.join("2.0.lfb"), releases.join("maker.key.pub"));
    let words =
        ["plan", "create", "play", "--release", bundle.to_str().unwrap(), "--trust", key.to_str().unwrap()];
    let made = scratch.run(&[&words[..], &["--policy", "p.toml", "-o", "name"]].concat());
    let hash = made.done().out.trim().to_owned();
    let shown = scratch.run(&["policy", "show", "--plan", &hash[..8]]);
    let line = shown.done().out.lines().find(|line| line.starts_with("spill")).unwrap().to_owned();
    assert!(line.contains("p.toml:3"), "{line}");
    scratch.run(&["roll", "start", &hash[..8], "--yes", "-o", "jsonl"]).done();
    let shown = scratch.run(&["policy", "show", "--roll", "roll"]);
    assert!(shown.done().out.contains("p.toml:3"), "{shown:#?}");
}
