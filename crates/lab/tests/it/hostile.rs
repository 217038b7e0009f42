//! Every reader of outside bytes over the whole corpus: it ends, within bounds of time and memory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_lab::seeds::seeds;
use lifeboat_lab::targets::TARGETS;

/// Most memory of a process that read all files of a target, in KiB.
const PEAK_KIB: u64 = 200 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn run(target: &str, files: &[PathBuf]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_hostile")).args(["run", target]).args(files).output().unwrap()
}

#[test]
fn every_reader_keeps_its_bounds_over_its_corpus() {
    for target in TARGETS {
        let folder = fuzz().join("corpus").join(target.name);
        let files: Vec<PathBuf> = names(&folder).into_iter().map(|name| folder.join(name)).collect();
        assert!(!files.is_empty(), "{} has no corpus", target.name);
        let done = run(target.name, &files);
        let told = String::from_utf8_lossy(&done.stderr);
        let last: Vec<&str> = told.lines().rev().take(6).collect();
        assert!(done.status.success(), "{}: {}: {last:#?}", target.name, done.status);
        let peak: u64 = String::from_utf8_lossy(&done.stdout).trim().parse().unwrap();
        assert!(peak <= PEAK_KIB, "{} needed {peak} KiB for its corpus", target.name);
    }
}

#[test]
fn a_reader_that_wants_more_than_its_bounds_is_ended() {
    // The bounds themselves: a target that does not exist and a file that does not exist are errors, not silence.
    assert!(!run("no_such_target", &[]).status.success());
    assert!(!run("gpt", &[PathBuf::from("no-such-file")]).status.success());
}

#[test]
fn every_target_has_a_program_a_corpus_and_nothing_has_no_target() {
    let known: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(known.len(), TARGETS.len(), "two targets have one name");
    assert_eq!(names(&fuzz().join("corpus")), known);
    let programs: BTreeSet<String> = names(&fuzz().join("fuzz_targets"))
        .iter()
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect();
    assert_eq!(programs, known);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &known {
        assert!(
            manifest.contains(&format!("name = \"{name}\"\n")),
            "{name} has no program in fuzz/Cargo.toml"
        );
    }
}

#[test]
fn the_seeds_in_the_corpus_are_what_our_writers_make() {
    let mut made = 0;
    for (target, name, bytes) in seeds().unwrap() {
        let path = fuzz().join("corpus").join(target).join(format!("seed-{name}"));
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(
            kept == bytes,
            "{} is not what is made: cargo run -p lifeboat-lab --bin hostile -- seeds fuzz/corpus",
            path.display()
        );
        made += 1;
    }
    assert!(made >= TARGETS.len(), "{made} seeds for {} targets", TARGETS.len());
}
