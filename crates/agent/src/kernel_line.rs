//! What the running kernel line says of the bank.
//!
//! Owns: reading `lifeboat.bank=`, `lifeboat.release=`, `lifeboat.digest=`, `lifeboat.verity=` and `root=PARTUUID=`. Promises: the
//! bank is told by this line and by nothing else; a word given twice is an error, since two writers disagree.
//! Does not: read other options.

use lifeboat_bank::guid::Guid;
use lifeboat_bank::verity::{Verity, VerityWordError};
use lifeboat_model::{Bank, Sha256Hex};
use thiserror::Error;

/// Ours on a kernel line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelLine {
    /// The bank that booted.
    pub bank: Bank,
    /// Partition of the root.
    pub root: Guid,
    /// Version of the release.
    pub version: String,
    /// Identity of the release.
    pub digest: Option<Sha256Hex>,
    /// Hash tree of the root, if it is to be checked while it runs.
    pub verity: Option<Verity>,
}

/// Why a kernel line is not that of a bank.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KernelLineError {
    /// A word is missing.
    #[error("the kernel line has no {word}: this system was not booted from a bank of Lifeboat")]
    Missing {
        /// The word.
        word: &'static str,
    },
    /// A word is there twice.
    #[error("the kernel line has {word} twice; which one holds cannot be known")]
    Twice {
        /// The word.
        word: &'static str,
    },
    /// A word has a value that it cannot have.
    #[error("the kernel line's {word} is wrong: {reason}")]
    Bad {
        /// The word.
        word: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl KernelLine {
    /// Reads a line as `/proc/cmdline` shows it.
    pub fn parse(line: &str) -> Result<Self, KernelLineError> {
        let need = |word: &'static str| value(line, word)?.ok_or(KernelLineError::Missing { word });
        let bad = |word: &'static str| move |reason: String| KernelLineError::Bad { word, reason };
        let bank = need("lifeboat.bank=")?.parse().map_err(bad("lifeboat.bank="))?;
        let root = need(ROOT)?.parse().map_err(bad(ROOT))?;
        let version = need("lifeboat.release=")?.to_owned();
        let digest = value(line, "lifeboat.digest=")?;
        let digest = digest.map(|text| text.parse().map_err(bad("lifeboat.digest="))).transpose()?;
        // A word that is there and cannot be read is no reason to run unchecked.
        let verity = value(line, "lifeboat.verity=")?
            .map(|text| {
                text.parse().map_err(|error: VerityWordError| KernelLineError::Bad {
                    word: "lifeboat.verity=",
                    reason: error.to_string(),
                })
            })
            .transpose()?;
        Ok(Self { bank, root, version, digest, verity })
    }

    /// Only the partition of the root: what the initial RAM file system needs.
    pub fn parse_root(line: &str) -> Result<Guid, KernelLineError> {
        let text = value(line, ROOT)?.ok_or(KernelLineError::Missing { word: ROOT })?;
        text.parse().map_err(|reason| KernelLineError::Bad { word: ROOT, reason })
    }
}

const ROOT: &str = "root=PARTUUID=";

/// The value behind `word`, if the line has it exactly once.
fn value<'a>(line: &'a str, word: &'static str) -> Result<Option<&'a str>, KernelLineError> {
    let mut found = line.split_whitespace().filter_map(|part| part.strip_prefix(word));
    let first = found.next();
    if found.next().is_some() { Err(KernelLineError::Twice { word }) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "0fc63daf-8483-4772-8e79-3d69d8477de4";

    #[test]
    fn the_bank_is_told_by_the_line_and_never_guessed() {
        let line = format!("lifeboat.bank=B root=PARTUUID={GUID} lifeboat.release=2 panic=5\n");
        let read = KernelLine::parse(&line);
        assert_eq!(read.as_ref().map(|line| (line.bank, line.version.as_str())), Ok((Bank::B, "2")));
        assert_eq!(KernelLine::parse("quiet"), Err(KernelLineError::Missing { word: "lifeboat.bank=" }));
        assert_eq!(
            KernelLine::parse(&format!("{line} lifeboat.bank=A")),
            Err(KernelLineError::Twice { word: "lifeboat.bank=" })
        );
        assert!(KernelLine::parse(&line.replace("bank=B", "bank=C")).is_err());
        assert!(KernelLine::parse(&line.replace(GUID, "12")).is_err());
        assert_eq!(read.map(|line| line.verity), Ok(None));
        let tree = format!("sha256:3:12288:{0}:{0}", "5a".repeat(32));
        let checked = KernelLine::parse(&format!("{line} lifeboat.verity={tree}"));
        assert_eq!(checked.map(|line| line.verity.map(|tree| tree.to_string())), Ok(Some(tree.clone())));
        assert!(KernelLine::parse(&format!("{line} lifeboat.verity=none")).is_err());
        assert!(KernelLine::parse(&format!("{line} lifeboat.verity={tree} lifeboat.verity={tree}")).is_err());
    }
}
