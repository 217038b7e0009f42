//! Words for what hosts shall run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Sha256Hex;

/// The version of a release as its maker writes it, for people. Order is decided by [`ReleaseRef::serial`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseVersion(pub String);

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which release, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReleaseRef {
    /// Product line, for example `lab-host`. A host does not change its line by an upgrade.
    pub name: String,
    /// Version for people.
    pub version: ReleaseVersion,
    /// Number that only grows within a line; a lower one is a downgrade.
    pub serial: u64,
    /// Digest of the signed manifest: the identity of the release.
    pub digest: Sha256Hex,
}

impl fmt::Display for ReleaseRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.digest.short())
    }
}
