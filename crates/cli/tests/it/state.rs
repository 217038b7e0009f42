//! The state directory: pool files, plan files, names.

use super::common::Scratch;

#[test]
fn looking_makes_nothing() {
    let scratch = Scratch::new();
    for words in
        [&["pool", "list"][..], &["plan", "list"], &["status"], &["env"], &["pool", "list", "-o", "json"]]
    {
        scratch.run(words).done();
    }
    scratch.run(&["pool", "show", "x"]).refused(6, &["there is no pool yet"]);
    scratch.run(&["plan", "show", "abc"]).refused(6, &["there is no plan yet"]);
    assert!(scratch.files().is_empty());
    assert!(!scratch.path("state").exists());
}

#[test]
fn a_damaged_pool_file_is_named_with_its_line() {
    let scratch = Scratch::new();
    scratch.write("state/pools/p1/pool.toml", "schema = 1\nname = \"p1\"\ndriver = \"cloud\"\ndir = \"x\"\n");
    scratch.write("state/pools/p2/pool.toml", "schema = 9\nname = \"p2\"\ndriver = \"sim\"\ndir = \"x\"\n");
    scratch
        .write("state/pools/p3/pool.toml", "schema = 1\nname = \"other\"\ndriver = \"sim\"\ndir = \"x\"\n");
    scratch.write(
        "state/pools/p4/pool.toml",
        "schema = 1\nname = \"p4\"\ndriver = \"sim\"\ndir = \"x\"\ncolour = 1\n",
    );
    scratch.write("state/pools/p5/pool.toml", "schema = 1\nname = \"p5\"\ndriver = \"sim\"\ndir = \"x\"\n");
    let before = scratch.files();
    scratch.run(&["pool", "show", "p1"]).refused(1, &["pool.toml:3:10:", "cloud"]);
    scratch.run(&["pool", "show", "p2"]).refused(1, &["schema 9"]);
    scratch.run(&["pool", "show", "p3"]).refused(7, &["other"]);
    scratch.run(&["pool", "show", "p4"]).refused(1, &["pool.toml:5:1:", "colour"]);
    assert_eq!(scratch.run(&["pool", "show", "p5"]).code, 6);
    scratch.run(&["pool", "show", "p"]).refused(6, &["fits several pools", "p1, p2"]);
    let list = scratch.run(&["pool", "list", "-o", "json"]).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 5, "a damaged file hides others");
    assert_eq!(scratch.files(), before);
}

#[test]
fn a_plan_that_was_changed_is_refused() {
    let scratch = Scratch::new();
    let hash = "a".repeat(64);
    scratch.write(&format!("state/plans/{hash}.json"), "{}");
    scratch.run(&["plan", "show", "aaaa"]).refused(10, &["was changed"]);
    scratch.write("x.json", "not json");
    scratch.run(&["plan", "show", "./x.json"]).refused(1, &["x.json is not a plan"]);
    scratch.run(&["roll", "start", "aaaa"]).refused(10, &["was changed"]);
}
