//! Where a host's files are: arguments, so that a test can hand over a folder.
//!
//! Owns: [`Roots`]. Promises: every other module asks here for a path. Does not: touch a file.

use std::path::{Path, PathBuf};

/// The places of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// The root of the host's file system, `/` on the host itself.
    pub root: PathBuf,
    /// Its process file system.
    pub proc: PathBuf,
    /// Where transactions are kept.
    pub state: PathBuf,
    /// What vanishes with the next boot.
    pub run: PathBuf,
}

impl Roots {
    /// The host that this program runs on.
    #[must_use]
    pub fn host() -> Self {
        Self::at(Path::new("/"))
    }

    /// The host whose root is mounted at `root`; its processes are those of this machine.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            proc: PathBuf::from("/proc"),
            state: root.join("var/lib/lifeboat/packages"),
            run: root.join("run"),
        }
    }

    /// A path of the host as a path of this program.
    #[must_use]
    pub fn host_path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Whether this is the running host itself.
    #[must_use]
    pub fn is_host(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A path as the host names it.
    #[must_use]
    pub fn as_host(&self, path: &Path) -> String {
        path.strip_prefix(&self.root)
            .map_or_else(|_| path.display().to_string(), |rest| format!("/{}", rest.display()))
    }
}
