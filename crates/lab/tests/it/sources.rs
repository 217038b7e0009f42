//! What a source file may hold: pure rooms touch nothing, files stay short, modules say what they own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::layers::PURE;
use crate::workspace::{files, root};

/// Most lines of a file that are not tests.
const LONGEST: usize = 600;

/// What a pure room may not name outside its tests. Threads that end within the call (`thread::scope`) are
/// arithmetic on two cores, and allowed.
const IMPURE: [&str; 12] = [
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::os::",
    "std::thread::spawn",
    "std::thread::sleep",
    "std::thread::Builder",
    "SystemTime",
    "Instant",
    "println!",
    "use std::{",
];

/// Vendors' words, which only the drivers say.
const VENDORS: [&str; 5] = ["libvirt", "vsphere", "vmware", "xapi", "xenserver"];

/// A source file as the rules see it: lines of code, tests and comments left out.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Code lines with their numbers, up to the module of tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.end_of_code();
        self.text
            .lines()
            .enumerate()
            .take(end)
            .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
    }

    /// The line where a module of tests begins that stands in this file; all lines when none does.
    fn end_of_code(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let begins = |index: &usize| {
            lines[*index].trim() == "#[cfg(test)]"
                && lines[index + 1..].iter().find(|line| !line.trim().starts_with('#')).is_some_and(|line| {
                    line.trim_start().starts_with("mod ") && line.trim_end().ends_with('{')
                })
        };
        (0..lines.len()).find(begins).unwrap_or(lines.len())
    }

    /// Files of modules that this one declares for tests alone.
    fn test_modules(&self) -> Vec<PathBuf> {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let folder = match self.path.file_stem().unwrap().to_str().unwrap() {
            "lib" | "main" | "mod" => self.path.parent().unwrap().to_owned(),
            _ => self.path.with_extension(""),
        };
        let declared = lines.iter().enumerate().filter(|(_, line)| **line == "#[cfg(test)]");
        let names = declared.filter_map(|(index, _)| {
            let line = lines[index + 1..].iter().find(|line| !line.starts_with('#'))?;
            let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        });
        names.map(|name| folder.join(name)).collect()
    }
}

/// Sources of a folder without the modules that only tests see.
fn sources(folder: &Path) -> Vec<Source> {
    let read = |path: PathBuf| Source { text: std::fs::read_to_string(&path).unwrap(), path };
    let all: Vec<Source> = files(folder, ".rs").into_iter().map(read).collect();
    let tests: BTreeSet<PathBuf> = all.iter().flat_map(Source::test_modules).collect();
    let is_test = |path: &Path| path.with_extension("").ancestors().any(|above| tests.contains(above));
    all.into_iter().filter(|source| !is_test(&source.path)).collect()
}

fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn pure_rooms_touch_no_file_network_process_environment_or_clock() {
    let mut wrong = Vec::new();
    for room in PURE.iter().chain(&["model"]) {
        let sources = sources(&root().join("crates").join(room).join("src"));
        assert!(!sources.is_empty(), "no source of {room} was found");
        for source in &sources {
            for (number, line) in source.code() {
                for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word}", short(&source.path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_is_longer_than_a_person_reads_at_once() {
    let mut wrong = Vec::new();
    for folder in ["crates", "bench"] {
        for source in sources(&root().join(folder)) {
            let lines = source.end_of_code();
            if lines > LONGEST {
                wrong.push(format!("{}: {lines} lines of {LONGEST}", short(&source.path)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_begins_by_saying_what_it_is() {
    let mut wrong = Vec::new();
    for folder in ["crates", "bench"] {
        for source in sources(&root().join(folder)) {
            if !source.text.starts_with("//! ") || source.text.starts_with("//! placeholder") {
                wrong.push(short(&source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "without `//!` in the first line: {wrong:#?}");
}

#[test]
fn only_the_drivers_say_the_words_of_a_vendor() {
    let mut wrong = Vec::new();
    // An agent asks the libvirt of its own host whether it answers: that is a health check, not a driver's work.
    for room in ["model", "plan", "roll", "bank", "bundle", "device", "store", "executor"] {
        for source in sources(&root().join("crates").join(room).join("src")) {
            for (number, line) in source.code() {
                // The mark in the second sector of an ESXi bank is spelled so.
                if line.contains("const BANK_MAGIC:") {
                    continue;
                }
                let lower = line.to_lowercase();
                for word in VENDORS.iter().filter(|word| lower.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word}", short(&source.path)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_crate_takes_the_lints_of_the_workspace_or_says_why_not() {
    // The fuzz programs are no part of the workspace: they need a sanitizer, and cannot take its lints.
    let outside = [root(), root().join("fuzz")];
    let among = |path: &std::path::PathBuf| !outside.iter().any(|folder| path.parent() == Some(folder));
    for path in files(&root(), "Cargo.toml").into_iter().filter(among) {
        let text = std::fs::read_to_string(&path).unwrap();
        let own = text.contains("# A copy of the workspace's lints with one difference");
        assert!(text.contains("[lints]\nworkspace = true") || own, "{} takes no lints", short(&path));
    }
}
