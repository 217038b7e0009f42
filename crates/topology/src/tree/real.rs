//! A tree on this machine: the root, or a folder that holds a dump.
//!
//! Promises: only regular files are opened, so that a pipe or a device in a dump holds nobody up; a link in the last
//! place is not followed. Does not: guard against somebody who changes the folder meanwhile.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::seen::{Tree, TreeError};

/// Most names of one folder that are taken.
const NAMES: usize = 100_000;

/// A folder of this machine as a tree.
#[derive(Debug, Clone)]
pub struct RealTree {
    root: PathBuf,
}

impl RealTree {
    /// The tree under `root`; `/` is the machine itself.
    pub fn new(root: impl AsRef<Path>) -> Self {
        Self { root: root.as_ref().to_owned() }
    }

    fn place(&self, path: &str) -> Result<PathBuf, TreeError> {
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if !path.is_empty() && !path.split('/').all(plain) {
            return Err(TreeError::NotFound);
        }
        Ok(self.root.join(path))
    }
}

impl Tree for RealTree {
    fn read_dir(&self, path: &str) -> Result<Vec<String>, TreeError> {
        let place = self.place(path)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(place)?.take(NAMES) {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read_file(&self, path: &str, limit: usize) -> Result<Vec<u8>, TreeError> {
        let place = self.place(path)?;
        if !fs::symlink_metadata(&place)?.is_file() {
            return Err(TreeError::NotA("a file"));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        File::open(&place)?.take(most).read_to_end(&mut bytes)?;
        if bytes.len() > limit {
            return Err(TreeError::TooLong { limit });
        }
        Ok(bytes)
    }

    fn read_link(&self, path: &str) -> Result<Option<String>, TreeError> {
        let place = self.place(path)?;
        if !fs::symlink_metadata(&place)?.is_symlink() {
            return Ok(None);
        }
        fs::read_link(&place)?.into_os_string().into_string().map(Some).map_err(|_| TreeError::NotText)
    }
}
