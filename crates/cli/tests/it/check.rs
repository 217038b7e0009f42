//! Checks through the program: everything at once, remedies and taking them back, crashes in between.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::common::{Answer, Scratch};

/// A simulated pool that is as it should be.
fn with_pool(speed: &str) -> Scratch {
    let scratch = Scratch::new();
    let words = ["pool", "create-sim", "play", "--hosts", "5", "--guests", "10", "--speed", speed];
    scratch.run(&words).done();
    scratch
}

/// Lets the pool be otherwise.
fn set(scratch: &Scratch, conditions: &[&str]) {
    scratch.run(&[&["pool", "sim-set", "play"], conditions].concat()).done();
}

/// A guest and its host.
fn a_guest(scratch: &Scratch) -> (String, String) {
    let pool = scratch.run(&["pool", "show", "play", "-o", "json"]).json();
    let guest = &pool["world"]["guests"][0];
    (guest["id"].as_str().unwrap().to_owned(), guest["host"].as_str().unwrap().to_owned())
}

fn release(scratch: &Scratch) -> Vec<String> {
    let file = |name: &str| scratch.path(&format!("state/pools/play/releases/{name}")).display().to_string();
    ["--release".to_owned(), file("2.0.lfb"), "--trust".to_owned(), file("maker.key.pub")].to_vec()
}

fn with_release(scratch: &Scratch, words: &[&str]) -> Answer {
    let release = release(scratch);
    let release: Vec<&str> = release.iter().map(String::as_str).collect();
    scratch.run(&[words, &release].concat())
}

fn codes(report: &Value) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|told| {
            let text = |name: &str| told["finding"][name].as_str().unwrap().to_owned();
            (text("code"), text("subject"))
        })
        .collect()
}

fn has(report: &Value, code: &str) -> bool {
    codes(report).iter().any(|(found, _)| found == code)
}

