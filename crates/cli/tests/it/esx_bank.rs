//! Banks of ESXi hosts: found damage, changes and their undo, over images that `bank practice` makes.

use std::collections::BTreeSet;

use lifeboat_depot::build::{TarEntry, TarForm, gzip, tar};

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
fn stick(damages: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    make(&scratch, "s.img", damages, &[]);
    scratch
}

fn make(scratch: &Scratch, image: &str, damages: &[&str], more: &[&str]) {
    let mut words = vec!["bank", "practice", image];
    for damage in damages {
        words.extend(["--damage", damage]);
    }
    words.extend(more);
    scratch.run(&words).done();
}

fn bank(scratch: &Scratch, words: &[&str]) -> Answer {
    scratch.run(&[["bank"].as_slice(), words].concat())
}

fn yes(scratch: &Scratch, words: &[&str]) -> Answer {
    bank(scratch, &[words, &["--yes"]].concat())
}

fn codes(check: &serde_json::Value) -> BTreeSet<&str> {
    check["report"]["findings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

fn next(scratch: &Scratch) -> String {
    bank(scratch, &["check", "s.img", "--quick", "-o", "json"]).json()["next"].as_str().unwrap().to_owned()
}

/// Undo files of the state directory.
fn undo_files(scratch: &Scratch) -> Vec<String> {
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

#[test]
fn a_bank_is_not_rebuilt_from_a_damaged_one() {
    // The last is copied onto itself.
    let cases = [
        ("active", "B", "A"),
        ("module", "A", "B"),
        ("loop", "A", "B"),
        ("fat", "A", "B"),
        ("dirty", "A", "A"),
    ];
    for (damage, to, from) in cases {
        let scratch = stick(&[damage]);
        let before = scratch.files();
        for mode in ["--yes", "--dry-run"] {
            bank(&scratch, &["rebuild", "s.img", to, "--from", from, mode]).refused(3, &["refused", "bank"]);
        }
        assert_eq!(scratch.files(), before, "{damage}: something was written");
    }
}

#[test]
fn a_bank_with_files_that_share_clusters_is_neither_copied_nor_chosen() {
    let scratch = stick(&["crosslink"]);
    let before = scratch.files();
    yes(&scratch, &["rebuild", "s.img", "A", "--from", "B"]).refused(3, &["refused", "bank B"]);
    yes(&scratch, &["set-next", "s.img", "B"]).refused(3, &["s.img", "bank B"]);
    assert_eq!(scratch.files(), before, "something was written");
}

#[test]
fn a_ghost_in_the_bank_that_is_copied_does_not_travel() {
    let scratch = stick(&["ghost", "foreign"]);
    yes(&scratch, &["rebuild", "s.img", "A", "--from", "B"]).done();
    let check = bank(&scratch, &["check", "s.img", "-o", "json"]).json();
    let of_a = check["report"]["findings"].as_array().unwrap().iter().filter(|one| one["bank"] == "A");
    let codes: Vec<&str> = of_a.map(|one| one["code"].as_str().unwrap()).collect();
    assert!(!codes.iter().any(|code| code.starts_with("fat-") || *code == "esx-file-foreign"), "{check:#}");
}

#[test]
fn a_damaged_bank_is_not_chosen_unless_it_is_asked_for() {
    for damage in ["module", "loop", "fat", "active"] {
        let bank_letter = if damage == "active" { "A" } else { "B" };
        let scratch = stick(&[damage]);
        if damage == "active" {
            yes(&scratch, &["set-next", "s.img", "B"]).done();
        }
        let before = scratch.files();
        yes(&scratch, &["set-next", "s.img", bank_letter]).refused(3, &["s.img", "not whole"]);
        assert_eq!(scratch.files(), before, "{damage}: something was written");
    }
    let scratch = stick(&["module"]);
    let forced = yes(&scratch, &["set-next", "s.img", "B", "--even-damaged"]);
    assert!(forced.done().out.contains("forced although"), "{forced:#?}");
    assert_eq!(next(&scratch), "B");
}

#[test]
fn choosing_the_bank_that_boots_anyway_writes_nothing() {
    let scratch = stick(&[]);
    let before = scratch.files();
    let done = yes(&scratch, &["set-next", "s.img", "A"]);
    assert!(done.done().out.contains("nothing"), "{done:#?}");
    let done = yes(&scratch, &["clean", "s.img"]);
    assert!(done.done().out.contains("nothing to change"), "{done:#?}");
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_saved_state_travels_from_one_bank_to_the_other_byte_for_byte() {
    let scratch = stick(&[]);
    let image = scratch.read("s.img");
    let exported = bank(&scratch, &["export", "s.img", "a", "a.tgz", "-o", "json"]).json();
    assert_eq!(exported["schema"], "lifeboat.esxi-state/1");
    assert_eq!((exported["file"].as_str(), exported["state"]["bank"].as_str()), (Some("a.tgz"), Some("A")));
    let state = scratch.read("a.tgz");
    assert!(!state.is_empty() && scratch.read("s.img") == image);
    let listed = bank(&scratch, &["export", "s.img", "A", "--list"]);
    assert!(listed.done().out.contains("local.tgz"), "{listed:#?}");

    bank(&scratch, &["export", "s.img", "B", "a.tgz"]).refused(7, &["a.tgz", "is there already"]);
    assert_eq!(scratch.read("a.tgz"), state, "overwritten");
    bank(&scratch, &["export", "s.img", "B", "none.tgz", "--dry-run"]).done();
    assert!(!scratch.path("none.tgz").exists(), "a rehearsal wrote");

    bank(&scratch, &["import", "s.img", "B", "a.tgz"]).refused(2, &["this needs a yes"]);
    bank(&scratch, &["import", "s.img", "B", "a.tgz", "--dry-run"]).done();
    assert!(scratch.read("s.img") == image, "written without a yes");
    yes(&scratch, &["import", "s.img", "b", "a.tgz"]).done();
    assert!(scratch.read("s.img") != image);
    bank(&scratch, &["check", "s.img"]).done();
    bank(&scratch, &["export", "s.img", "B", "b.tgz"]).done();
    assert_eq!(scratch.read("b.tgz"), state);
    yes(&scratch, &["undo", "s.img"]).done();
    assert!(scratch.read("s.img") == image, "the undo left something else");
    bank(&scratch, &["export", "s.img", "B", "b.tgz", "--force"]).done();
}

#[test]
fn a_file_that_is_no_usable_state_is_not_imported() {
    let scratch = stick(&[]);
    bank(&scratch, &["export", "s.img", "A", "a.tgz"]).done();
    let state = scratch.read("a.tgz");
    for (name, bytes) in [
        ("empty.tgz", Vec::new()),
        ("text.tgz", b"hello, this is not a state".to_vec()),
        ("short.tgz", state[..20].to_vec()),
        ("half.tgz", state[..state.len() / 2].to_vec()),
        ("last.tgz", state[..state.len() - 1].to_vec()),
        ("plain.tgz", gzip(b"compressed, but no archive")),
        ("out.tgz", gzip(&tar(TarForm::Plain, &[TarEntry::file("../../etc/passwd", b"root")]))),
    ] {
        scratch.write(name, bytes);
        let before = scratch.files();
        yes(&scratch, &["import", "s.img", "B", name]).refused(3, &["importing a saved state", "bank B"]);
        assert_eq!(scratch.files(), before, "{name}: something was written");
    }
    yes(&scratch, &["import", "s.img", "B", "none.tgz"]).refused(6, &["none.tgz"]);
}

#[test]
fn a_bank_that_is_not_there_is_named_with_those_that_are() {
    let scratch = stick(&[]);
    scratch.write("state.tgz", "");
    let before = scratch.files();
    for name in ["C", "q", "AB", "", "5", "É"] {
        let verbs: [&[&str]; 7] = [
            &["clean", "s.img", "--bank", name],
            &["rebuild", "s.img", name, "--from", "A"],
            &["rebuild", "s.img", "B", "--from", name],
            &["rebuild", "s.img", "B", "--from", "A", "--state-of", name],
            &["set-next", "s.img", name],
            &["export", "s.img", name, "out.tgz"],
            &["import", "s.img", name, "state.tgz"],
        ];
        for words in verbs {
            yes(&scratch, words).refused(6, &["no bank", "A (partition 5)", "B (partition 6)"]);
        }
    }
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_lifeboat_disk_is_refused_by_verbs_of_esxi_banks_and_the_other_way_round() {
    let scratch = stick(&[]);
    scratch.run(&["bank", "init", "ours.img", "--size", "48M"]).done();
    scratch.key("k");
    scratch.release(1);
    let before = scratch.files();
    yes(&scratch, &["set-next", "ours.img", "A"]).refused(2, &["Lifeboat host", "lifeboat bank activate"]);
    yes(&scratch, &["clean", "ours.img"]).refused(2, &["Lifeboat host", "lifeboat bank check"]);
    yes(&scratch, &["export", "ours.img", "A", "o.tgz"]).refused(2, &["Lifeboat host", "travels"]);
    yes(&scratch, &["import", "ours.img", "A", "r1.lfb"]).refused(2, &["Lifeboat host", "travels"]);
    yes(&scratch, &["rebuild", "ours.img", "B", "--from", "A", "--fall-back"]).refused(2, &["ESXi"]);
    yes(&scratch, &["rebuild", "ours.img", "B", "--from", "A", "--state-of", "A"]).refused(2, &["ESXi"]);
    yes(&scratch, &["rebuild", "ours.img", "c", "--from", "A"]).refused(6, &["no bank", "A or B"]);
    bank(&scratch, &["install", "s.img", "r1.lfb", "--trust", "k.pub"]).refused(2, &["s.img", "ESXi host"]);
    bank(&scratch, &["activate", "s.img", "--bank", "B"]).refused(2, &["s.img", "ESXi host"]);
    bank(&scratch, &["init", "s.img"]).refused(7, &["s.img is not empty"]);
    assert_eq!(scratch.files(), before, "something was written");
}

#[test]
fn activating_an_esxi_bank_names_the_verb_for_it() {
    let scratch = stick(&[]);
    bank(&scratch, &["activate", "s.img", "--bank", "B"]).refused(2, &["ESXi", "lifeboat bank set-next"]);
}

#[test]
fn a_disk_without_banks_is_named_and_left_alone() {
    let scratch = Scratch::new();
    scratch.write("zeros.img", vec![0_u8; 4 << 20]);
    scratch.write("text", "hello");
    let before = scratch.files();
    for disk in ["zeros.img", "text"] {
        let verbs: [&[&str]; 7] = [
            &["show", disk],
            &["check", disk],
            &["clean", disk],
            &["rebuild", disk, "B", "--from", "A"],
            &["set-next", disk, "A"],
            &["export", disk, "A", "out"],
            &["import", disk, "A", "text"],
        ];
        for words in verbs {
            yes(&scratch, words).refused(1, &[disk, "no boot banks found"]);
        }
        yes(&scratch, &["undo", disk]).refused(1, &[disk]);
    }
    yes(&scratch, &["check", "none.img"]).refused(6, &["none.img"]);
    assert_eq!(scratch.files(), before);
}

#[test]
fn practice_overwrites_nothing_and_refuses_what_it_does_not_know() {
    let scratch = Scratch::new();
    scratch.write("s.img", "precious");
    let before = scratch.files();
    yes(&scratch, &["practice", "s.img"]).refused(7, &["s.img exists"]);
    yes(&scratch, &["practice", "n.img", "--damage", "flood"]).refused(2, &["flood", "half-upgraded"]);
    yes(&scratch, &["practice", "n.img", "--layout", "3"]).refused(2, &["ESXi 3"]);
    bank(&scratch, &["practice", "n.img", "--dry-run"]).done();
    assert_eq!(bank(&scratch, &["practice"]).code, 2);
    assert_eq!(scratch.files(), before);
}

#[test]
fn rehearsals_answer_in_json_when_asked() {
    let scratch = stick(&[]);
    yes(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo"]).done();
    bank(&scratch, &["undo", "s.img", "my.undo", "--dry-run", "-o", "json"]).json();
    bank(&scratch, &["practice", "n.img", "--dry-run", "-o", "json"]).json();
}

#[test]
fn a_file_beside_the_undo_file_is_left_alone() {
    let scratch = stick(&[]);
    scratch.write("my.lfundo.part", "precious");
    yes(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo"]);
    assert_eq!(scratch.read("my.lfundo.part"), b"precious");
}

#[test]
fn a_rehearsal_refuses_an_undo_file_that_cannot_be_made() {
    let scratch = stick(&[]);
    scratch.write("my.undo", "precious");
    bank(&scratch, &["set-next", "s.img", "B", "--undo", "my.undo", "--dry-run"]).refused(7, &["my.undo"]);
    bank(&scratch, &["set-next", "s.img", "B", "--undo", "no/my.undo", "--dry-run"]).refused(6, &["no/my"]);
}

#[test]
fn nothing_is_written_to_an_image_that_is_cut() {
    let scratch = cut_stick();
    let before = scratch.read("s.img");
    let check = bank(&scratch, &["check", "s.img", "-o", "json"]);
    assert_eq!(check.code, 3);
    assert!(codes(&check.json()).is_superset(&BTreeSet::from(["esx-disk-cut", "esx-bank-cut"])));
    assert_ne!(yes(&scratch, &["rebuild", "s.img", "B", "--from", "A"]).code, 0);
    assert_ne!(yes(&scratch, &["set-next", "s.img", "B"]).code, 0);
    assert!(scratch.read("s.img") == before);
}

#[test]
fn changes_of_an_image_that_is_cut_are_refused_when_they_are_planned() {
    let scratch = cut_stick();
    let check = bank(&scratch, &["check", "s.img"]);
    assert!(!check.out.contains("lifeboat bank rebuild"), "{check:#?}");
    let before = scratch.files();
    for mode in ["--dry-run", "--yes"] {
        bank(&scratch, &["rebuild", "s.img", "B", "--from", "A", mode]).refused(3, &["s.img", "cut"]);
    }
    assert_eq!(scratch.files(), before);
}

/// An image that ends within bank B.
fn cut_stick() -> Scratch {
    let scratch = stick(&[]);
    let image = scratch.read("s.img");
    scratch.write("s.img", &image[..9_000_000]);
    scratch
}

#[test]
fn a_stick_that_another_program_writes_is_refused() {
    let scratch = stick(&["foreign"]);
    let file = std::fs::File::open(scratch.path("s.img")).unwrap();
    file.lock().unwrap();
    let before = scratch.files();
    for mode in ["--yes", "--dry-run"] {
        bank(&scratch, &["clean", "s.img", mode]).refused(7, &["s.img", "lock"]);
    }
    assert_eq!(scratch.files(), before);
}
