//! ESXi releases: what a depot holds, whether it is sound, and what an update from it would do.

use std::process::Command;

use lifeboat_depot::Constraint;
use lifeboat_depot::build::{
    BundleSpec, NewPayload, NewVib, TarEntry, TarForm, VibSpec, bundle, profile_xml, tar, vib,
};

use super::common::{Answer, Scratch};

fn payload(name: &str, file: &str, data: &[u8]) -> NewPayload {
    NewPayload::vgz(name, tar(TarForm::Visor, &[TarEntry::file(file, data)]))
}

/// A VIB with one payload of one file.
fn made(mut spec: VibSpec, content: &[u8]) -> NewVib {
    let file = format!("opt/{}/file", spec.name);
    spec.files = vec![file.clone()];
    vib(&spec, &[payload(&spec.name, &file, content)], b"")
}

fn simple(name: &str, version: &str) -> NewVib {
    made(VibSpec::new(name, version), format!("{name} {version}").as_bytes())
}

/// An offline bundle of these VIBs, and a profile of all of them.
fn depot(vibs: &[NewVib], profile: Option<&str>) -> Vec<u8> {
    let payloads: Vec<[(&str, &str); 1]> = vibs.iter().map(|vib| [(name_of(vib), name_of(vib))]).collect();
    let of_profile: Vec<(&str, &[(&str, &str)])> =
        vibs.iter().zip(&payloads).map(|(vib, files)| (vib.id.as_str(), files.as_slice())).collect();
    let profiles =
        profile.into_iter().map(|name| (name.to_owned(), profile_xml(name, &of_profile))).collect();
    bundle(&BundleSpec { vendor: "ACME".to_owned(), code: "acme".to_owned(), vibs: vibs.to_vec(), profiles })
}

fn name_of(vib: &NewVib) -> &str {
    vib.id.split('_').nth(2).unwrap()
}

/// What `esxcli software vib list` prints on a host with these.
fn host(vibs: &[(&str, &str)]) -> String {
    let mut text = String::from(
        "Name        Version     Vendor  Acceptance Level    Install Date\n\
         ----------  ----------  ------  ------------------  ------------\n",
    );
    for (name, version) in vibs {
        text.push_str(&format!("{name:<10}  {version:<10}  ACME    CommunitySupported  2020-01-01\n"));
    }
    text
}

fn run(scratch: &Scratch, words: &[&str]) -> Answer {
    scratch.run(&[["depot"].as_slice(), words].concat())
}