fn fixes(scratch: &Scratch) -> Vec<(u64, String)> {
    let list = scratch.run(&["check", "fixes", "play", "-o", "json"]).json();
    assert_eq!(list["schema"], "lifeboat.check-fix-list/1");
    let items = list["items"].as_array().unwrap().clone();
    items
        .iter()
        .map(|item| (item["id"].as_u64().unwrap(), item["state"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn a_pool_that_is_as_it_should_be_has_no_blocker() {
    let scratch = with_pool("0");
    for words in [&["check", "run", "play"][..], &["check", "run", "play", "-o", "json"]] {
        with_release(&scratch, words).done();
        scratch.run(words).done();
    }
    let shown = scratch.run(&["check", "run", "play"]);
    assert!(shown.done().out.contains("checks looked at everything"), "{}", shown.out);
    let report = with_release(&scratch, &["check", "run", "play", "-o", "json"]).json();
    assert_eq!(
        (report["schema"].as_str(), report["counts"]["blockers"].as_u64()),
        (Some("lifeboat.check/1"), Some(0))
    );
    assert!(report["checks"].as_u64().unwrap() >= 20);
    assert!(!scratch.path("state/lifeboat.db").exists(), "looking made a journal");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let scratch = with_pool("0");
    let (guest, host) = a_guest(&scratch);
    let pool = scratch.run(&["pool", "show", "play", "-o", "json"]).json();
    let other =
        pool["world"]["hosts"].as_array().unwrap().iter().map(|host| host["id"].as_str().unwrap().to_owned());
    let other = other.filter(|other| *other != host).nth(2).unwrap();
    set(
        &scratch,
        &[
            &format!("media:{guest}:install.iso"),
            &format!("clock:{host}:7200000"),
            &format!("foreign-file:{host}:B:EFI/tool.efi"),
            &format!("pending-reboot:{other}:a new kernel"),
            "task:backup:of everything",
        ],
    );
    let answer = scratch.run(&["check", "run", "play", "-o", "json"]);
    let report = answer.json();
    for code in ["guest-media-connected", "clock-skew", "foreign-files", "pending-reboot", "backup-running"] {
        assert!(has(&report, code), "{code}: {:?}", codes(&report));
    }
    assert_eq!(answer.code, 3);
    // People read the same, in lines that fit, with evidence and remedy in full.
    let people = scratch.run(&["check", "run", "play"]);
    people.refused(3, &["blocker", "lifeboat check run play --fix"]);
    assert!(people.out.lines().all(|line| line.chars().count() <= 100), "{}", people.out);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    for told in report["findings"].as_array().unwrap() {
        for part in ["code", "subject", "evidence", "remedy"] {
            let text = words(told["finding"][part].as_str().unwrap());
            assert!(words(&people.out).contains(&text), "{part} {text:?} is cut: {}", people.out);
        }
    }
    // What was looked at did not change the pool.
    assert_eq!(codes(&scratch.run(&["check", "run", "play", "-o", "json"]).json()), codes(&report));
}

#[test]
fn findings_are_chosen_and_ignored_by_code_and_never_by_a_slip() {
    let scratch = with_pool("0");
    let (guest, host) = a_guest(&scratch);
    set(&scratch, &[&format!("media:{guest}:install.iso"), &format!("clock:{host}:7200000")]);
    let only = scratch.run(&["check", "run", "play", "--only", "clock-skew", "-o", "json"]).json();
    assert_eq!(codes(&only), [("clock-skew".to_owned(), host.clone())]);
    scratch.run(&["check", "run", "play", "--only", "clock-skw"]).refused(6, &["did you mean clock-skew?"]);
    scratch.run(&["check", "run", "play", "--fix", "clock-skw"]).refused(6, &["did you mean clock-skew?"]);
    let ignore = format!("clock-skew:{host}");
    assert_eq!(scratch.run(&["check", "run", "play", "--ignore", &ignore]).code, 2, "a reason is asked for");
    let words = [
        "check",
        "run",
        "play",
        "--only",
        "clock-skew",
        "--ignore",
        &ignore,
        "--reason",
        "known",
        "-o",
        "json",
    ];
    let answer = scratch.run(&words);
    assert_eq!(answer.done().json()["counts"]["ignored"], 1);
    assert_eq!(answer.json()["findings"][0]["ignored"], "known");
    let elsewhere =
        ["check", "run", "play", "--only", "clock-skew", "--ignore", "clock-skew:nobody", "--reason", "x"];
    assert_eq!(scratch.run(&elsewhere).code, 3);
}

#[test]
fn every_code_is_explained_and_a_slip_is_answered() {
    let scratch = Scratch::new();
    let list = scratch.run(&["check", "list", "-o", "name"]);
    let codes: Vec<&str> = list.done().out.lines().collect();
    assert!(codes.len() > 40);
    for code in &codes {
        let page = scratch.run(&["check", "explain", code]);
        for word in ["looks at", "means", "remedy"] {
            assert!(page.done().out.contains(word), "{code}: {}", page.out);
        }
    }
    scratch.run(&["check", "explain", "clock_skew"]).refused(6, &["did you mean clock-skew?"]);
    scratch.run(&["check", "explain", "nonsense"]).refused(6, &["lifeboat check list"]);
}

#[test]
fn what_was_mended_can_be_taken_back() {
    let scratch = with_pool("0");
    let (guest, host) = a_guest(&scratch);
    let foreign = format!("foreign-file:{host}:B:EFI/tool.efi");
    set(&scratch, &[&format!("media:{guest}:install.iso"), &format!("clock:{host}:7200000"), &foreign]);
    // Without a terminal nothing is asked, and nothing is done without a yes.
    scratch.run(&["check", "run", "play", "--fix"]).refused(2, &["this needs a yes"]);
    let dry = scratch.run(&["check", "run", "play", "--fix", "--dry-run", "-o", "json"]);
    assert_eq!((dry.code, dry.json()["remedies"][0]["state"].as_str()), (3, Some("planned")));
    assert!(fixes(&scratch).is_empty());

    let fixed = scratch.run(&["check", "run", "play", "--fix", "--yes", "-o", "json"]);
    let report = fixed.done().json();
    for code in ["guest-media-connected", "clock-skew", "foreign-files"] {
        assert!(!has(&report, code), "{code} is still there: {report}");
    }
    assert!(
        report["remedies"].as_array().unwrap().iter().all(|remedy| remedy["state"] == "done"),
        "{report}"
    );
    let done = fixes(&scratch);
    assert!(done.len() >= 3 && done.iter().all(|(_, state)| state == "done"), "{done:?}");
    let status = scratch.run(&["status"]);
    assert!(status.done().out.contains("MENDED in pool play: disconnect install.iso"), "{}", status.out);
    let again = scratch.run(&["check", "run", "play", "--fix", "--yes"]);
    assert!(again.done().err.contains("nothing that a program can mend"), "{again:#?}");

    // A clock cannot be taken back; the others can, one by one or all.
    let list = scratch.run(&["check", "fixes", "play", "-o", "json"]).json();
    let of = |code: &str| {
        let items = list["items"].as_array().unwrap();
        items.iter().find(|item| item["code"] == code).unwrap()["id"].to_string()
    };
    scratch.run(&["check", "undo", "play", &of("clock-skew"), "--yes"]).refused(7, &["cannot be taken back"]);
    scratch.run(&["check", "undo", "play", "99", "--yes"]).refused(6, &["no remedy 99"]);
    scratch.run(&["check", "undo", "play", "--yes"]).refused(6, &["give --all"]);
    scratch.run(&["check", "undo", "play", &of("guest-media-connected"), "--yes"]).done();
    let report = scratch.run(&["check", "run", "play", "-o", "json"]).json();
    assert!(has(&report, "guest-media-connected") && !has(&report, "foreign-files"), "{report}");
    scratch.run(&["check", "undo", "play", &of("guest-media-connected"), "--yes"]).refused(7, &["already"]);
    scratch.run(&["check", "undo", "play", "--all", "--yes"]).done();
    assert!(has(&scratch.run(&["check", "run", "play", "-o", "json"]).json(), "foreign-files"));
    assert!(!scratch.run(&["status"]).out.contains("MENDED"));
}

#[test]
fn a_remedy_whose_controller_died_is_found_and_taken_up() {
    // Four times as fast as real time: a remedy takes some two seconds, long enough to be interrupted.
    let scratch = with_pool("4");
    let (guest, _) = a_guest(&scratch);
    set(&scratch, &[&format!("media:{guest}:install.iso")]);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .arg("--state-dir")
        .arg(scratch.path("state"))
        .args(["check", "run", "play", "--fix", "--yes"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Killed as soon as the intent is in the journal.
    let deadline = Instant::now() + Duration::from_secs(30);
    let database = scratch.path("state/lifeboat.db");
    let intent = || {
        let db = rusqlite::Connection::open_with_flags(&database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .ok()?;
        db.query_row("SELECT state FROM remedy", [], |row| row.get::<_, String>(0)).ok()
    };
    while intent().is_none() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    let state = intent().unwrap_or_else(|| panic!("no intent: {told}"));
    if state == "done" {
        println!("skipped: the remedy was carried out before it could be interrupted");
        return;
    }
    assert_eq!(state, "intent");
    assert_eq!(fixes(&scratch), [(1, "intent".to_owned())]);
    assert!(scratch.run(&["status"]).out.contains("interrupted; take it up"));
    scratch.run(&["check", "run", "play", "--fix", "--yes"]).done();
    assert!(!fixes(&scratch).iter().any(|(_, state)| state == "intent"), "{:?}", fixes(&scratch));
    assert!(!has(&scratch.run(&["check", "run", "play", "-o", "json"]).json(), "guest-media-connected"));
    // And back again, from an intent too.
    scratch.run(&["check", "undo", "play", "--all", "--yes"]).done();
    assert!(has(&scratch.run(&["check", "run", "play", "-o", "json"]).json(), "guest-media-connected"));
}

#[test]
fn a_plan_with_blockers_is_kept_and_refused_with_what_to_do() {
    let scratch = with_pool("0");
    let (_, host) = a_guest(&scratch);
    set(&scratch, &[&format!("clock:{host}:7200000")]);
    let made = with_release(&scratch, &["plan", "create", "play"]);
    made.refused(3, &["clock-skew", "lifeboat check run play --fix"]);
    assert!(made.out.contains("clock-skew") && made.out.contains("cannot be started"), "{}", made.out);
    assert_eq!(scratch.run(&["plan", "list", "-o", "name"]).out.lines().count(), 1);
    // One document for programs, with the findings in it.
    let json = with_release(&scratch, &["plan", "create", "play", "-o", "json"]);
    assert_eq!(json.json()["findings"][0]["code"], "clock-skew");
    scratch.run(&["check", "run", "play", "--fix", "--yes"]).done();
    with_release(&scratch, &["plan", "create", "play"]).done();
}

#[test]
fn nothing_is_mended_while_a_roll_has_not_ended() {
    let scratch = with_pool("0");
    let (guest, _) = a_guest(&scratch);
    set(&scratch, &[&format!("media:{guest}:install.iso")]);
    scratch.run(&["check", "run", "play", "--fix", "--yes"]).done();
    let hash = with_release(&scratch, &["plan", "create", "play", "-o", "name"]).done().out.trim().to_owned();
    // A journal that says so is enough.
    let db = rusqlite::Connection::open(scratch.path("state/lifeboat.db")).unwrap();
    let plan = String::from_utf8(scratch.read(&format!("state/plans/{hash}.json"))).unwrap();
    let sql = "INSERT INTO roll (id, pool, plan_hash, plan, context, state, created)
               VALUES ('r1', 'play', ?1, ?2, '{}', 'active', 1)";
    db.execute(sql, rusqlite::params![hash, plan]).unwrap();
    db.execute("INSERT INTO tail (roll, seq, hash) VALUES ('r1', 0, ?1)", [&hash]).unwrap();
    drop(db);
    scratch.run(&["check", "undo", "play", "--yes"]).refused(7, &["roll r1 of pool play has not ended"]);
    set(&scratch, &[&format!("media:{guest}:other.iso")]);
    scratch
        .run(&["check", "run", "play", "--fix", "--yes"])
        .refused(7, &["roll r1 of pool play has not ended"]);
    let report = scratch.run(&["check", "run", "play", "-o", "json"]).json();
    assert!(has(&report, "roll-not-ended"), "{report}");
}

#[test]
fn what_lasts_as_long_as_a_roll_is_taken_back_at_its_end() {
    let scratch = with_pool("0");
    let (guest, host) = a_guest(&scratch);
    let foreign = format!("foreign-file:{host}:B:EFI/tool.efi");
    set(&scratch, &[&format!("media:{guest}:install.iso"), &foreign]);
    scratch.run(&["check", "run", "play", "--fix", "--yes"]).done();
    let hash = with_release(&scratch, &["plan", "create", "play", "-o", "name"]).done().out.trim().to_owned();
    scratch.run(&["roll", "start", &hash, "--yes", "-o", "jsonl"]).done();
    let list = scratch.run(&["check", "fixes", "play", "-o", "json"]).json();
    for item in list["items"].as_array().unwrap() {
        let expected = if item["code"] == "guest-media-connected" { "undone" } else { "done" };
        assert_eq!(item["state"], expected, "{list}");
    }
    assert!(has(&scratch.run(&["check", "run", "play", "-o", "json"]).json(), "guest-media-connected"));
}

#[test]
fn what_went_wrong_since_the_plan_stops_a_roll_before_anything_is_suspended() {
    let scratch = with_pool("0");
    let (_, host) = a_guest(&scratch);
    let hash = with_release(&scratch, &["plan", "create", "play", "-o", "name"]).done().out.trim().to_owned();
    set(&scratch, &[&format!("clock:{host}:7200000")]);
    let before = scratch.run(&["pool", "show", "play", "-o", "json"]).json();
    let started = scratch.run(&["roll", "start", &hash, "--yes"]);
    assert_eq!(started.code, 3, "{started:#?}");
    for word in ["clock-skew", "nothing was changed", "remedy: ", "lifeboat check run play --fix"] {
        assert!(started.err.contains(word), "{word:?} is missing: {started:#?}");
    }
    assert_eq!(scratch.run(&["roll", "list", "-o", "name"]).out, "");
    assert_eq!(scratch.run(&["pool", "show", "play", "-o", "json"]).json()["world"], before["world"]);
    scratch.run(&["check", "run", "play", "--fix", "--yes"]).done();
    scratch.run(&["roll", "start", &hash, "--yes", "-o", "jsonl"]).done();
}
