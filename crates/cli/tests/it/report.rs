//! What a roll was, as a page and as JSON.

use serde_json::Value;

use crate::sigkill::Play;

/// A roll of the bad release: one host falls back.
fn fallen() -> Play {
    let play = Play::new();
    let plan = play.plan("3.0-bad.lfb");
    let output = play.command(&["roll", "start", &plan, "-o", "jsonl"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    play
}

fn page(play: &Play) -> String {
    play.done(&["roll", "report", "--html"])
}

#[test]
fn a_report_tells_the_same_as_the_journal_and_names_what_checks_it() {
    let play = fallen();
    let report: Value = serde_json::from_str(&play.done(&["roll", "report", "-o", "json"])).unwrap();
    assert_eq!((&report["schema"], &report["state"]), (&"lifeboat.report/1".into(), &"stopped".into()));
    let log = play.done(&["roll", "log", "-o", "jsonl"]);
    assert_eq!(report["events"], log.lines().count());
    let moved = log.lines().filter(|line| {
        line.contains("\"outcome\"") && line.contains("/migrate/") && line.contains("\"done\"")
    });
    assert_eq!(report["compared"]["moves_done"], moved.count());
    let verified: Value = serde_json::from_str(&play.done(&["roll", "verify", "-o", "json"])).unwrap();
    assert_eq!(report["tail"], verified["tail"]);
    assert_eq!(report["plan"], verified["plan"]);
    let features = report["features"].as_array().unwrap();
    assert_eq!(features.len(), 2);
    assert!(
        features.iter().all(|feature| feature["restored"].is_u64() && feature["original"] != "off"),
        "{features:?}"
    );
    let back: Vec<&Value> =
        report["hosts"].as_array().unwrap().iter().filter(|host| host["phase"] == "rolled back").collect();
    assert_eq!(back.len(), 1);
    assert!(back[0]["reason"].as_str().unwrap().contains("bank"));
    let html = page(&play);
    for fact in [
        "Needs attention",
        "rolled back",
        "reserve 25 %",
        verified["tail"].as_str().unwrap(),
        "lifeboat roll verify",
    ] {
        assert!(html.contains(fact), "{fact}");
    }
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let html = page(&fallen());
    for outside in [
        "<script",
        "http://",
        "https://",
        "<link",
        "@import",
        "src=",
        "url(//",
        "<iframe",
        "<img",
        "onload",
        "javascript:",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
    assert!(html.contains("prefers-color-scheme:dark") && html.contains("@media print"));
    assert!(html.contains("default-src 'none'"));
    assert!(html.len() < 200_000, "{}", html.len());
    // Every text in the picture that a person reads has a word or a letter, not only a colour.
    for word in ["drain", "stage", "install", "reboot, health", "give back", "check, save state"] {
        assert!(html.contains(word), "{word}");
    }
}

#[test]
fn a_report_goes_into_a_file_or_says_which_form_it_wants() {
    let play = fallen();
    let path = play.dir.path().join("roll.html");
    play.done(&["roll", "report", "--html", "--out", path.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page(&play));
    assert_eq!(play.command(&["roll", "report"]).output().unwrap().status.code(), Some(2));
    assert_eq!(
        play.command(&["roll", "report", "--html", "-o", "json"]).output().unwrap().status.code(),
        Some(2)
    );
}

#[test]
fn hostile_texts_in_a_journal_are_shown_and_do_nothing() {
    let play = Play::new();
    let plan = play.plan("2.0.lfb");
    assert!(play.kill_after(&["roll", "start", &plan, "-o", "jsonl"], 30).is_some());
    // An order of somebody with an evil name; the chain is whole, since the controller writes it.
    let evil = "<script>alert(1)</script>\"' onmouseover=x \u{202e}gnp.exe ` \u{1b}[2J".to_owned()
        + &"A".repeat(10_000);
    let db = rusqlite::Connection::open(play.dir.path().join("lifeboat.db")).unwrap();
    let roll: String = db.query_row("SELECT id FROM roll", [], |row| row.get(0)).unwrap();
    let verb = r#"{"skip":{"host":"h04"}}"#;
    db.execute("INSERT INTO request (roll, verb, who, at) VALUES (?1, ?2, ?3, 1)", (&roll, verb, &evil))
        .unwrap();
    drop(db);
    let output = play.command(&["roll", "resume", "-o", "jsonl"]).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&output.stderr));
    let html = page(&play);
    assert!(html.contains(
        "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onmouseover=x \u{fffd}gnp.exe &#96; \u{fffd}[2J"
    ));
    for evil in ["<script", "\u{202e}", "\u{1b}"] {
        assert!(!html.contains(evil), "{evil:?}");
    }
    assert!(html.contains("more characters)"), "a text of 10,000 characters is cut");
    assert!(!html.contains(&"A".repeat(2_000)));
}
