//! From a simulated pool to an approved plan.

use super::common::Scratch;

fn with_pool() -> Scratch {
    let scratch = Scratch::new();
    let words = ["pool", "create-sim", "play", "--hosts", "4", "--guests", "12", "--speed", "0"];
    scratch.run(&words).done();
    scratch
}

fn plan(scratch: &Scratch, extra: &[&str]) -> super::common::Answer {
    let releases = scratch.path("state/pools/play/releases");
    let (bundle, key) = (releases.join("2.0.lfb"), releases.join("maker.key.pub"));
    let words =
        ["plan", "create", "play", "--release", bundle.to_str().unwrap(), "--trust", key.to_str().unwrap()];
    scratch.run(&[words.as_slice(), extra].concat())
}

#[test]
fn a_plan_is_kept_under_its_hash_and_shown_with_its_bounds() {
    let scratch = with_pool();
    let made = plan(&scratch, &["-o", "json"]).json();
    assert_eq!(made["schema"], "lifeboat.plan/1");
    let hash = made["hash"].as_str().unwrap();
    assert_eq!(made["plan"]["steps"].as_array().unwrap().len(), 4);
    assert_eq!(scratch.run(&["plan", "list", "-o", "name"]).out, format!("{hash}\n"));
    let shown = scratch.run(&["plan", "show", &hash[..8]]);
    for word in ["NO PLAN BELOW", "moves of guests", "lifeboat roll start", "WAVE"] {
        assert!(shown.done().out.contains(word), "{word}: {shown:#?}");
    }
    assert!(scratch.run(&["plan", "show", &hash[..8], "-v"]).done().out.contains("GUEST"));
    // The same world gives the same plan.
    assert_eq!(plan(&scratch, &["-o", "name"]).out.trim(), hash);
    let same = scratch.run(&["plan", "diff", &hash[..8], &hash[..8]]);
    assert!(same.done().out.contains("the plans do the same"));
}

#[test]
fn planning_changes_nothing_but_the_plans() {
    let scratch = with_pool();
    let disks = |scratch: &Scratch| {
        let mut files = scratch.files();
        files.retain(|path, _| path.to_string_lossy().ends_with("disk.img"));
        files
    };
    let before = disks(&scratch);
    assert_eq!(before.len(), 4);
    assert!(plan(&scratch, &["--dry-run"]).done().err.contains("not kept"));
    assert_eq!(scratch.run(&["plan", "list", "-o", "name"]).out, "");
    plan(&scratch, &["--out", "plan.json"]).done();
    assert_eq!(disks(&scratch), before);
    scratch.run(&["plan", "show", "./plan.json"]).done();
}

#[test]
fn wrong_input_makes_no_plan() {
    let scratch = with_pool();
    plan(&scratch, &["--exclude", "nobody"]).refused(6, &["nobody"]);
    plan(&scratch, &["--policy", "none.toml"]).refused(6, &["none.toml"]);
    scratch.write("p.toml", "order = \"coordinator-first\"\nspeed = 3\n");
    plan(&scratch, &["--policy", "p.toml"]).refused(1, &["p.toml:2:1:", "speed"]);
    scratch.write("p.toml", "attempts = 0\n");
    plan(&scratch, &["--policy", "p.toml"]).refused(1, &["p.toml", "attempts"]);
    let words = ["plan", "create", "play", "--release", "none.lfb", "--trust", "none.pub"];
    scratch.run(&words).refused(6, &["none.pub"]);
    assert_eq!(scratch.run(&["plan", "list", "-o", "name"]).out, "");
}

#[test]
fn a_pool_of_that_name_is_not_overwritten() {
    let scratch = with_pool();
    let before = scratch.files();
    scratch.run(&["pool", "create-sim", "play"]).refused(7, &["there is a pool play already"]);
    assert_eq!(scratch.files(), before);
    let shown = scratch.run(&["pool", "show", "pl", "-o", "json"]).json();
    assert_eq!(shown["world"]["hosts"].as_array().unwrap().len(), 4);
}
