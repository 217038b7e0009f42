//! A path below the root of a host.
//!
//! Owns: [`RelPath`]. Promises: one that exists has no empty part, no `.`, no `..` and no NUL, so it cannot lead out of the
//! root by its spelling; what links do on the way is held by [`crate::root::Root`]. Does not: touch any file.

use std::cmp::Ordering;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Longest path in bytes.
pub const PATH_LIMIT: usize = 4095;

/// Bytes that are no path below a root.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{shown:?} is no path below the root of a host: {reason}")]
pub struct PathError {
    /// The bytes, as text.
    pub shown: String,
    /// What is wrong with them.
    pub reason: &'static str,
}

/// A path below the root of a host, such as `etc/fstab`: bytes, as file systems have them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RelPath(Vec<u8>);

impl RelPath {
    /// Checks bytes as a path.
    pub fn new(bytes: &[u8]) -> Result<Self, PathError> {
        let refuse = |reason| Err(PathError { shown: shown(bytes), reason });
        if bytes.is_empty() {
            return refuse("it is empty");
        }
        if bytes.len() > PATH_LIMIT {
            return refuse("it is longer than 4095 bytes");
        }
        if bytes.contains(&0) {
            return refuse("it has a NUL");
        }
        if bytes.first() == Some(&b'/') {
            return refuse("it is absolute");
        }
        for part in bytes.split(|byte| *byte == b'/') {
            match part {
                b"" => return refuse("it has an empty part"),
                b"." => return refuse("it has a part `.`"),
                b".." => return refuse("it has a part `..`"),
                part if part.len() > 255 => return refuse("a part is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path as text, if it is text.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The last part.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// The path without its last part; none for a path of one part.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0.get(..cut)?.to_vec()))
    }

    /// Every folder above, the outermost first.
    pub fn ancestors(&self) -> Vec<Self> {
        let mut above: Vec<Self> = std::iter::successors(self.parent(), Self::parent).collect();
        above.reverse();
        above
    }

    /// The path of something in this folder.
    pub fn join(&self, name: &[u8]) -> Result<Self, PathError> {
        let mut bytes = self.0.clone();
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::new(&bytes)
    }

    /// Whether it is `folder` or lies in it.
    pub fn is_within(&self, folder: &str) -> bool {
        self.0
            .strip_prefix(folder.as_bytes())
            .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
    }
}

/// As a walk through folders goes: a folder directly before what lies in it.
impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.split(|byte| *byte == b'/').cmp(other.0.split(|byte| *byte == b'/'))
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelPath({self})")
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&unshown(&text)).map_err(D::Error::custom)
    }
}

/// The bytes of which [`shown`] made this text.
fn unshown(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let number = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = if let Some(byte) = number {
            bytes.push(byte);
            after.get(2..).unwrap_or_default()
        } else {
            bytes.extend_from_slice(b"\\x");
            after
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// Bytes as text that does no harm on a terminal: what is not printable stands as `\xNN`.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter.is_control() || letter == '\\' {
                text.extend(letter.to_string().bytes().map(|byte| format!("\\x{byte:02x}")));
            } else {
                text.push(letter);
            }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_could_lead_out_of_the_root_is_no_path() {
        for wrong in ["", "/etc", "../x", "a/../b", "a//b", "./a", "a/.", "a\0b", "a/", ".."] {
            assert!(RelPath::new(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(RelPath::new(&[b'a'; 256]).is_err());
        for good in ["etc", "etc/..x", "a/b.c", "etc/\u{e9}"] {
            assert!(RelPath::new(good.as_bytes()).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_folder_comes_directly_before_what_lies_in_it() {
        let mut paths: Vec<RelPath> =
            ["a-b", "a/b", "a", "a/b/c"].iter().map(|path| RelPath::new(path.as_bytes()).unwrap()).collect();
        paths.sort();
        let sorted: Vec<String> = paths.iter().map(RelPath::to_string).collect();
        assert_eq!(sorted, ["a", "a/b", "a/b/c", "a-b"]);
        assert!(paths.iter().all(|path| path.is_within("a") == (path.to_string() != "a-b")));
    }

    #[test]
    fn a_name_does_no_harm_on_a_terminal() {
        assert_eq!(shown(b"a\x1b[2J\xff"), "a\\x1b[2J\\xff");
    }

    #[test]
    fn every_path_is_read_back_from_its_text() {
        for bytes in [&b"etc/a\\x41b"[..], b"etc/\xff\x01", "etc/\u{e9} x".as_bytes()] {
            let path = RelPath::new(bytes).unwrap();
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<RelPath>(&json).unwrap(), path, "{json}");
        }
    }
}
