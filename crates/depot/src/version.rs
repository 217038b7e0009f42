//! The order of VIB versions.
//!
//! Owns: [`VibVersion`]. No public specification was found; the rule fits every pair that a real update proved:
//! split at the first hyphen into version and release, compare both as lists of runs of digits and runs of letters,
//! digits as numbers of any length; the release decides when the versions are equal. Where no real pair decides
//! (digits against letters at one place, and a list that is the beginning of the other one by letters) letters are
//! lower than digits and the shorter list is lower; [`VibVersion::settled_against`] tells such cases apart.
//! Promises: a total order, and bounded work.

use std::cmp::Ordering;
use std::fmt;

use serde::{Serialize, Serializer};

/// A version as `VERSION` or `VERSION-RELEASE`.
#[derive(Debug, Clone)]
pub struct VibVersion {
    text: String,
    version: Vec<Run>,
    release: Vec<Run>,
}

/// A run of letters or of digits. The order of the variants is the order of unlike runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Run {
    Letters(String),
    /// Without leading zeros, the length first: so the derived order is that of the numbers.
    Digits(usize, String),
}

impl VibVersion {
    /// Reads a version; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        let (version, release) = text.split_once('-').unwrap_or((text, ""));
        Self { text: text.to_owned(), version: runs(version), release: runs(release) }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the order of the two rests on what real updates have shown, and not on our choice.
    #[must_use]
    pub fn settled_against(&self, other: &Self) -> bool {
        settled(&self.version, &other.version)
            .or_else(|| settled(&self.release, &other.release))
            .unwrap_or(true)
    }

    fn key(&self) -> (&[Run], &[Run]) {
        (&self.version, &self.release)
    }
}

/// Whether the first difference is settled; `None` when there is none.
fn settled(left: &[Run], right: &[Run]) -> Option<bool> {
    for (a, b) in left.iter().zip(right) {
        if a != b {
            return Some(matches!(
                (a, b),
                (Run::Digits(..), Run::Digits(..)) | (Run::Letters(_), Run::Letters(_))
            ));
        }
    }
    match (left.len().cmp(&right.len()), left.get(right.len()), right.get(left.len())) {
        (Ordering::Equal, ..) => None,
        // More numbers are a later version in every scheme; trailing letters may mean before or after.
        (_, Some(Run::Digits(..)), _) | (_, _, Some(Run::Digits(..))) => Some(true),
        _ => Some(false),
    }
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let kind = kind(first);
        let end = rest.find(|c| self::kind(c) != kind).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        match kind {
            Kind::Digit => {
                let plain = run.trim_start_matches('0');
                runs.push(Run::Digits(plain.len(), plain.to_owned()));
            }
            Kind::Letter => runs.push(Run::Letters(run.to_owned())),
            Kind::Between => {}
        }
        rest = after;
    }
    runs
}

#[derive(PartialEq, Eq)]
enum Kind {
    Digit,
    Letter,
    Between,
}

fn kind(c: char) -> Kind {
    if c.is_ascii_digit() {
        Kind::Digit
    } else if c.is_alphanumeric() {
        Kind::Letter
    } else {
        Kind::Between
    }
}

impl PartialEq for VibVersion {
    /// Equal in order: `1.0` and `1.00` are.
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for VibVersion {}

impl PartialOrd for VibVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VibVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for VibVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for VibVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
