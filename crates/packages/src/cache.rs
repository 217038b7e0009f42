//! Looking for package files of given versions.
//!
//! Owns: the folders where package managers keep them. Promises: a file is believed only after it was looked into. Does
//! not: fetch.

use std::fs;
use std::path::{Path, PathBuf};

/// Deepest folder that is searched: dnf keeps `cache/REPO-HASH/packages/`.
const DEEPEST: usize = 4;
/// Most files that are looked at.
const MOST: usize = 200_000;

/// Files under `folder` whose names begin and end as given.
pub(crate) fn find_files(folder: &Path, begins: &str, ends: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST {
                return found;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < DEEPEST => open.push((entry.path(), depth + 1)),
                Ok(kind) if kind.is_file() && name.starts_with(begins) && name.ends_with(ends) => {
                    found.push(entry.path());
                }
                _ => {}
            }
        }
    }
    found.sort();
    found
}
