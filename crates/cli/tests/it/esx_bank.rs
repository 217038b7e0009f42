//! Banks of ESXi hosts: found damage, changes and their undo, over images that `bank practice` makes.

use std::collections::BTreeSet;

use super::common::{Answer, Scratch};

/// A kind of damage, how `check` ends, its verdict, the bank that boots next, and the codes of its findings.
type Row = (&'static str, i32, &'static str, &'static str, &'static [&'static str]);

/// All of `practice --list` but `empty-module`, which has a test of its own.
const DAMAGES: [Row; 9] = [
    ("foreign", 3, "in the way", "A", &["esx-file-foreign"]),
    ("ghost", 3, "damaged", "A", &["fat-dir-ghost", "fat-entry-neither"]),
    ("module", 3, "damaged", "A", &["esx-module-damaged"]),
    ("crosslink", 3, "damaged", "A", &["fat-cross-link", "fat-lost"]),
    ("loop", 3, "damaged", "A", &["esx-module-damaged", "fat-chain-loop", "fat-lost"]),
    (
        "fat",
        3,
        "damaged",
        "A",
        &[
            "esx-module-damaged",
            "esx-state-damaged",
            "fat-chain-free",
            "fat-chain-range",
            "fat-copies-differ",
            "fat-lost",
            "fat-reserved-entries",
        ],
    ),
    ("dirty", 3, "in the way", "A", &["fat-dirty-table"]),
    ("active", 3, "damaged", "A", &["esx-module-damaged", "esx-next-damaged"]),
    ("half-upgraded", 0, "look at it", "B", &["esx-upgrade-waits"]),
];

/// An image `s.img` with these damages, in a scratch folder.
pub(crate) fn stick(damages: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    make(&scratch, "s.img", damages, &[]);
    scratch
}

pub(crate) fn make(scratch: &Scratch, image: &str, damages: &[&str], more: &[&str]) {
    let mut words = vec!["bank", "practice", image];
    for damage in damages {
        words.extend(["--damage", damage]);
    }
    words.extend(more);
    scratch.run(&words).done();
}

pub(crate) fn bank(scratch: &Scratch, words: &[&str]) -> Answer {
    scratch.run(&[["bank"].as_slice(), words].concat())
}

pub(crate) fn yes(scratch: &Scratch, words: &[&str]) -> Answer {
    bank(scratch, &[words, &["--yes"]].concat())
}

pub(crate) fn codes(check: &serde_json::Value) -> BTreeSet<&str> {
    check["report"]["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

pub(crate) fn next(scratch: &Scratch) -> String {
    bank(scratch, &["check", "s.img", "--quick", "-o", "json"]).json()["next"].as_str().unwrap().to_owned()
}

/// Undo files of the state directory.
pub(crate) fn undo_files(scratch: &Scratch) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(scratch.path("state/undo")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".lfundo")).collect()
}

#[test]
fn every_damage_is_found_by_its_codes_and_looking_writes_nothing() {
    let listed = Scratch::new().run(&["bank", "practice", "--list", "-o", "json"]).json();
    assert_eq!(listed["schema"], "lifeboat.damages-list/1");
    let listed: BTreeSet<&str> =
        listed["items"].as_array().unwrap().iter().map(|item| item["damage"].as_str().unwrap()).collect();
    let tested = DAMAGES.iter().map(|row| row.0).chain(["empty-module"]).collect();
    assert_eq!(listed, tested);

    for (damage, code, verdict, next, expected) in DAMAGES {
        let scratch = stick(&[damage]);
        let before = scratch.files();
        let answer = bank(&scratch, &["check", "s.img", "-o", "json"]);
        assert_eq!(answer.code, code, "{damage}: {answer:#?}");
        let check = answer.json();
        assert_eq!(
            (check["schema"].as_str(), check["kind"].as_str()),
            (Some("lifeboat.bank-check/1"), Some("esxi"))
        );
        assert_eq!(
            (check["verdict"].as_str(), check["next"].as_str()),
            (Some(verdict), Some(next)),
            "{damage}"
        );
        assert_eq!(codes(&check), expected.iter().copied().collect(), "{damage}");
        let people = bank(&scratch, &["check", "s.img", "-v"]);
        assert_eq!(people.code, code, "{damage}");
        for code in expected {
            assert!(people.out.contains(&format!("[{code}]")), "{damage}: {code} is not told: {people:#?}");
        }
        assert!(people.out.trim_end().ends_with(verdict), "{people:#?}");
        bank(&scratch, &["show", "s.img"]).done();
        assert_eq!(scratch.files(), before, "{damage}: looking wrote");
    }
}

#[test]
fn a_sound_stick_is_good_in_every_layout() {
    for layout in ["4", "5", "6", "7", "8"] {
        let scratch = Scratch::new();
        make(&scratch, "s.img", &[], &["--layout", layout]);
        let check = bank(&scratch, &["check", "s.img", "-o", "json"]);
        let check = check.done().json();
        assert_eq!(check["verdict"], "good", "{layout}: {check:#}");
        assert_eq!(check["next"], "A", "{layout}");
        let shown = bank(&scratch, &["show", "s.img"]);
        assert!(shown.done().out.contains("boots next: bank A"), "{layout}: {shown:#?}");
    }
}

#[test]
fn quick_reads_no_module_and_space_and_digests_are_held_against_the_banks() {
    let scratch = stick(&["module"]);
    bank(&scratch, &["check", "s.img", "--quick"]).done();
    let scratch = stick(&[]);
    bank(&scratch, &["check", "s.img", "--space", "1M"]).done();
    let check = bank(&scratch, &["check", "s.img", "--space", "350M", "-o", "json"]);
    assert_eq!((check.code, check.json()["verdict"].as_str()), (3, Some("in the way")), "{check:#?}");
    scratch.write("sums", format!("{}  vim.v00\n", "00".repeat(32)));
    let check = bank(&scratch, &["check", "s.img", "--digests", "sums", "-o", "json"]);
    assert_eq!((check.code, check.json()["verdict"].as_str()), (3, Some("in the way")), "{check:#?}");
    scratch.write("bad", format!("{}  vim.v00\nhello\n", "00".repeat(32)));
    bank(&scratch, &["check", "s.img", "--digests", "bad"]).refused(1, &["bad:2", "sha256sum"]);
}

/// Changes: damages of the image, words of the command. Each is possible, and writes.
const CHANGES: [(&[&str], &[&str]); 16] = [
    (&["foreign"], &["clean", "s.img", "--bank", "B"]),
    (&["foreign"], &["clean", "s.img", "--bank", "a"]),
    (&["foreign"], &["clean", "s.img"]),
    (&["dirty"], &["clean", "s.img"]),
    (&["ghost"], &["rebuild", "s.img", "B", "--from", "A"]),
    (&["module"], &["rebuild", "s.img", "b", "--from", "a", "--fall-back"]),
    (&["crosslink"], &["rebuild", "s.img", "B", "--from", "A", "--state-of", "A"]),
    (&["loop"], &["rebuild", "s.img", "B", "--from", "A"]),
    (&["fat"], &["rebuild", "s.img", "B", "--from", "A"]),
    (&["active"], &["rebuild", "s.img", "A", "--from", "B"]),
    (&["ghost", "module", "fat"], &["rebuild", "s.img", "B", "--from", "A"]),
    (&[], &["set-next", "s.img", "B"]),
    (&[], &["set-next", "s.img", "b", "--trial"]),
    (&[], &["set-next", "s.img", "B", "--other-invalid"]),
    (&["half-upgraded"], &["set-next", "s.img", "A"]),
    (&["module"], &["set-next", "s.img", "B", "--even-damaged"]),
];

#[test]
fn a_rehearsal_and_a_change_without_a_yes_write_not_one_byte() {
    for (damages, words) in CHANGES {
        let scratch = stick(damages);
        let before = scratch.files();
        let dry = bank(&scratch, &[words, &["--dry-run", "-o", "json"]].concat());
        let dry = dry.done().json();
        assert_eq!(dry["schema"], "lifeboat.bank-change/1");
        for change in dry["changes"].as_array().unwrap() {
            assert_eq!(change["dry_run"], true);
            assert!(!change["steps"].as_array().unwrap().is_empty(), "{words:?}: {dry:#}");
        }
        assert_eq!(scratch.files(), before, "{words:?}: the rehearsal wrote");
        bank(&scratch, words).refused(2, &["this needs a yes", "s.img"]);
        assert_eq!(scratch.files(), before, "{words:?}: written without a yes");
    }
}

#[test]
fn every_change_does_what_it_says_and_its_undo_restores_every_byte() {
    for (damages, words) in CHANGES {
        let scratch = stick(damages);
        let before = scratch.read("s.img");
        let done = bank(&scratch, &[words, &["--yes", "-o", "json"]].concat());
        let done = done.done().json();
        let changes = done["changes"].as_array().unwrap();
        assert!(!changes.is_empty(), "{words:?}");
        assert!(scratch.read("s.img") != before, "{words:?} wrote nothing");
        match (words[0], words.contains(&"--bank"), words.contains(&"--even-damaged")) {
            // What one bank lost, the other still has.
            ("clean", true, _) => assert_eq!(bank(&scratch, &["check", "s.img"]).code, 3),
            ("set-next", _, true) => assert_eq!(next(&scratch), "B"),
            _ => {
                bank(&scratch, &["check", "s.img"]).done();
            }
        }
        if words[0] == "set-next" {
            assert_eq!(next(&scratch), words[2].to_ascii_uppercase(), "{words:?}");
        }
        for change in changes.iter().rev() {
            let undo = change["undo"].as_str().unwrap();
            let undone = yes(&scratch, &["undo", "s.img", undo, "-o", "json"]);
            assert_eq!(undone.done().json()["schema"], "lifeboat.bank-undo/1");
            assert!(scratch.path(undo).is_file(), "the undo file is kept");
        }
        assert!(scratch.read("s.img") == before, "{words:?}: the undo left something else");
        // Once more is harmless.
        let undo = changes[0]["undo"].as_str().unwrap();
        yes(&scratch, &["undo", "s.img", undo]).done();
        assert!(scratch.read("s.img") == before, "{words:?}: undone twice");
    }
}

#[test]
fn undo_without_a_file_takes_the_newest_change_of_the_disk_that_is_there() {
    let scratch = stick(&[]);
    make(&scratch, "old.img", &[], &["--layout", "4"]);
    let first = scratch.read("s.img");
    yes(&scratch, &["set-next", "s.img", "B"]).done();
    // The change was made long ago.
    let name = undo_files(&scratch).remove(0);
    let long_ago = scratch.path("state/undo/2020-01-01T00-00-00Z-set-next-B.lfundo");
    std::fs::rename(scratch.path("state/undo").join(name), long_ago).unwrap();
    let second = scratch.read("s.img");
    yes(&scratch, &["set-next", "s.img", "A"]).done();
    scratch.write("state/undo/9999-damaged.lfundo", "hello");

    let listed = bank(&scratch, &["undo", "--list", "-o", "json"]).json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(items.iter().filter(|item| item["problem"].is_string()).count(), 1, "{listed:#}");
    bank(&scratch, &["undo", "old.img", "--yes"]).refused(6, &["old.img", "nothing"]);

    let after = scratch.files();
    bank(&scratch, &["undo", "s.img", "--dry-run"]).done();
    bank(&scratch, &["undo", "s.img"]).refused(2, &["this needs a yes"]);
    assert_eq!(scratch.files(), after, "written without a yes");
    yes(&scratch, &["undo", "s.img"]).done();
    assert!(scratch.read("s.img") == second, "the newest change is taken back first");
    yes(&scratch, &["undo", "s.img"]).done();
    assert!(scratch.read("s.img") == first, "then the one before it");
    yes(&scratch, &["undo", "s.img"]).refused(6, &["s.img", "nothing"]);
    assert!(scratch.read("s.img") == first);
}

#[test]
fn undo_without_a_file_takes_the_newest_of_two_changes_within_one_second() {
    let scratch = stick(&[]);
    yes(&scratch, &["set-next", "s.img", "B"]).done();
    let second = scratch.read("s.img");
    yes(&scratch, &["set-next", "s.img", "A"]).done();
    yes(&scratch, &["undo", "s.img"]).done();
    assert!(scratch.read("s.img") == second);
}

#[test]
fn an_undo_file_of_another_disk_or_a_damaged_one_is_refused() {
    let scratch = stick(&[]);
    make(&scratch, "old.img", &[], &["--layout", "4"]);
    yes(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo"]).done();
    scratch.run(&["bank", "init", "ours.img", "--size", "48M"]).done();
    let undo = scratch.read("my.undo");
    let half = undo.len() / 2;
    scratch.write("cut.undo", &undo[..half]);
    let mut altered = undo.clone();
    altered[half] ^= 1;
    scratch.write("altered.undo", altered);
    scratch.write("text", "hello");
    let before = scratch.files();
    for disk in ["old.img", "ours.img"] {
        yes(&scratch, &["undo", disk, "my.undo"]).refused(7, &["my.undo", "disk"]);
        yes(&scratch, &["undo", disk, "my.undo", "--force"]).refused(7, &["my.undo", "disk"]);
    }
    yes(&scratch, &["undo", "s.img", "cut.undo"]).refused(10, &["cut.undo"]);
    yes(&scratch, &["undo", "s.img", "altered.undo"]).refused(10, &["altered.undo"]);
    yes(&scratch, &["undo", "s.img", "text"]).refused(2, &["no undo file"]);
    yes(&scratch, &["undo", "s.img", "none"]).refused(6, &["none"]);
    assert_eq!(scratch.files(), before, "something was written");
}

#[test]
fn what_somebody_changed_since_is_not_overwritten_without_force() {
    let scratch = stick(&[]);
    let before = scratch.read("s.img");
    yes(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo"]).done();
    let mut image = scratch.read("s.img");
    let at = image.iter().zip(&before).position(|(one, other)| one != other).unwrap();
    image[at] = !(image[at] | before[at]);
    scratch.write("s.img", &image);
    yes(&scratch, &["undo", "s.img", "my.undo"]).refused(7, &["since", "nothing was written"]);
    assert!(scratch.read("s.img") == image, "written all the same");
    yes(&scratch, &["undo", "s.img", "my.undo", "--force"]).done();
    assert!(scratch.read("s.img") == before);
}

#[test]
fn an_undo_file_that_is_there_is_never_overwritten() {
    let scratch = stick(&[]);
    scratch.write("my.undo", "precious");
    let before = scratch.files();
    yes(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo"])
        .refused(7, &["my.undo", "is there already"]);
    assert_eq!(scratch.files(), before, "something was written");
}

#[test]
fn removed_files_are_kept_as_copies() {
    let scratch = stick(&["foreign"]);
    let words = ["clean", "s.img", "--bank", "B", "--undo", "my.undo", "--keep", "kept", "-o", "json"];
    let done = yes(&scratch, &words).json();
    let kept = done["changes"][0]["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 6);
    for copy in kept {
        assert!(scratch.path(copy.as_str().unwrap()).starts_with(scratch.path("kept")));
        assert!(scratch.path(copy.as_str().unwrap()).is_file());
    }
}

#[test]
fn copies_of_both_banks_are_kept_in_one_folder() {
    let scratch = stick(&["foreign"]);
    yes(&scratch, &["clean", "s.img", "--keep", "kept"]).done();
    assert_eq!(std::fs::read_dir(scratch.path("kept")).unwrap().count(), 12);
}

#[test]
fn one_undo_file_for_two_banks_is_refused_before_a_byte_is_written_or_serves_both() {
    let scratch = stick(&["foreign"]);
    let before = scratch.read("s.img");
    let answer = yes(&scratch, &["clean", "s.img", "--undo", "my.undo"]);
    if answer.code == 0 {
        yes(&scratch, &["undo", "s.img", "my.undo"]).done();
    }
    assert!(scratch.read("s.img") == before, "{answer:#?}");
}

#[test]
fn foreign_files_and_a_dirty_bit_of_one_bank_are_cleaned_in_one_go() {
    let scratch = stick(&["foreign", "dirty"]);
    yes(&scratch, &["clean", "s.img"]).done();
    bank(&scratch, &["check", "s.img"]).done();
}

#[test]
fn an_empty_module_is_found() {
    let scratch = stick(&["empty-module"]);
    let check = bank(&scratch, &["check", "s.img", "-o", "json"]);
    assert_eq!(check.code, 3, "{check:#?}");
    assert!(!codes(&check.json()).is_empty());
}

#[test]
fn two_practice_images_are_two_disks() {
    let scratch = stick(&[]);
    make(&scratch, "t.img", &["module"], &[]);
    yes(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo"]).done();
    yes(&scratch, &["undo", "t.img", "my.undo"]).refused(7, &["my.undo"]);
}
