//! Configuration files that a person changed, and what an update does to them.
//!
//! Owns: their words, and the search for what was left beside them. Promises: the file here is kept, always, and nothing
//! about it is silent. Does not: merge.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde::{Deserialize, Serialize};

use crate::roots::Roots;

/// What becomes of a changed configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConffileFate {
    /// The package brings the same file as before: nothing happens.
    Untouched,
    /// The package brings another one: the file here is kept, the other is laid beside it.
    KeptNewBeside,
    /// The file was removed here: it stays away.
    StaysAway,
    /// The package brings the very content that is here.
    Same,
}

/// A configuration file that was changed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conffile {
    /// The package.
    pub package: String,
    /// The file.
    pub path: String,
    /// What becomes of it.
    pub fate: ConffileFate,
}

/// A copy beside a configuration file that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// The copy.
    pub path: String,
    /// Whether it appeared in this transaction.
    pub new: bool,
}

/// Copies beside `conffiles`; `since` is when the transaction began, seconds after 1970.
pub(crate) fn find_leftovers(
    roots: &Roots,
    conffiles: &[String],
    endings: &[&str],
    since: i64,
) -> Vec<Leftover> {
    let mut found = Vec::new();
    for path in conffiles {
        for ending in endings {
            let beside = format!("{path}{ending}");
            let Ok(meta) = fs::symlink_metadata(roots.host_path(&beside)) else { continue };
            found.push(Leftover { path: beside, new: meta.ctime() >= since });
        }
    }
    found
}
