//! Whom a reader trusts.
//!
//! Owns: the set of public keys and how many of them must have signed. Promises: a threshold that cannot be met
//! is refused when the set is made. Does not: keep files.

use std::fmt::Write as _;

use crate::keys::{KeyError, KeyId, PublicKey};

/// Public keys whose signatures count, and how many distinct ones are needed.
#[derive(Debug, Clone)]
pub struct TrustStore {
    keys: Vec<PublicKey>,
    threshold: usize,
}

impl TrustStore {
    /// Trust in any one of `keys`.
    pub fn new(keys: Vec<PublicKey>) -> Result<Self, KeyError> {
        Self::with_threshold(keys, 1)
    }

    /// Trust in releases that `threshold` distinct keys of `keys` signed. Repeated keys count once.
    pub fn with_threshold(keys: Vec<PublicKey>, threshold: usize) -> Result<Self, KeyError> {
        let mut distinct: Vec<PublicKey> = Vec::new();
        for key in keys {
            // By the key itself, not by its comment.
            if distinct.iter().all(|known| !known.same_key(&key)) {
                distinct.push(key);
            }
        }
        if distinct.is_empty() {
            return Err(KeyError::Empty);
        }
        if threshold == 0 || threshold > distinct.len() {
            return Err(KeyError::Threshold { threshold, keys: distinct.len() });
        }
        Ok(Self { keys: distinct, threshold })
    }

    /// Reads a file of `lifeboat-public-key-1` lines; empty lines and lines that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = PublicKey::parse(line)
                .map_err(|source| KeyError::Line { line: index + 1, source: Box::new(source) })?;
            keys.push(key);
        }
        Self::new(keys)
    }

    /// The text that [`TrustStore::parse`] reads. The threshold is not part of it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for key in &self.keys {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{}", key.to_text());
        }
        text
    }

    /// The keys, in the order given.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Distinct keys that must have signed.
    #[must_use]
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// Ids of the keys.
    #[must_use]
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(PublicKey::id).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::keys::SecretKey;

    fn public(seed: u8, comment: &str) -> PublicKey {
        SecretKey::from_random([seed; 32], comment).unwrap().public()
    }

    #[test]
    fn a_file_of_keys_is_read_and_its_bad_line_named() {
        let store = TrustStore::new(vec![public(1, "one"), public(2, "two")]).unwrap();
        let again = TrustStore::parse(&format!("# ours\n\n{}", store.to_text())).unwrap();
        assert_eq!(again.ids(), store.ids());
        let error = TrustStore::parse("# ours\nssh-ed25519 AAAA").unwrap_err();
        assert!(matches!(error, KeyError::Line { line: 2, .. }), "{error:?}");
        assert_eq!(TrustStore::parse("").unwrap_err(), KeyError::Empty);
    }

    #[test]
    fn one_key_under_two_comments_counts_once() {
        let twice = vec![public(1, "one"), public(1, "uno")];
        let error = TrustStore::with_threshold(twice, 2).unwrap_err();
        assert_eq!(error, KeyError::Threshold { threshold: 2, keys: 1 });
        let none = TrustStore::with_threshold(vec![public(1, "")], 0).unwrap_err();
        assert_eq!(none, KeyError::Threshold { threshold: 0, keys: 1 });
    }
}
