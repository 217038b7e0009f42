//! What a check is asked for.

use std::collections::BTreeMap;

use crate::esx::content::Depth;

/// How a check is made.
#[derive(Debug, Clone)]
pub struct CheckOptions<'a> {
    /// How deep.
    pub depth: Depth,
    /// Threads for looking through content.
    pub threads: usize,
    /// A release that shall be installed next: does it fit?
    pub release: Option<&'a ReleaseSize>,
    /// What the files of a bank have to be, by the letter of the bank.
    pub manifests: &'a [(char, BankManifest)],
}

impl CheckOptions<'_> {
    /// A check of this depth, with both cores, and nothing else known.
    #[must_use]
    pub const fn new(depth: Depth) -> Self {
        Self { depth, threads: 2, release: None, manifests: &[] }
    }
}

/// Sizes of a release's files on a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseSize {
    /// Its name, for words.
    pub name: String,
    /// Bytes of each file.
    pub files: Vec<u64>,
}

/// What a file has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Bytes; none when not known.
    pub len: Option<u64>,
    /// SHA-256 of the file in lower-case hexadecimal digits.
    pub sha256: String,
}

/// What the files of a release have to be, by their name on the bank in lower case, for example `s.v00`.
pub type BankManifest = BTreeMap<String, FileDigest>;
