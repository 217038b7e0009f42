//! Which files a repository has: `docs/formats/repository.md`.
//!
//! Owns: their keys and the lengths that a reader allows. Does not: read or write them.

use std::num::NonZeroU64;

use lifeboat_model::Sha256Hex;

use crate::transport::{Key, KeyError};

/// Signed metadata.
pub(crate) const METADATA: &str = "metadata/";
/// Manifests of releases and their signatures: what TUF calls targets.
pub(crate) const RELEASES: &str = "releases/";
/// Chunk indexes, named by their SHA-256.
pub(crate) const INDEXES: &str = "indexes/";
/// Packs of chunks, named by their SHA-256.
pub(crate) const PACKS: &str = "packs/";
/// Metadata that lacks signatures. No reader of releases looks there.
pub(crate) const STAGING: &str = "staging/";
/// Files that nothing needs any more, and since when.
pub(crate) const GARBAGE: &str = "staging/garbage.json";

/// Longest root, timestamp and snapshot.
pub(crate) const MAX_SMALL_ROLE: u64 = 1 << 20;
/// Longest targets.
pub(crate) const MAX_TARGETS: u64 = 10 << 20;
/// Longest file below `releases/`.
pub(crate) const MAX_RELEASE_FILE: u64 = 16 << 20;

pub(crate) fn timestamp() -> Result<Key, KeyError> {
    Key::new("metadata/timestamp.json")
}

/// `metadata/7.targets.json`; `role` is root, targets or snapshot.
pub(crate) fn versioned(role: &str, version: NonZeroU64) -> Result<Key, KeyError> {
    Key::new(format!("{METADATA}{version}.{role}.json"))
}

/// `staging/targets.json`.
pub(crate) fn staged(role: &str) -> Result<Key, KeyError> {
    Key::new(format!("{STAGING}{role}.json"))
}

/// Name of the target with the manifest of a release.
pub(crate) fn manifest_target(name: &str, serial: u64) -> String {
    format!("{name}.{serial}.manifest")
}

/// Name of the target with the signatures of a release.
pub(crate) fn signatures_target(name: &str, serial: u64) -> String {
    format!("{name}.{serial}.signatures")
}

/// A target's file: the digest goes before the name, as consistent snapshots want it.
pub(crate) fn target(name: &str, sha256: Sha256Hex) -> Result<Key, KeyError> {
    Key::new(format!("{RELEASES}{sha256}.{name}"))
}

pub(crate) fn index(sha256: Sha256Hex) -> Result<Key, KeyError> {
    Key::new(format!("{INDEXES}{sha256}"))
}

pub(crate) fn pack(sha256: Sha256Hex) -> Result<Key, KeyError> {
    Key::new(format!("{PACKS}{sha256}"))
}
