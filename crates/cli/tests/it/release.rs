//! Keys and bundles.

use super::common::Scratch;

#[test]
fn a_release_is_built_shown_and_verified() {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    let shown = scratch.run(&["release", "show", "r1.lfb", "-o", "json"]).json();
    assert_eq!(shown["release"]["name"], "box");
    assert_eq!(shown["cmdline"], "quiet console=ttyS0");
    let verified = scratch.run(&["release", "verify", "r1.lfb", "--trust", "k.pub"]);
    assert!(verified.done().out.contains("signature good"));
    let people = scratch.run(&["release", "show", "r1.lfb", "--trust", "k.pub"]);
    assert!(people.done().out.contains("good, trusted key"), "{people:#?}");
    let hidden = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with('.');
    let left: Vec<_> = scratch.files().into_keys().filter(hidden).collect();
    assert!(left.is_empty(), "temporary files were left: {left:?}");
}

#[test]
fn a_key_is_never_overwritten_and_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = Scratch::new();
    scratch.key("k");
    let mode = scratch.path("k").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let before = scratch.files();
    scratch.run(&["release", "keygen", "k"]).refused(7, &["k is there already"]);
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_bundle_that_is_cut_altered_untrusted_or_too_old_is_refused_with_code_10() {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.key("other");
    scratch.release(1);
    let good = scratch.read("r1.lfb");
    let verify = |file: &str, key: &str| scratch.run(&["release", "verify", file, "--trust", key]);

    for cut in [0, 7, 100, good.len() / 2, good.len() - 1] {
        scratch.write("cut.lfb", &good[..cut]);
        verify("cut.lfb", "k.pub").refused(10, &["cut.lfb"]);
    }
    for at in [3, 60, 300, good.len() / 2, good.len() - 1] {
        let mut altered = good.clone();
        altered[at] ^= 0x20;
        scratch.write("altered.lfb", altered);
        let answer = verify("altered.lfb", "k.pub");
        assert!(answer.code == 10 || answer.code == 1, "byte {at}: {answer:#?}");
        assert!(answer.err.contains("altered.lfb"), "{answer:#?}");
    }
    scratch.write("longer.lfb", [good.as_slice(), b"x"].concat());
    verify("longer.lfb", "k.pub").refused(10, &["longer.lfb", "more bytes follow"]);
    scratch.write("text.lfb", "this is no bundle");
    verify("text.lfb", "k.pub").refused(10, &["text.lfb"]);
    verify("r1.lfb", "other.pub").refused(10, &["no signature of the bundle is by a trusted key"]);
    let old = scratch.run(&["release", "verify", "r1.lfb", "--trust", "k.pub", "--min-serial", "2"]);
    old.refused(10, &["serial 1", "2"]);
    let error = scratch.run(&["release", "verify", "r1.lfb", "--trust", "other.pub", "-o", "json"]).json();
    assert_eq!((error["exit"].as_u64(), error["kind"].as_str()), (Some(10), Some("verification")));
}

#[test]
fn wrong_keys_and_missing_files_are_named() {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    scratch.run(&["release", "verify", "none.lfb", "--trust", "k.pub"]).refused(6, &["none.lfb"]);
    scratch.run(&["release", "verify", "r1.lfb", "--trust", "none.pub"]).refused(6, &["none.pub"]);
    scratch
        .run(&["release", "verify", "r1.lfb", "--trust", "k"])
        .refused(1, &["k is not a file of public keys"]);
    scratch.write("bad.pub", "# keys\nlifeboat-public-key-1 zz x\n");
    scratch.run(&["release", "verify", "r1.lfb", "--trust", "bad.pub"]).refused(1, &["bad.pub", "line 2"]);
    scratch.run(&["release", "show", "r1"]).refused(1, &["r1"]);
}

