//! Disks and banks.

use super::common::Scratch;

fn with_disk() -> Scratch {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    scratch.release(2);
    scratch.run(&["bank", "init", "d.img", "--size", "48M"]).done();
    scratch
}

fn install(scratch: &Scratch, bundle: &str, extra: &[&str]) -> super::common::Answer {
    let words = ["bank", "install", "d.img", bundle, "--trust", "k.pub"];
    scratch.run(&[words.as_slice(), extra].concat())
}

#[test]
fn a_disk_goes_from_nothing_to_a_trial_of_the_second_release() {
    let scratch = with_disk();
    let show = |extra: &[&str]| {
        scratch.run(&[["bank", "show", "d.img", "-o", "json"].as_slice(), extra].concat()).json()
    };
    let empty = show(&[]);
    assert_eq!(empty["schema"], "lifeboat.banks/1");
    assert_eq!(empty["report"]["banks"][0]["state"], "empty");

    let first = install(&scratch, "r1.lfb", &["-o", "json"]).json();
    assert_eq!((first["bank"].as_str(), first["state"].as_str()), (Some("A"), Some("good")));
    let second = install(&scratch, "r2.lfb", &["-o", "json"]).json();
    assert_eq!((second["bank"].as_str(), second["state"].as_str()), (Some("B"), Some("upgraded")));
    assert_eq!(second["active"], "A");
    let line = second["kernel_line"].as_str().unwrap();
    assert!(line.starts_with("lifeboat.bank=B root=PARTUUID="), "{line}");

    let banks = show(&[]);
    assert_eq!(banks["active"], "A");
    assert_eq!(banks["next"]["bank"], "A");
    scratch.write("v.json", "{}");
    let activate = ["bank", "activate", "d.img", "--bank", "B", "--vars", "v.json"];
    let before = scratch.files();
    scratch.run(&[activate.as_slice(), &["--dry-run"]].concat()).done();
    assert_eq!(scratch.files(), before, "--dry-run wrote");
    scratch.run(&activate).done();
    let banks = show(&["--vars", "v.json"]);
    assert_eq!((banks["next"]["bank"].as_str(), banks["next"]["once"].as_bool()), (Some("B"), Some(true)));
    assert_eq!(banks["report"]["banks"][1]["state"], "trying");
    let people = scratch.run(&["bank", "show", "d.img", "--vars", "v.json"]);
    assert!(people.done().out.contains("boots next: bank B, once"), "{people:#?}");
    // The bank on trial may be all there is: nothing is written over the way back.
    install(&scratch, "r2.lfb", &["--vars", "v.json"]).refused(3, &["bank A is not written"]);
}

#[test]
fn a_bad_release_is_refused_before_a_byte_is_written() {
    let scratch = with_disk();
    install(&scratch, "r2.lfb", &[]).done();
    scratch.key("other");
    let good = scratch.read("r2.lfb");
    scratch.write("cut.lfb", &good[..good.len() - 1000]);
    let mut altered = good.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    scratch.write("altered.lfb", altered);
    let before = scratch.files();
    install(&scratch, "cut.lfb", &[]).refused(10, &["cut.lfb", "the bundle is cut"]);
    install(&scratch, "altered.lfb", &[]).refused(10, &["altered.lfb", "altered or damaged"]);
    install(&scratch, "r1.lfb", &[]).refused(10, &["serial 1"]);
    let other = scratch.run(&["bank", "install", "d.img", "r2.lfb", "--trust", "other.pub"]);
    other.refused(10, &["no signature"]);
    install(&scratch, "r2.lfb", &["--bank", "A"])
        .refused(7, &["bank A is not written: it is the active bank"]);
    install(&scratch, "none.lfb", &[]).refused(6, &["none.lfb"]);
    install(&scratch, "r2.lfb", &["--dry-run"]).done();
    assert_eq!(scratch.files(), before, "something was written");
}

#[test]
fn a_bank_that_holds_something_is_not_replaced_without_a_yes() {
    let scratch = with_disk();
    install(&scratch, "r1.lfb", &[]).done();
    install(&scratch, "r2.lfb", &[]).done();
    let before = scratch.read("d.img");
    install(&scratch, "r2.lfb", &[]).refused(2, &["this needs a yes", "bank B"]);
    assert!(scratch.read("d.img") == before, "the disk was written");
    install(&scratch, "r2.lfb", &["--yes"]).done();
}

#[test]
fn a_disk_with_other_content_is_not_touched_without_force() {
    let scratch = Scratch::new();
    let mut foreign = vec![0_u8; 48 << 20];
    foreign[1080..1082].copy_from_slice(&[0x53, 0xef]);
    scratch.write("data.img", &foreign);
    scratch.run(&["bank", "init", "data.img"]).refused(7, &["data.img", "ext2, ext3 or ext4"]);
    scratch.run(&["bank", "init", "data.img", "--force"]).refused(2, &["this needs a yes", "ext4"]);
    scratch.run(&["bank", "init", "data.img", "--force", "--dry-run"]).done();
    assert!(scratch.read("data.img") == foreign, "the disk was written");
    scratch.run(&["bank", "init", "data.img", "--force", "--yes"]).done();
    scratch.run(&["bank", "init", "data.img"]).refused(7, &["the banks of a Lifeboat disk"]);
    scratch.run(&["bank", "init", "data.img", "--size", "48M"]).refused(7, &["is there already"]);
}

