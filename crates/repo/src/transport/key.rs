//! Names of files in a repository.
//!
//! Owns: which names there are. Promises: a [`Key`] is a relative path of plain ASCII words that means the same in a
//! directory, a URL, a bucket and a registry; it never leaves its root. Does not: say which files there must be.

use std::fmt;

use thiserror::Error;

/// Longest key in bytes.
const MAX_KEY: usize = 240;

/// Why a text is not the name of a repository's file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is no name of a file in a repository: words of A-Z a-z 0-9 . _ + - joined by /, none of them beginning with a dot, at most {MAX_KEY} bytes"
)]
pub struct KeyError {
    /// The text, cut to 100 characters.
    text: String,
}

/// A file of a repository, relative to its root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Checks the text.
    pub fn new(text: impl Into<String>) -> Result<Self, KeyError> {
        let text = text.into();
        let word = |word: &str| {
            !word.is_empty()
                && !word.starts_with('.')
                && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"._+-".contains(&c))
        };
        if text.len() <= MAX_KEY && text.split('/').all(word) {
            Ok(Self(text))
        } else {
            Err(KeyError { text: text.chars().take(100).collect() })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_key_never_leaves_its_root() {
        for bad in
            ["", "/", "a/", "/a", "a//b", "..", "a/../b", ".hidden", "a/.b", "a b", "a%2fb", "ä", "a\\b"]
        {
            assert!(Key::new(bad).is_err(), "{bad:?}");
        }
        assert!(Key::new("a".repeat(241)).is_err());
        assert_eq!(Key::new("metadata/1.root.json").unwrap().as_str(), "metadata/1.root.json");
    }
}