#[test]
fn a_release_with_missing_or_wrong_parts_is_not_built() {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    let build = |dir: &str, version: &str, extra: &[&str]| {
        let words =
            ["release", "build", dir, "-o", "table", "--out", "x.lfb", "--name", "box", "--version", version];
        scratch.run(&[words.as_slice(), &["--serial", "1", "--key", "k"], extra].concat())
    };
    build("nowhere", "1", &[]).refused(6, &["nowhere is not a directory"]);
    std::fs::remove_file(scratch.path("r1/kernel")).unwrap();
    build("r1", "1", &[]).refused(6, &["r1 has no kernel"]);
    scratch.write("r1/kernel", "");
    build("r1", "1", &[]).refused(1, &["r1/kernel is empty"]);
    scratch.write("r1/kernel", "k");
    build("r1", "has space", &[]).refused(2, &["version"]);
    build("r1", "1", &["--expires", "tomorrow"]).refused(2, &["tomorrow"]);
    scratch.write("r1/cmdline", "root=/dev/sda1");
    build("r1", "1", &[]).refused(2, &["root="]);
    scratch.write("r1/cmdline", "quiet");
    scratch.write("r1/root", "second root");
    build("r1", "1", &[]).refused(6, &["which is the root"]);
    assert!(!scratch.path("x.lfb").exists());
    std::fs::remove_file(scratch.path("r1/root")).unwrap();
    assert!(build("r1", "1", &["--dry-run"]).done().err.contains("would write x.lfb"));
    assert!(!scratch.path("x.lfb").exists());
    build("r1", "1", &["--expires", "2999-01-01"]).done();
}

#[test]
fn a_bundle_is_not_written_over_a_part_of_its_release() {
    let scratch = Scratch::new();
    scratch.key("k");
    scratch.release(1);
    let before = scratch.read("r1/root.img");
    let words = ["release", "build", "r1", "--out", "r1/root.img", "--name", "box", "--version", "1.0"];
    let refused = scratch.run(&[words.as_slice(), &["--serial", "1", "--key", "k"]].concat());
    refused.refused(2, &["root.img", "root"]);
    assert_eq!(scratch.read("r1/root.img"), before);
}

/// The root of a release, long enough for many chunks.
pub(crate) fn long_root(scratch: &Scratch, serial: u8) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut root: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(500_000)
    .flatten()
    .collect();
    // What the update changed, in the middle.
    root[2_000_000..2_000_004].copy_from_slice(&u32::from(serial).to_le_bytes());
    scratch.write(&format!("r{serial}/root.img"), &root);
}

fn build(scratch: &Scratch, serial: u8, out: &str, extra: &[&str]) -> super::common::Answer {
    let (dir, number) = (format!("r{serial}"), serial.to_string());
    let words = ["release", "build", &dir, "--out", out, "--name", "box", "--version", "1.0", "--key", "k"];
    scratch.run(&[words.as_slice(), &["--serial", &number, "--no-verity"], extra].concat())
}

#[test]
fn an_update_is_told_in_bytes_and_carried_as_a_difference_that_only_its_base_can_use() {
    let scratch = Scratch::new();
    scratch.key("k");
    for serial in [1, 2] {
        scratch.release(serial);
        long_root(&scratch, serial);
        build(&scratch, serial, &format!("r{serial}.lfb"), &[]).done();
    }
    let made = build(&scratch, 2, "built.lfb", &["--base", "r1.lfb", "-o", "json"]).json();
    assert_eq!(made["base"]["serial"], 1);
    let delta = [
        "release", "delta", "r2.lfb", "--base", "r1.lfb", "--out", "d.lfb", "--trust", "k.pub", "-o", "json",
    ];
    let made = scratch.run(&delta).json();
    assert_eq!(made["base"]["serial"], 1);
    assert_eq!(scratch.read("d.lfb").len(), scratch.read("built.lfb").len());
    let whole = scratch.run(&["release", "show", "r2.lfb", "-o", "json"]).json();
    assert_eq!(made["release"]["digest"], whole["release"]["digest"], "it is the same release");
    assert!(scratch.read("d.lfb").len() * 4 < scratch.read("r2.lfb").len());
    scratch.run(&["release", "verify", "d.lfb", "--trust", "k.pub"]).done();
    let shown = scratch.run(&["release", "show", "d.lfb"]);
    assert!(shown.done().out.contains("box 1.0"), "{shown:#?}");

    let diff = ["release", "diff", "r1.lfb", "r2.lfb", "--trust", "k.pub"];
    let told = scratch.run(&[diff.as_slice(), &["-o", "json"]].concat()).json();
    let number = |key: &str| told[key].as_u64().unwrap();
    assert!(
        number("from_bundle") <= number("from_bank") && number("from_bank") * 4 < number("whole"),
        "{told}"
    );
    let root = told["slots"].as_array().unwrap().iter().find(|slot| slot["slot"] == "root").unwrap();
    assert_eq!(root["change"], "changed");
    assert_eq!(root["from_bank"]["fetched"]["chunks"], 1);
    let people = scratch.run(&diff);
    assert!(people.done().out.contains("a host that runs the first one fetches"), "{people:#?}");

    // A host that runs the first release takes the difference; a new one does not.
    let install = |disk: &str, bundle: &str, extra: &[&str]| {
        let words = ["bank", "install", disk, bundle, "--trust", "k.pub"];
        scratch.run(&[words.as_slice(), extra].concat())
    };
    for disk in ["d.img", "new.img"] {
        scratch.run(&["bank", "init", disk, "--size", "48M"]).done();
    }
    install("d.img", "r1.lfb", &[]).done();
    install("new.img", "d.lfb", &[]).refused(6, &["only the difference"]);
    install("d.img", "d.lfb", &["--no-seed"]).refused(6, &["only the difference"]);
    let done = install("d.img", "d.lfb", &["-o", "json"]).json();
    assert_eq!(done["bank"], "B");
    assert_eq!(done["root"]["plan"]["fetched"]["chunks"], 1);
    let seed = done["root"]["plan"]["seeds"][0]["name"].as_str().unwrap();
    assert!(seed.starts_with("bank A (box 1.0"), "{seed}");
    install("new.img", "d.lfb", &["--seed", "r1.lfb"]).done();
    let shown = scratch.run(&["bank", "show", "d.img", "-o", "json"]).json();
    assert_eq!(shown["report"]["banks"][1]["state"], "upgraded");
}