#[test]
fn wrong_disks_are_named_and_left_alone() {
    let scratch = Scratch::new();
    scratch.write("text", "hello");
    std::fs::create_dir(scratch.path("folder")).unwrap();
    scratch.run(&["bank", "show", "none.img"]).refused(6, &["none.img"]);
    scratch.run(&["bank", "show", "text"]).refused(1, &["text", "partition table"]);
    assert_eq!(scratch.run(&["bank", "show", "folder"]).code, 1);
    scratch.run(&["bank", "init", "none.img"]).refused(6, &["none.img", "--size"]);
    scratch.run(&["bank", "init", "small.img", "--size", "8M"]).refused(2, &["too small"]);
    scratch.run(&["bank", "init", "odd.img", "--size", "64M", "--boot-size", "1000"]).refused(2, &["1 MiB"]);
    assert_eq!(scratch.files().len(), 1, "a file was made");
}

#[test]
fn a_one_shot_boot_needs_an_installed_bank_and_a_place_for_variables() {
    let scratch = with_disk();
    install(&scratch, "r1.lfb", &[]).done();
    scratch.run(&["bank", "activate", "d.img", "--bank", "B"]).refused(2, &["keeps its variables"]);
    scratch.write("d.img.vars.json", "{}");
    scratch.write("bad.json", "{\"x\": 1}");
    scratch.write("bad.fd", vec![0_u8; 4096]);
    let before = scratch.files();
    scratch.run(&["bank", "activate", "d.img", "--bank", "B"]).refused(3, &["its state is empty"]);
    scratch.run(&["bank", "activate", "d.img", "--bank", "A"]).refused(3, &["its state is good"]);
    for vars in ["bad.json", "bad.fd"] {
        let words = ["bank", "activate", "d.img", "--bank", "B", "--vars", vars];
        scratch.run(&words).refused(1, &[vars, "no firmware variables"]);
    }
    scratch.run(&["bank", "show", "d.img", "--vars", "none.fd"]).refused(6, &["none.fd"]);
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_damaged_bank_record_is_a_finding_and_both_copies_lost_are_rebuilt() {
    let scratch = with_disk();
    install(&scratch, "r1.lfb", &[]).done();
    let mut disk = scratch.read("d.img");
    let marks: Vec<usize> =
        disk.windows(8).enumerate().filter(|(_, w)| *w == b"LFBTREC1").map(|(at, _)| at).collect();
    assert_eq!(marks.len(), 2, "the record is there twice");
    disk[marks[0] + 100] ^= 1;
    scratch.write("d.img", &disk);
    assert!(scratch.run(&["bank", "show", "d.img"]).done().out.contains("record-copy-bad"));
    disk[marks[1] + 100] ^= 1;
    scratch.write("d.img", &disk);
    let shown = scratch.run(&["bank", "show", "d.img"]);
    assert!(shown.done().out.contains("record-lost"), "{shown:#?}");
    assert!(shown.out.contains("box 1.0"), "{shown:#?}");
}

#[test]
fn the_variables_of_an_ovmf_image_are_read_and_changed() {
    let image = ["/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd"];
    let Some(image) = image.into_iter().map(std::path::Path::new).find(|path| path.is_file()) else {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "no OVMF variable image: install ovmf");
        println!("skipped: no OVMF variable image (package ovmf)");
        return;
    };
    let scratch = with_disk();
    std::fs::copy(image, scratch.path("d.vars.fd")).unwrap();
    install(&scratch, "r1.lfb", &[]).done();
    install(&scratch, "r2.lfb", &["--active", "A"]).done();
    // Found beside the disk, without --vars.
    let done = scratch.run(&["bank", "activate", "d.img", "--bank", "B", "-o", "json"]).json();
    assert_eq!(done["vars"], "d.vars.fd");
    let shown = scratch.run(&["bank", "show", "d.img", "-o", "json"]).json();
    assert_eq!((shown["next"]["bank"].as_str(), shown["next"]["once"].as_bool()), (Some("B"), Some(true)));
    assert_eq!(scratch.read("d.vars.fd").len() as u64, image.metadata().unwrap().len());
}

#[test]
fn a_disk_that_another_program_writes_is_refused() {
    let scratch = with_disk();
    let file = std::fs::File::open(scratch.path("d.img")).unwrap();
    file.lock().unwrap();
    install(&scratch, "r1.lfb", &[]).refused(7, &["d.img", "lock"]);
    scratch.run(&["bank", "init", "d.img", "--force", "--yes"]).refused(7, &["d.img"]);
}
