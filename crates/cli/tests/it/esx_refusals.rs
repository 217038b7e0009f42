//! Banks of ESXi hosts: what is refused, with what to do instead, and saved states.

use std::collections::BTreeSet;

use lifeboat_depot::build::{TarEntry, TarForm, gzip, tar};

use super::common::Scratch;
use super::esx_bank::{bank, codes, next, stick, yes};

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
