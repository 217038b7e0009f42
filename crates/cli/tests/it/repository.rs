//! Repositories: made, pushed to, pulled from, signed by several, pruned, rotated.

use super::common::Scratch;
use super::release::long_root;

const OWNER: [&str; 6] = ["--root", "root.json", "--key", "root", "--key", "online"];

/// Two releases, keys of an owner, and a repository with the first release.
fn with_repository() -> Scratch {
    let scratch = Scratch::new();
    for key in ["k", "root", "online", "new"] {
        scratch.key(key);
    }
    scratch.release(1);
    scratch.release(2);
    let init = [
        "release",
        "init-repo",
        "repo",
        "--root-key",
        "root",
        "--online-key",
        "online",
        "--out",
        "root.json",
    ];
    scratch.run(&init).done();
    let push = ["release", "push", "r1.lfb", "repo", "--trust", "k.pub"];
    scratch.run(&[&push[..], &OWNER].concat()).done();
    scratch
}

#[test]
fn what_is_pulled_is_the_bundle_that_was_pushed() {
    let scratch = with_repository();
    let pull =
        ["release", "pull", "repo", "box", "--root", "root.json", "--trust", "k.pub", "--out", "p.lfb"];
    scratch.run(&pull).done();
    assert_eq!(scratch.read("p.lfb"), scratch.read("r1.lfb"));
    assert!(!scratch.path("p.lfb.part").exists(), "the scratch cache is gone");
    scratch
        .run(&["release", "pull", "repo", "nobody", "--root", "root.json", "--out", "x"])
        .refused(6, &["box@"]);
    scratch
        .run(&["release", "pull", "repo", "box", "--root", "k.pub", "--out", "x"])
        .refused(1, &["root.json"]);
}

#[test]
fn a_push_without_the_online_key_waits_for_its_owner() {
    let scratch = with_repository();
    let push =
        ["release", "push", "r2.lfb", "repo", "--trust", "k.pub", "--root", "root.json", "--key", "root"];
    assert!(scratch.run(&push).done().out.contains("NOT published yet"));
    let releases = || scratch.run(&["release", "list", "repo", "--root", "root.json", "-o", "json"]).json();
    assert_eq!(releases()["items"].as_array().map(Vec::len), Some(1));
    let sign = ["release", "sign", "repo", "--root", "root.json", "--key", "online"];
    assert!(scratch.run(&[&sign[..], &["--dry-run"]].concat()).done().err.contains("add box@"));
    scratch.run(&[&sign[..], &["--yes"]].concat()).done();
    assert_eq!(releases()["items"].as_array().map(Vec::len), Some(2));
}

#[test]
fn old_releases_are_pruned_and_keys_changed_without_locking_readers_out() {
    let scratch = with_repository();
    let push = ["release", "push", "r2.lfb", "repo", "--trust", "k.pub"];
    scratch.run(&[&push[..], &OWNER].concat()).done();
    let rotate = ["release", "rotate", "repo", "--key", "new", "--online-key", "new.pub"];
    scratch.run(&[&rotate[..], &OWNER].concat()).done();
    let refresh = ["release", "refresh", "repo", "--root", "root.json", "--key"];
    scratch.run(&[&refresh[..], &["online"]].concat()).refused(9, &["timestamp"]);
    scratch.run(&[&refresh[..], &["new"]].concat()).done();
    let prune = ["release", "prune", "repo", "--keep", "1", "--grace", "0", "--yes", "--root", "root.json"];
    scratch.run(&[&prune[..], &["--key", "root", "--key", "new"]].concat()).done();
    let list = scratch.run(&["release", "list", "repo", "--root", "root.json", "-o", "json"]).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["items"][0]["serial"], 2);
    scratch.run(&["release", "pull", "repo", "box", "--root", "root.json", "--out", "p.lfb"]).done();
    assert_eq!(scratch.read("p.lfb"), scratch.read("r2.lfb"));
}

#[test]
fn a_repository_that_went_back_in_time_is_refused_with_code_10() {
    let scratch = with_repository();
    let list = ["release", "list", "repo", "--root", "root.json"];
    let old = scratch.read("repo/metadata/timestamp.json");
    let refresh = ["release", "refresh", "repo", "--root", "root.json", "--key", "online"];
    scratch.run(&refresh).done();
    scratch.run(&list).done();
    scratch.write("repo/metadata/timestamp.json", old);
    scratch.run(&list).refused(10, &["older"]);
}

#[test]
fn a_second_maker_signs_a_bundle() {
    let scratch = with_repository();
    scratch.run(&["release", "sign", "r2.lfb", "--key", "new", "--trust", "k.pub"]).done();
    for key in ["k.pub", "new.pub"] {
        scratch.run(&["release", "verify", "r2.lfb", "--trust", key]).done();
    }
}

#[test]
fn a_place_that_does_not_answer_is_told_as_such() {
    let scratch = with_repository();
    let list = ["release", "list", "http://127.0.0.1:1/releases", "--root", "root.json"];
    scratch.run(&list).refused(8, &["http://127.0.0.1:1/releases/metadata/2.root.json", "refused"]);
    scratch.run(&["release", "list", "ftp://x/y", "--root", "root.json"]).refused(2, &["s3://"]);
}

#[test]
fn a_host_is_installed_from_a_repository_and_fetches_only_what_its_running_bank_lacks() {
    let scratch = with_repository();
    for serial in [1, 2] {
        long_root(&scratch, serial);
        let (dir, version) = (format!("r{serial}"), format!("{serial}.0"));
        let words =
            ["release", "build", &dir, "--out", &format!("r{serial}.lfb"), "--name", "box", "--key", "k"];
        let more = ["--version", &version, "--serial", &serial.to_string(), "--no-verity"];
        scratch.run(&[&words[..], &more].concat()).done();
        let bundle = format!("r{serial}.lfb");
        let push = ["release", "push", &bundle, "repo2", "--trust", "k.pub"];
        if serial == 1 {
            let keys = ["--root-key", "root", "--online-key", "online", "--out", "root2.json"];
            scratch.run(&[&["release", "init-repo", "repo2"][..], &keys].concat()).done();
        }
        let owner = ["--root", "root2.json", "--key", "root", "--key", "online"];
        scratch.run(&[&push[..], &owner].concat()).done();
    }
    scratch.run(&["bank", "init", "host.img", "--size", "96M"]).done();
    let install = |more: &[&str]| {
        let words =
            ["bank", "install", "host.img", "box", "--from", "repo2", "--trust", "k.pub", "-y", "-o", "json"];
        scratch.run(&[&words[..], &["--root", "root2.json"], more].concat())
    };
    // The newest one is asked for by its name alone.
    scratch.run(&["bank", "install", "host.img", "r1.lfb", "--trust", "k.pub", "-y"]).done();
    let done = install(&["--active", "A"]).json();
    assert_eq!((&done["bank"], &done["release"]["serial"]), (&"B".into(), &2.into()), "{done}");
    let plan = &done["root"]["plan"];
    let (fetched, total) = (plan["download"].as_u64().unwrap(), plan["total"]["bytes"].as_u64().unwrap());
    assert!(fetched * 10 < total, "{plan}");
    let check = scratch.run(&["bank", "check", "host.img", "-o", "json"]);
    assert_eq!(check.json()["verdict"], "good", "{check:#?}");
    // Without its trusted root a repository is not asked.
    let words =
        ["bank", "install", "host.img", "box", "--from", "repo2", "--trust", "k.pub", "--active", "A"];
    let refused = scratch.run(&words);
    assert!(refused.code == 2 && refused.err.contains("--root"), "{refused:#?}");
}