#[test]
fn a_seed_with_a_flipped_byte_is_reported_and_replaced_by_the_bundle() {
    let scratch = Scratch::new();
    scratch.key("k");
    for serial in [1, 2] {
        scratch.release(serial);
        long_root(&scratch, serial);
        build(&scratch, serial, &format!("r{serial}.lfb"), &[]).done();
    }
    scratch.run(&["bank", "init", "d.img", "--size", "48M"]).done();
    scratch.run(&["bank", "install", "d.img", "r1.lfb", "--trust", "k.pub"]).done();
    let mut disk = scratch.read("d.img");
    let root = scratch.read("r1/root.img");
    let at = disk.windows(64).position(|window| window == &root[..64]).unwrap();
    disk[at + 3_000_000] ^= 1;
    scratch.write("d.img", &disk);
    let done = scratch.run(&["bank", "install", "d.img", "r2.lfb", "--trust", "k.pub", "--active", "A"]);
    assert!(done.done().out.contains("1 chunks were damaged there"), "{done:#?}");
    let disk = scratch.read("d.img");
    let root = scratch.read("r2/root.img");
    assert!(disk.windows(root.len()).step_by(4096).any(|window| window == root), "bank B is not whole");
}

/// Makes a package in `folder`; none if `dpkg-deb` is not installed.
fn deb(scratch: &Scratch, folder: &str, name: &str, version: &str, arch: &str) -> Option<()> {
    scratch.write(
        &format!("tree/{name}/DEBIAN/control"),
        format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: x <x@example.org>\nDescription: x\n"
        ),
    );
    scratch.write(&format!("{folder}/keep"), "");
    std::fs::remove_file(scratch.path(&format!("{folder}/keep"))).unwrap();
    let out = scratch.path(&format!("{folder}/{name}.deb"));
    let mut build = std::process::Command::new("dpkg-deb");
    let build = build
        .args(["-Zgzip", "--root-owner-group", "-b"])
        .arg(scratch.path(&format!("tree/{name}")))
        .arg(out);
    match build.output() {
        Ok(ran) => assert!(ran.status.success(), "{ran:?}"),
        Err(error) => {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "dpkg-deb is required");
            println!("skipped: dpkg-deb: {error}");
            return None;
        }
    }
    Some(())
}

fn build_packages<'a>(folder: &'a str, out: &'a str, serial: &'a str) -> Vec<&'a str> {
    let words = ["release", "build", "--packages", folder, "--out", out, "--name", "kvm-host", "--key", "k"];
    [words.as_slice(), &["--version", serial, "--serial", serial]].concat()
}

