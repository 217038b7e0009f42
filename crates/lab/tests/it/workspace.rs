//! The repository as the tests see it: where it lies, its crates as cargo knows them, its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a crate wants another one for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

/// Our crates by name without `lifeboat-`, each with what its manifest asks for.
pub(crate) struct Workspace {
    pub(crate) crates: BTreeMap<String, BTreeSet<(Kind, String)>>,
}

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Our crates are named by their room.
pub(crate) fn room(package: &str) -> &str {
    match package {
        "lifeboat" => "cli",
        other => other.strip_prefix("lifeboat-").unwrap_or(other),
    }
}

impl Workspace {
    /// As the manifests say; nothing is resolved, so this works offline and on every platform.
    pub(crate) fn read() -> Self {
        let metadata = cargo(&["metadata", "--format-version", "1", "--offline", "--no-deps"]);
        let metadata: Value = serde_json::from_str(&metadata).unwrap();
        let mut crates = BTreeMap::new();
        for package in metadata["packages"].as_array().unwrap() {
            let asked = package["dependencies"].as_array().unwrap().iter().map(|dependency| {
                let kind = match dependency["kind"].as_str() {
                    None => Kind::Normal,
                    Some("build") => Kind::Build,
                    Some("dev") => Kind::Dev,
                    Some(other) => panic!("a new kind of dependency: {other}"),
                };
                (kind, dependency["name"].as_str().unwrap().to_owned())
            });
            let name = package["name"].as_str().unwrap();
            assert!(name.starts_with("lifeboat"), "{name} is not named after the project");
            crates.insert(room(name).to_owned(), asked.collect());
        }
        assert!(crates.len() >= 12, "cargo shows only {} crates", crates.len());
        Self { crates }
    }

    /// Our own crates that `of` asks for, for one of `kinds`.
    pub(crate) fn rooms(&self, of: &str, kinds: &[Kind]) -> BTreeSet<&str> {
        let asked = self.crates[of].iter().filter(|(kind, _)| kinds.contains(kind));
        asked.map(|(_, name)| room(name)).filter(|name| self.crates.contains_key(*name)).collect()
    }

    /// Crates of others that `of` asks for outside its tests.
    pub(crate) fn outside(&self, of: &str) -> BTreeSet<&str> {
        let asked = self.crates[of].iter().filter(|(kind, _)| *kind != Kind::Dev);
        asked.map(|(_, name)| name.as_str()).filter(|name| !self.crates.contains_key(room(name))).collect()
    }
}

/// Everything that is built into `of` on this platform, its own name included; tests are not counted.
pub(crate) fn built_into(of: &str) -> BTreeSet<String> {
    let package = if of == "cli" { "lifeboat".to_owned() } else { format!("lifeboat-{of}") };
    let tree = cargo(&["tree", "--offline", "--locked", "-p", &package, "-e", "normal", "--prefix", "none"]);
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Files below `folder` whose names end in `end`, in order; what cargo builds and hidden folders are left out.
pub(crate) fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if name.ends_with(end) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
