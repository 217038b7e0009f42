//! Names of a repository's files as tags of a registry.
//!
//! Owns: key ↔ tag. A tag has at most 128 letters of `A-Z a-z 0-9 . _ -`, and does not begin with `.` or `-` (OCI
//! distribution specification 1.1). So `_` is written `__`, `/` is `_s`, `+` is `_p`; what becomes too long is
//! `_h` and the SHA-256 of the key, and its manifest tells the key. Promises: different keys have different tags.

use lifeboat_model::Sha256Hex;

use super::Key;

const MAX_TAG: usize = 128;

/// The tag of a file.
pub(crate) fn tag(key: &Key) -> String {
    let mut tag = String::new();
    for c in key.as_str().chars() {
        match c {
            '_' => tag.push_str("__"),
            '/' => tag.push_str("_s"),
            '+' => tag.push_str("_p"),
            c => tag.push(c),
        }
    }
    // Keys begin with a letter, a digit, or one of `_ + -`.
    if tag.starts_with('-') {
        tag.insert_str(0, "_m");
    }
    if tag.len() <= MAX_TAG { tag } else { format!("_h{}", Sha256Hex::of(key.as_str().as_bytes())) }
}

/// What a tag says about its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// This is it.
    Key(Key),
    /// The manifest has the name.
    Long,
    /// Not a file of a repository.
    Foreign,
}

/// The file of a tag.
pub(crate) fn named(tag: &str) -> Named {
    if tag.strip_prefix("_h").is_some_and(|hash| hash.len() == 64) {
        return Named::Long;
    }
    let mut text = String::new();
    let mut letters = tag.strip_prefix("_m").unwrap_or(tag).chars();
    while let Some(c) = letters.next() {
        text.push(match c {
            '_' => match letters.next() {
                Some('_') => '_',
                Some('s') => '/',
                Some('p') => '+',
                Some(_) | None => return Named::Foreign,
            },
            c => c,
        });
    }
    match Key::new(text) {
        // A tag that we would not write is somebody else's.
        Ok(key) if self::tag(&key) == tag => Named::Key(key),
        Ok(_) | Err(_) => Named::Foreign,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_key_comes_back_from_its_tag() {
        for text in ["a", "a/b_c+d", "_/_s", "-x", "metadata/1.root.json", "A/_h", "__", "+"] {
            let key = Key::new(text).unwrap();
            let tag = tag(&key);
            assert!(tag.len() <= MAX_TAG && !tag.starts_with(['.', '-']), "{tag}");
            assert_eq!(named(&tag), Named::Key(key), "{tag}");
        }
        let long = Key::new("a/".repeat(60) + "bcdefghij/klmnop").unwrap();
        assert_eq!(named(&tag(&long)), Named::Long);
        for foreign in ["_x", "latest_", "a__b_"] {
            assert_eq!(named(foreign), Named::Foreign);
        }
    }
}