#[test]
fn packages_are_built_into_a_release_shown_verified_and_compared() {
    let scratch = Scratch::new();
    scratch.key("k");
    for (folder, version) in [("p1", "1:1.0-1"), ("p2", "1:2.0~rc1-1")] {
        if deb(&scratch, folder, "alpha", version, "all").is_none() {
            return;
        }
    }
    deb(&scratch, "p1", "beta", "1", "amd64");
    scratch.write("p2/remove", "# no longer of use\nbeta\n");
    scratch.write("p2/packages.toml", "reboot = \"if-needed\"\n");
    let dry = [build_packages("p1", "r1.lfb", "1").as_slice(), &["--dry-run"]].concat();
    assert!(scratch.run(&dry).done().err.contains("2 packages (deb)"));
    assert!(!scratch.path("r1.lfb").exists());
    scratch.run(&build_packages("p1", "r1.lfb", "1")).done();
    scratch.run(&build_packages("p2", "r2.lfb", "2")).done();

    let shown = scratch.run(&["release", "show", "r1.lfb", "--trust", "k.pub", "-o", "json"]).json();
    assert_eq!((shown["arch"].as_str(), shown["packages"]["format"].as_str()), (Some("x86_64"), Some("deb")));
    assert_eq!(shown["packages"]["packages"][0]["version"], "1:1.0-1");
    let people = scratch.run(&["release", "show", "r2.lfb", "--trust", "k.pub"]);
    for words in ["alpha", "1:2.0~rc1-1", "removes   beta", "reboot if-needed"] {
        assert!(people.done().out.contains(words), "{people:#?}");
    }
    let nobody = scratch.run(&["release", "show", "r2.lfb"]);
    assert!(nobody.done().out.contains("listed with --trust") && !nobody.out.contains("rc1"), "{nobody:#?}");
    let verified = scratch.run(&["release", "verify", "r1.lfb", "--trust", "k.pub"]);
    assert!(verified.done().out.contains("2 packages"), "{verified:#?}");
    let diff = scratch.run(&["release", "diff", "r1.lfb", "r2.lfb", "--trust", "k.pub", "-o", "json"]).json();
    assert_eq!(diff["packages"][0]["from"], "1:1.0-1");
    assert_eq!(
        (diff["packages"][0]["to"].as_str(), &diff["packages"][1]["removed"]),
        (Some("1:2.0~rc1-1"), &true.into())
    );
    let people = scratch.run(&["release", "diff", "r1.lfb", "r2.lfb", "--trust", "k.pub"]);
    assert!(people.done().out.contains("removed from hosts"), "{people:#?}");
}

#[test]
fn a_folder_that_makes_no_package_release_is_refused_with_the_file_that_is_wrong() {
    let scratch = Scratch::new();
    scratch.key("k");
    let build = |folder: &str| scratch.run(&build_packages(folder, "r.lfb", "1"));
    scratch.write("empty/remove", "");
    build("empty").refused(6, &["has no packages"]);
    build("nowhere").refused(6, &["nowhere"]);
    if deb(&scratch, "p", "alpha", "1", "all").is_none() {
        return;
    }
    scratch.write("p/remvoe", "beta\n");
    build("p").refused(2, &["remvoe is not a package"]);
    std::fs::remove_file(scratch.path("p/remvoe")).unwrap();
    scratch.write("p/packages.toml", "reboot = \"never\"\n");
    assert_ne!(build("p").code, 0);
    scratch.write("p/packages.toml", "");
    scratch.write("p/remove", "alpha\n");
    build("p").refused(2, &["cannot be installed and removed at once"]);
    std::fs::remove_file(scratch.path("p/remove")).unwrap();
    scratch.write("p/broken.deb", "no package at all");
    build("p").refused(1, &["broken.deb is not a package"]);
    std::fs::remove_file(scratch.path("p/broken.deb")).unwrap();
    scratch.write("p/x.rpm", "of another manager");
    build("p").refused(2, &["another package manager"]);
    std::fs::remove_file(scratch.path("p/x.rpm")).unwrap();
    deb(&scratch, "p", "beta", "1", "amd64");
    deb(&scratch, "p", "gamma", "1", "arm64");
    build("p").refused(2, &["aarch64", "x86_64"]);
    let both = scratch.run(&[build_packages("p", "r.lfb", "1").as_slice(), &["p"]].concat());
    assert!(both.code == 2 && both.err.contains("cannot be used with"), "{both:#?}");
    assert!(!scratch.path("r.lfb").exists());
}
