//! A journal that is carried away, checked, damaged, and recovered from.

use std::path::PathBuf;

use serde_json::Value;

use crate::sigkill::Play;

fn answer(play: &Play, args: &[&str]) -> (i32, String, String) {
    let output = play.command(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn json(play: &Play, args: &[&str]) -> Value {
    let text = play.done(&[args, &["-o", "json"]].concat());
    serde_json::from_str(&text).unwrap()
}

fn rolled() -> Play {
    let play = Play::new();
    let plan = play.plan("2.0.lfb");
    play.done(&["roll", "start", &plan, "-o", "jsonl"]);
    play
}

/// A roll whose controller died after so many events.
fn interrupted(events: usize) -> Play {
    let play = Play::new();
    let plan = play.plan("2.0.lfb");
    assert!(play.kill_after(&["roll", "start", &plan, "-o", "jsonl"], events).is_some());
    play
}

fn sql(play: &Play, statements: &[&str]) {
    let db = rusqlite::Connection::open(play.dir.path().join("lifeboat.db")).unwrap();
    for sql in statements {
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
    }
}

/// Features and their values, and hosts in maintenance.
fn pool(play: &Play) -> (Vec<String>, Vec<String>) {
    let world = &json(play, &["pool", "show", "play"])["world"];
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let features = world["features"].as_array().unwrap();
    let hosts = world["hosts"].as_array().unwrap();
    (
        features.iter().map(|f| format!("{}={}", text(&f["kind"]), text(&f["value"]))).collect(),
        hosts.iter().filter(|h| h["maintenance"] == true).map(|h| text(&h["id"])).collect(),
    )
}

const ORIGINAL: [&str; 2] = ["ha-admission-control=reserve 25 %", "power-management=automatic"];

#[test]
fn a_log_shows_what_was_asked_for_and_checks_the_whole_chain() {
    let play = rolled();
    let all: Vec<Value> = play
        .done(&["roll", "log", "-o", "jsonl"])
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of =
        |args: &[&str]| json(&play, &[&["roll", "log"], args].concat())["items"].as_array().unwrap().clone();
    let kinds = of(&["--kind", "host-phase", "--host", "h02"]);
    assert!(
        kinds.iter().all(|event| event["what"]["kind"] == "host-phase" && event["what"]["host"] == "h02")
    );
    assert_eq!(kinds.len(), 9, "{kinds:?}");
    let guest = of(&["--guest", "g01"]);
    assert!(
        !guest.is_empty()
            && guest.iter().all(|event| event["what"]["key"].as_str().unwrap().ends_with("/g01"))
    );
    let some = of(&["--since", "10", "--until", "19"]);
    assert_eq!(
        some.iter().map(|event| event["seq"].as_u64().unwrap()).collect::<Vec<_>>(),
        (10..20).collect::<Vec<_>>()
    );
    assert_eq!(of(&["--since", "2026-01-01 00:00"]).len(), all.len());
    assert!(of(&["--since", "2100-01-01 00:00"]).is_empty());
    let text = play.done(&["roll", "log", "--kind", "roll-ended"]);
    assert!(
        text.contains("the roll is completed")
            && text.contains(&format!("1 of {} events; chain whole", all.len()))
    );
    assert_eq!(play.done(&["roll", "log", "--follow"]).lines().count(), all.len());
    assert_eq!(answer(&play, &["roll", "log", "--since", "soon"]).0, 2);
    assert_eq!(answer(&play, &["roll", "log", "--kind", "cats"]).0, 2);
    sql(&play, &["UPDATE event SET payload = replace(payload, 'h02', 'h03') WHERE seq = 40"]);
    let (code, _, err) = answer(&play, &["roll", "log", "--until", "5"]);
    assert!(code == 10 && err.contains("event 40"), "{code}: {err}");
}

#[test]
fn an_exported_journal_is_checked_anywhere_and_holds_no_path_of_this_machine() {
    let play = rolled();
    let path = play.dir.path().join("roll.jsonl");
    let file = path.to_str().unwrap();
    play.done(&["roll", "export", "--out", file]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, play.done(&["roll", "export"]));
    assert!(!text.contains(play.dir.path().to_str().unwrap()), "a path of this machine is in the export");
    let here = json(&play, &["roll", "verify"]);
    let there: Value = {
        // Another machine has no state at all.
        let other = Play::new();
        json(&other, &["roll", "verify", "--file", file])
    };
    for fact in ["roll", "pool", "plan", "hosts", "events", "tail", "fence", "state"] {
        assert_eq!(here[fact], there[fact], "{fact}");
    }
    assert_eq!(here["state"], "completed");
    let words = play.done(&["roll", "verify"]);
    assert!(words.contains("is whole") && words.contains(&here["events"].to_string()), "{words}");
}

#[test]
fn a_damaged_export_is_refused_with_exit_code_10_and_the_event_is_named() {
    let play = rolled();
    let text = play.done(&["roll", "export"]);
    let path = play.dir.path().join("roll.jsonl");
    let file = path.to_str().unwrap().to_owned();
    let refused = |changed: String, words: &[&str]| {
        std::fs::write(&path, changed).unwrap();
        let (code, out, err) = answer(&play, &["roll", "verify", "--file", &file]);
        assert_eq!(code, 10, "{out}{err}");
        for word in words {
            assert!(err.contains(word), "{word:?}: {err}");
        }
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    refused(text.replacen("\"seq\":12,", "\"seq\":13,", 1), &["event 12 is damaged", "line 14"]);
    refused(lines[..lines.len() - 1].concat(), &["the file was cut"]);
    refused(lines[..9].concat(), &["cut after event 7"]);
    refused(text.replacen("\"state\":\"ended\"", "\"state\":\"stopped\"", 1), &["line"]);
    refused(String::new(), &["empty"]);
    refused("[".repeat(50_000) + "\n", &["line 1"]);
    refused(text.replacen("lifeboat.journal/1", "lifeboat.journal/9", 1), &["lifeboat.journal/9"]);
    assert_eq!(answer(&play, &["roll", "verify", "--file", "nowhere"]).0, 6);
}

#[test]
fn a_chain_that_holds_but_tells_the_impossible_is_refused_too() {
    use lifeboat_model::Sha256Hex;
    let play = rolled();
    let text = play.done(&["roll", "export"]);
    let lines: Vec<&str> = text.lines().collect();
    let hash = |value: &Value| value["hash"].as_str().unwrap().parse::<Sha256Hex>().unwrap();
    // A forger leaves an event out, or writes another, and computes every hash anew.
    let forge = |change: &dyn Fn(usize, String) -> Option<String>| {
        let mut tail: Sha256Hex = Sha256Hex::of(lines[1].as_bytes());
        let mut forged = format!("{}\n{}\n", lines[0], lines[1]);
        let mut seq = 0;
        for (at, line) in lines[2..lines.len() - 1].iter().enumerate() {
            let payload = line.split_once("\"event\":").unwrap().1.strip_suffix('}').unwrap().to_owned();
            let Some(payload) = change(at + 1, payload) else { continue };
            seq += 1;
            let payload = payload.replacen(&format!("\"seq\":{},", at + 1), &format!("\"seq\":{seq},"), 1);
            let next = Sha256Hex::of(&[&tail.0[..], payload.as_bytes()].concat());
            forged.push_str(&format!("{{\"prev\":\"{tail}\",\"hash\":\"{next}\",\"event\":{payload}}}\n"));
            tail = next;
        }
        let sum = Sha256Hex::of(forged.as_bytes());
        forged.push_str(&format!("{{\"tail\":{seq},\"hash\":\"{tail}\",\"sha256\":\"{sum}\"}}\n"));
        let path = play.dir.path().join("forged.jsonl");
        std::fs::write(&path, forged).unwrap();
        answer(&play, &["roll", "verify", "--file", path.to_str().unwrap()])
    };
    let first: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(
        forge(&|_, payload| Some(payload)).0,
        0,
        "the forgery of nothing is the same file: {}",
        hash(&first)
    );
    let drained = lines.iter().position(|line| line.contains("\"drained\"")).unwrap() - 1;
    let (code, _, err) = forge(&|at, payload| (at != drained).then_some(payload));
    assert!(code == 10 && err.contains("cannot follow") && err.contains("cannot go from"), "{code}: {err}");
    let (code, _, err) = forge(&|at, payload| {
        Some(if at == 20 { payload.replacen("\"fence\":1", "\"fence\":0", 1) } else { payload })
    });
    assert!(code == 10 && err.contains("event 20") && err.contains("fencing number 0"), "{code}: {err}");
    // A newer program wrote it: that is said, and what to do.
    let (code, _, err) = forge(&|at, payload| {
        Some(if at == 20 { payload.replacen("\"schema\":1", "\"schema\":3", 1) } else { payload })
    });
    assert!(code == 10 && err.contains("form 3") && err.contains("use a newer lifeboat"), "{code}: {err}");
}

#[test]
fn a_roll_that_uses_nothing_new_is_written_so_that_the_first_lifeboat_reads_it() {
    let play = rolled();
    let log = play.done(&["roll", "export"]);
    for line in log.lines().skip(2).filter(|line| line.starts_with("{\"prev\"")) {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["event"]["schema"], 1, "{line}");
    }
}

#[test]
fn a_damaged_journal_is_named_salvaged_and_its_pool_goes_on_with_every_feature_as_it_was() {
    let damages: [(&str, &[&str]); 5] = [
        (
            "a flipped byte in a payload",
            &["UPDATE event SET payload = replace(payload, 'h01', 'h02') WHERE seq = 9"],
        ),
        ("a row is gone", &["DELETE FROM event WHERE seq = 12"]),
        ("the end is gone", &["DELETE FROM event WHERE seq > 20"]),
        (
            "two rows are swapped",
            &[
                "UPDATE event SET seq = 999 WHERE seq = 10",
                "UPDATE event SET seq = 10 WHERE seq = 11",
                "UPDATE event SET seq = 11 WHERE seq = 999",
            ],
        ),
        ("the plan is damaged", &["UPDATE roll SET plan = replace(plan, '\"wave\":1', '\"wave\":7')"]),
    ];
    for (what, statements) in damages {
        let play = interrupted(24);
        sql(&play, statements);
        let (code, _, err) = answer(&play, &["roll", "verify"]);
        assert_eq!(code, 10, "{what}: {err}");
        assert!(err.contains("roll recover"), "{what}: {err}");
        let dry = play.done(&["roll", "recover", "--dry-run"]);
        assert!(
            dry.contains("ha-admission-control") && dry.contains("\"reserve 25 %\" (proved"),
            "{what}: {dry}"
        );
        assert_eq!(pool(&play).0, ["ha-admission-control=off", "power-management=off"], "{what}: dry is dry");
        let told = play.done(&["roll", "recover", "--yes"]);
        assert!(told.contains("--adopt roll-"), "{what}: {told}");
        assert!(pool(&play).1.is_empty(), "{what}: a host is still in maintenance\n{told}");
        let copies = std::fs::read_dir(play.dir.path()).unwrap();
        let copies: Vec<PathBuf> = copies
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(".damaged-"))
            .collect();
        assert!(!copies.is_empty(), "{what}");
        // The recovery left the features to a new roll; here they are restored at once.
        let again = play.done(&["roll", "recover", "--restore", "--yes"]);
        assert!(again.contains("restored: "), "{what}: {again}");
        assert_eq!(pool(&play).0, ORIGINAL, "{what}");
        let plan = play.plan("2.0.lfb");
        play.done(&["roll", "start", &plan, "-o", "jsonl"]);
        assert_eq!(pool(&play), (ORIGINAL.map(str::to_owned).to_vec(), Vec::new()), "{what}");
        assert_eq!(json(&play, &["roll", "verify"])["state"], "completed", "{what}");
    }
}

#[test]
fn a_new_roll_adopts_what_the_lost_one_switched_off_and_restores_it_at_its_end() {
    let play = interrupted(24);
    sql(&play, &["DELETE FROM event WHERE seq = 12"]);
    let told = play.done(&["roll", "recover", "--yes"]);
    let old = told.split("--adopt ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(pool(&play).0, ["ha-admission-control=off", "power-management=off"]);
    let plan = play.plan("2.0.lfb");
    play.done(&["roll", "start", &plan, "--adopt", &old, "-o", "jsonl"]);
    assert_eq!(pool(&play), (ORIGINAL.map(str::to_owned).to_vec(), Vec::new()));
    let log = play.done(&["roll", "log", "--kind", "suspension-adopted", "-o", "jsonl"]);
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(log.contains("reserve 25 %") && log.contains(&old));
    let report = json(&play, &["roll", "report"]);
    assert!(
        report["features"]
            .as_array()
            .unwrap()
            .iter()
            .all(|f| f["adopted_from"] == *old && f["restored"].is_u64())
    );
}

#[test]
fn a_value_that_is_only_hearsay_is_not_restored_until_a_person_names_it() {
    let play = interrupted(24);
    sql(&play, &["UPDATE event SET payload = replace(payload, 'reserve 25', 'reserve 55') WHERE seq = 3"]);
    let (code, out, err) = answer(&play, &["roll", "recover", "--restore", "--yes"]);
    assert_eq!(code, 5, "{out}{err}");
    assert!(out.contains("hearsay says \"reserve 55 %\""), "{out}");
    assert!(err.contains("ha-admission-control") && err.contains("--value"), "{err}");
    assert_eq!(pool(&play).0, ["ha-admission-control=off", "power-management=automatic"]);
    let (code, _, err) = answer(&play, &["roll", "recover", "--value", "cats=on", "--yes"]);
    assert!(code == 2 && err.contains("is no feature"), "{err}");
    let value = "ha-admission-control=reserve 25 %";
    play.done(&["roll", "recover", "--restore", "--value", value, "--yes"]);
    assert_eq!(pool(&play).0, ORIGINAL);
}

#[test]
fn a_roll_whose_journal_is_whole_is_not_recovered() {
    let play = interrupted(24);
    let (code, _, err) = answer(&play, &["roll", "recover", "--yes"]);
    assert!(code == 7 && err.contains("is whole") && err.contains("roll resume"), "{code}: {err}");
    play.done(&["roll", "resume", "-o", "jsonl"]);
    assert_eq!(answer(&play, &["roll", "recover", "--yes"]).0, 7);
    // What was given up without its journal is taken up from the world all the same.
    let play = interrupted(24);
    play.done(&["roll", "abort", "--give-up"]);
    play.done(&["roll", "recover", "--restore", "--yes"]);
    assert_eq!(pool(&play), (ORIGINAL.map(str::to_owned).to_vec(), Vec::new()));
}