fn codes(answer: &Answer) -> Vec<String> {
    let json = answer.json();
    let findings = json["findings"].as_array().unwrap_or_else(|| panic!("no findings: {json:#}")).clone();
    findings.iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn has(answer: &Answer, code: &str) {
    assert!(codes(answer).iter().any(|one| one == code), "no {code}: {answer:#?}");
}

#[test]
fn a_bundle_a_vib_and_a_folder_are_shown() {
    let scratch = Scratch::new();
    let (one, two) = (simple("one", "1.0-1"), simple("two", "2.0-1"));
    scratch.write("d.zip", depot(&[one.clone(), two.clone()], Some("Standard")));
    scratch.write("one.vib", &one.bytes);
    scratch.write("vibs/a/one.vib", &one.bytes);
    scratch.write("vibs/two.bin", &two.bytes);
    scratch.write("vibs/readme.txt", "not a VIB");
    let before = scratch.files();
    let shown = run(&scratch, &["show", "d.zip"]);
    assert!(shown.done().out.contains("2 VIBs, 1 image profile"), "{shown:#?}");
    assert!(shown.out.contains("Standard"), "{shown:#?}");
    let shown = run(&scratch, &["show", "d.zip", "-o", "json"]).json();
    assert_eq!(shown["schema"], "lifeboat.depot/1");
    assert_eq!(shown["packages"].as_object().unwrap().len(), 2);
    assert_eq!(shown["profiles"][0]["name"], "Standard");
    let shown = run(&scratch, &["show", "one.vib"]);
    assert!(shown.done().out.contains("ACME_bootbank_one_1.0-1"), "{shown:#?}");
    let shown = run(&scratch, &["show", "vibs", "-o", "json"]).json();
    assert!(shown["packages"]["ACME_bootbank_two_2.0-1"].is_object(), "{shown:#}");
    assert_eq!(scratch.files(), before, "looking wrote");
}

#[test]
fn what_is_no_depot_is_refused_by_name() {
    let scratch = Scratch::new();
    let good = depot(&[simple("one", "1.0-1")], None);
    scratch.write("text", "hello");
    scratch.write("cut.zip", &good[..good.len() / 2]);
    let one = simple("one", "1.0-1").bytes;
    scratch.write("cut.vib", &one[..one.len() / 4]);
    scratch.write("folder/readme", "hello");
    for verb in ["show", "check"] {
        run(&scratch, &[verb, "none"]).refused(6, &["none"]);
        run(&scratch, &[verb, "text"]).refused(1, &["text", "neither an offline bundle nor a VIB"]);
        run(&scratch, &[verb, "cut.zip"]).refused(10, &["cut.zip", "refused"]);
        run(&scratch, &[verb, "cut.vib"]).refused(10, &["cut.vib", "refused"]);
        run(&scratch, &[verb, "folder"]).refused(6, &["folder", "no VIB"]);
    }
}

#[test]
fn a_sound_depot_passes_and_an_altered_payload_is_found() {
    let scratch = Scratch::new();
    let vibs = [simple("one", "1.0-1"), simple("two", "2.0-1")];
    scratch.write("d.zip", depot(&vibs, Some("Standard")));
    let checked = run(&scratch, &["check", "d.zip"]);
    assert!(checked.done().out.contains("nothing in it contradicts itself"), "{checked:#?}");
    let json = run(&scratch, &["check", "d.zip", "-o", "json"]).json();
    assert_eq!(json["schema"], "lifeboat.depot-check/1");
    assert_eq!(json["vibs"].as_array().unwrap().len(), 2);

    // One bit of the last payload's gzip, in a VIB and in a bundle.
    let mut altered = vibs[0].clone();
    let at = altered.bytes.len() - 12;
    altered.bytes[at] ^= 1;
    scratch.write("altered.vib", &altered.bytes);
    scratch.write("altered.zip", depot(&[altered, vibs[1].clone()], None));
    for file in ["altered.vib", "altered.zip"] {
        let answer = run(&scratch, &["check", file, "-o", "json"]);
        assert_eq!(answer.code, 10, "{answer:#?}");
        assert!(answer.out.contains("ACME_bootbank_one_1.0-1"), "{answer:#?}");
        run(&scratch, &["check", file]).refused(10, &[file, "must not be relied upon"]);
    }
}

#[test]
fn a_bit_flipped_anywhere_in_a_bundle_is_found() {
    let scratch = Scratch::new();
    let good = depot(&[simple("one", "1.0-1")], None);
    let vib = simple("one", "1.0-1").bytes;
    let start = good.windows(vib.len()).position(|window| window == vib).unwrap();
    for at in (start..start + vib.len()).step_by(vib.len() / 7) {
        let mut altered = good.clone();
        altered[at] ^= 4;
        scratch.write("altered.zip", altered);
        let answer = run(&scratch, &["check", "altered.zip"]);
        assert_eq!(answer.code, 10, "byte {at}: {answer:#?}");
    }
}

#[test]
fn equal_ids_with_unequal_payloads_are_refused_by_name() {
    let scratch = Scratch::new();
    let one = made(VibSpec::new("one", "1.0-1"), b"this");
    let other = made(VibSpec::new("one", "1.0-1"), b"that");
    scratch.write("vibs/a.vib", &one.bytes);
    scratch.write("vibs/b.vib", &one.bytes);
    run(&scratch, &["check", "vibs"]).done();
    scratch.write("vibs/b.vib", &other.bytes);
    let answer = run(&scratch, &["check", "vibs", "-o", "json"]);
    assert_eq!(answer.code, 10, "{answer:#?}");
    has(&answer, "same-id-other-payload");
    assert!(answer.out.contains("a.vib") && answer.out.contains("b.vib"), "{answer:#?}");
    let shown = run(&scratch, &["show", "vibs", "-o", "json"]).json();
    assert!(shown["packages"].as_object().unwrap().is_empty(), "neither is used: {shown:#}");
    scratch.write("old/a.vib", &one.bytes);
    scratch.write("new/a.vib", &other.bytes);
    let differs = run(&scratch, &["diff", "old", "new"]);
    assert!(differs.done().out.contains("OTHER PAYLOAD"), "{differs:#?}");
}

#[test]
fn two_depots_differ_by_name() {
    let scratch = Scratch::new();
    scratch
        .write("a.zip", depot(&[simple("gone", "1"), simple("up", "1.0-1"), simple("down", "2.0-1")], None));
    scratch
        .write("b.zip", depot(&[simple("new", "1"), simple("up", "1.0-2"), simple("down", "1.9-9")], None));
    let json = run(&scratch, &["diff", "a.zip", "b.zip", "-o", "json"]).json();
    assert_eq!(json["schema"], "lifeboat.depot-difference-list/1");
    let mut words: Vec<&str> =
        json["items"].as_array().unwrap().iter().map(|one| one["change"].as_str().unwrap()).collect();
    words.sort_unstable();
    assert_eq!(words, ["added", "downgraded", "removed", "upgraded"]);
    let same = run(&scratch, &["diff", "a.zip", "a.zip"]);
    assert!(same.done().out.contains("the same"), "{same:#?}");
}

#[test]
fn an_update_is_told_before_it_is_made() {
    let scratch = Scratch::new();
    scratch.write(
        "d.zip",
        depot(&[simple("one", "1.0-2"), simple("two", "1.0-1"), simple("new", "1.0-1")], None),
    );
    scratch.write("h.txt", host(&[("one", "1.0-1"), ("two", "1.0-1"), ("own", "1.0-1")]));
    let words = ["resolve", "d.zip", "--host", "h.txt", "--host-level", "CommunitySupported"];
    let before = scratch.files();
    let answer = run(&scratch, &[words.as_slice(), &["-o", "json"]].concat());
    let json = answer.done().json();
    assert_eq!(
        (json["schema"].as_str(), json["mode"].as_str()),
        (Some("lifeboat.depot-resolution/1"), Some("vib-update"))
    );
    assert_eq!(json["installed"].as_array().unwrap().len(), 1, "{json:#}");
    assert_eq!(json["installed"][0]["id"], "ACME_bootbank_one_1.0-2");
    assert_eq!(json["installed"][0]["kind"], "upgrade");
    assert_eq!(json["skipped"].as_array().unwrap().len(), 2, "{json:#}");
    let people = run(&scratch, &words);
    assert!(people.done().out.contains("vib update: 1 installed, 1 removed, 2 skipped"), "{people:#?}");
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_downgrade_and_a_removal_need_their_options() {
    let scratch = Scratch::new();
    scratch.write("d.zip", depot(&[simple("one", "1.0-1")], Some("Old")));
    scratch.write("h.txt", host(&[("one", "2.0-1"), ("own", "1.0-1")]));
    let base = ["resolve", "d.zip", "--host", "h.txt", "--host-level", "community", "-o", "json", "--mode"];
    let ask = |more: &[&str]| run(&scratch, &[base.as_slice(), more].concat());
    let answer = ask(&["vib-install"]);
    assert_eq!(answer.code, 3, "{answer:#?}");
    has(&answer, "would-downgrade");
    ask(&["vib-install", "--allow-downgrades"]).done();
    let answer = ask(&["profile-install", "--allow-downgrades"]);
    assert_eq!(answer.code, 3, "{answer:#?}");
    has(&answer, "would-remove");
    ask(&["profile-install", "--allow-downgrades", "--ok-to-remove"]).done();
    // What only goes up leaves the newer one alone.
    let answer = ask(&["profile-update"]);
    assert_eq!(answer.done().json()["installed"].as_array().unwrap().len(), 0);
}

#[test]
fn a_missing_dependency_and_too_low_a_level_stand_in_the_way() {
    let scratch = Scratch::new();
    let mut spec = VibSpec::new("one", "1.0-2");
    spec.relations.depends = vec![Constraint::parse("other >= 2.0").unwrap()];
    scratch.write("d.zip", depot(&[made(spec, b"x")], None));
    scratch.write("h.txt", host(&[("one", "1.0-1"), ("other", "1.0-1")]));
    let answer = run(&scratch, &["resolve", "d.zip", "--host", "h.txt", "-o", "json"]);
    assert_eq!(answer.code, 3, "{answer:#?}");
    has(&answer, "dependency-missing");
    scratch.write("e.zip", depot(&[simple("one", "1.0-2")], None));
    let words = ["resolve", "e.zip", "--host", "h.txt", "--host-level", "partner", "-o", "json"];
    let answer = run(&scratch, &words);
    assert_eq!(answer.code, 3, "{answer:#?}");
    has(&answer, "level-below-host");
}

#[test]
fn only_the_vibs_that_were_named_come() {
    let scratch = Scratch::new();
    let vibs = [simple("one", "1.0-2"), simple("two", "1.0-2"), simple("three", "1.0-1")];
    scratch.write("d.zip", depot(&vibs, None));
    scratch.write("h.txt", host(&[("one", "1.0-1"), ("two", "1.0-1")]));
    let base = ["resolve", "d.zip", "--host", "h.txt", "--host-level", "community", "-o", "json"];
    let ask = |more: &[&str]| run(&scratch, &[base.as_slice(), more].concat());
    let installed = |answer: &Answer| -> Vec<String> {
        let json = answer.json();
        let all = json["installed"].as_array().unwrap().clone();
        all.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(installed(ask(&[]).done()), ["one", "two"]);
    assert_eq!(installed(ask(&["--vib", "two"]).done()), ["two"]);
    assert_eq!(installed(ask(&["--vib", "ACME:one:1.0-2"]).done()), ["one"]);
    assert_eq!(installed(ask(&["--mode", "vib-install", "--vib", "three"]).done()), ["three"]);
    let answer = ask(&["--vib", "four"]);
    assert!(installed(&answer).is_empty(), "{answer:#?}");
    has(&answer, "nothing-matches");
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_to_give() {
    let scratch = Scratch::new();
    scratch.write("d.zip", depot(&[simple("one", "1.0-2")], Some("Standard")));
    scratch.write("v.zip", depot(&[simple("one", "1.0-2")], None));
    scratch.write("h.txt", host(&[("one", "1.0-1")]));
    scratch.write("text", "hello");
    let ask = |words: &[&str]| run(&scratch, &[["resolve"].as_slice(), words].concat());
    ask(&["d.zip", "--host", "none"]).refused(6, &["none"]);
    ask(&["d.zip", "--host", "text"]).refused(1, &["text", "not a list of VIBs"]);
    ask(&["d.zip", "--host", "h.txt", "--profile", "Other"]).refused(6, &["Other", "Standard"]);
    ask(&["v.zip", "--host", "h.txt", "--mode", "profile-update"]).refused(6, &["no image profile"]);
    ask(&["d.zip", "--host", "h.txt", "--vib", "one"]).refused(2, &["--vib"]);
    ask(&["d.zip", "--host", "h.txt", "--profile", "Standard", "--mode", "vib-update"])
        .refused(2, &["--profile"]);
    ask(&["d.zip", "--host", "h.txt", "--host-level", "best"]).refused(2, &["best", "certified"]);
    ask(&["d.zip", "--host", "h.txt", "--bank", "none"]).refused(2, &["--bank", "DISK:A"]);
    ask(&["d.zip", "--host", "h.txt", "--bank", "none:B"]).refused(6, &["none"]);
    ask(&["d.zip", "--host", "h.txt", "--bank", "text:B"]).refused(1, &["text", "banks"]);
    assert_eq!(ask(&["d.zip"]).code, 2, "the host is needed");
}

#[test]
fn whether_it_fits_is_told_from_the_bank_of_an_image() {
    let scratch = Scratch::new();
    scratch.run(&["bank", "practice", "s.img"]).done();
    // Noise: gzip does not make it smaller.
    let noise: Vec<u8> =
        (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) ^ (at >> 7)).to_le_bytes()[2]).collect();
    let mut mixed = Vec::new();
    let mut state = 1_u64;
    for byte in noise {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        mixed.push(byte ^ state.to_be_bytes()[0]);
    }
    scratch.write("small.zip", depot(&[simple("one", "1.0-2")], None));
    scratch.write("large.zip", depot(&[made(VibSpec::new("one", "1.0-2"), &mixed)], None));
    scratch.write("h.txt", host(&[("one", "1.0-1")]));
    let image = scratch.read("s.img");
    let ask = |file: &str, bank: &str, reserve: &str| {
        let words = ["resolve", file, "--host", "h.txt", "--bank", bank, "--reserve", reserve];
        run(&scratch, &[words.as_slice(), &["--host-level", "community", "-o", "json"]].concat())
    };
    for bank in ["s.img:B", "s.img:b"] {
        let answer = ask("small.zip", bank, "1M");
        assert_eq!(answer.done().json()["fit"]["answer"], "fits", "{answer:#?}");
    }
    let answer = ask("large.zip", "s.img:B", "2M");
    assert_eq!((answer.code, answer.json()["fit"]["answer"].as_str()), (3, Some("too-small")), "{answer:#?}");
    has(&answer, "bank-too-small");
    let answer = ask("small.zip", "s.img:B", "8M");
    assert_eq!((answer.code, answer.json()["fit"]["answer"].as_str()), (3, Some("too-small")), "{answer:#?}");
    ask("small.zip", "s.img:C", "1M").refused(6, &["s.img", "no bank C"]);
    assert!(scratch.read("s.img") == image, "looking wrote");
}

#[test]
fn an_unsigned_vib_is_told_and_stands_in_the_way_where_signatures_are_asked_for() {
    if Command::new("openssl").arg("version").output().is_err() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "openssl is required");
        println!("skipped: there is no openssl to make a certificate with");
        return;
    }
    let scratch = Scratch::new();
    let pem = scratch.path("root.pem");
    let request = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=root", "-days", "3650", "-sha256",
        ])
        .arg("-keyout")
        .arg(scratch.path("root.key"))
        .arg("-out")
        .arg(&pem)
        .output()
        .unwrap();
    assert!(request.status.success(), "{request:#?}");
    let mut claims = VibSpec::new("one", "1.0-2");
    claims.level = "certified".to_owned();
    scratch.write("one.vib", made(claims, b"one").bytes);
    scratch.write("free.vib", simple("one", "1.0-2").bytes);
    scratch.write("h.txt", host(&[("one", "1.0-1")]));
    scratch.write("text", "hello");
    // It claims a level that nobody vouches for.
    let answer = run(&scratch, &["check", "one.vib", "--trust", "root.pem", "-o", "json"]);
    has(&answer, "level-not-covered");
    assert_eq!(answer.code, 10, "{answer:#?}");
    // It claims nothing that needs a signature.
    let answer = run(&scratch, &["check", "free.vib", "--trust", "root.pem=partner", "-o", "json"]);
    assert_eq!(answer.code, 0, "{answer:#?}");
    has(&answer, "unsigned");
    let words = ["resolve", "one.vib", "--host", "h.txt", "--host-level", "partner", "--trust", "root.pem"];
    let answer = run(&scratch, &[words.as_slice(), &["-o", "json"]].concat());
    assert_eq!(answer.code, 3, "{answer:#?}");
    has(&answer, "level-not-covered");
    run(&scratch, &["check", "one.vib", "--trust", "text"]).refused(1, &["text", "certificates"]);
    run(&scratch, &["check", "one.vib", "--trust", "none.pem"]).refused(6, &["none.pem"]);
    run(&scratch, &["check", "one.vib", "--trust", "root.pem=best"]).refused(2, &["best"]);
    run(&scratch, &["check", "one.vib", "--at", "yesterday"]).refused(2, &["yesterday", "2024-05-01"]);
}
