//! What has to be known to check an image, and its word on the kernel line.

use std::fmt;
use std::str::FromStr;

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::shape::Shape;
use super::{BLOCK, VerityError};

/// A hash tree: where it lies beside its data, and the root hash that vouches for both. SHA-256, blocks of 4096 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verity {
    /// Blocks of data from byte 0 of the volume.
    pub data_blocks: u64,
    /// Where the superblock of the tree lies, in bytes from byte 0 of the volume; a multiple of 4096, not below the
    /// end of the data.
    pub hash_offset: u64,
    /// Salt that each hash begins with.
    pub salt: Sha256Hex,
    /// Hash of the top of the tree.
    pub root: Sha256Hex,
}

/// Why a word or a description is no hash tree.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerityWordError {
    /// Not five parts.
    #[error("it should be sha256:BLOCKS:OFFSET:SALT:ROOT, and is {found:?}")]
    Form {
        /// What is there, cut to 200 characters.
        found: String,
    },
    /// Another algorithm.
    #[error("its algorithm is {found:?}; only sha256 is known")]
    Algorithm {
        /// What is there.
        found: String,
    },
    /// The tree cannot lie there.
    #[error("the tree cannot lie at byte {hash_offset} behind {data_blocks} blocks of 4096 bytes")]
    Place {
        /// Blocks of data.
        data_blocks: u64,
        /// Where it should lie.
        hash_offset: u64,
    },
}

impl Verity {
    /// Whether the tree can lie where it is said to.
    pub fn check(&self) -> Result<(), VerityWordError> {
        let Self { data_blocks, hash_offset, .. } = *self;
        let data = data_blocks.checked_mul(BLOCK);
        let fits = data_blocks > 0
            && data_blocks <= 1 << 50
            && hash_offset.is_multiple_of(BLOCK)
            && hash_offset <= 1 << 62
            && data.is_some_and(|data| data <= hash_offset);
        if fits { Ok(()) } else { Err(VerityWordError::Place { data_blocks, hash_offset }) }
    }

    /// Where the tree ends, in bytes from byte 0 of the volume.
    pub fn end(&self) -> Result<u64, VerityError> {
        Ok(self.hash_offset.saturating_add(Shape::of(self.data_blocks)?.bytes))
    }

    /// Bytes of the data that are protected.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.data_blocks.saturating_mul(BLOCK)
    }

    /// Sectors of 512 bytes that the mapped device has.
    #[must_use]
    pub fn sectors(&self) -> u64 {
        self.data_blocks.saturating_mul(BLOCK / 512)
    }

    /// Parameters of the kernel's target `verity` for data and tree on `device` (its path, or `major:minor`). With
    /// `restart` the machine restarts at the first damaged block, which is right while a bank is on trial only: a
    /// bank that is in use would restart for ever.
    #[must_use]
    pub fn target(&self, device: &str, restart: bool) -> String {
        let Self { data_blocks, hash_offset, salt, root } = self;
        let hashes = hash_offset / BLOCK + 1;
        let more = if restart { " 1 restart_on_corruption" } else { "" };
        format!("1 {device} {device} {BLOCK} {BLOCK} {data_blocks} {hashes} sha256 {root} {salt}{more}")
    }
}

impl fmt::Display for Verity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data_blocks, hash_offset, salt, root } = self;
        write!(f, "sha256:{data_blocks}:{hash_offset}:{salt}:{root}")
    }
}

impl FromStr for Verity {
    type Err = VerityWordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || VerityWordError::Form { found: text.chars().take(200).collect() };
        let parts: Vec<&str> = text.split(':').collect();
        let [algorithm, blocks, offset, salt, root] = parts.as_slice() else { return Err(form()) };
        if *algorithm != "sha256" {
            return Err(VerityWordError::Algorithm { found: algorithm.chars().take(200).collect() });
        }
        // One number, one spelling: what is written is what was read.
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        let verity = Self {
            data_blocks: number(blocks).ok_or_else(form)?,
            hash_offset: number(offset).ok_or_else(form)?,
            salt: salt.parse().map_err(|_| form())?,
            root: root.parse().map_err(|_| form())?,
        };
        verity.check()?;
        Ok(verity)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_word_reads_back_and_nothing_else_is_one() {
        let verity = Verity {
            data_blocks: 3,
            hash_offset: 12288,
            salt: Sha256Hex::of(b"s"),
            root: Sha256Hex::of(b"r"),
        };
        let word = verity.to_string();
        assert_eq!(word.parse::<Verity>().unwrap(), verity);
        assert_eq!(word.len(), "sha256:3:12288:".len() + 129);
        for len in 0..word.len() {
            assert!(word[..len].parse::<Verity>().is_err(), "cut to {len}");
        }
        for (from, to) in [
            ("sha256", "sha1"),
            (":3:", ":0:"),
            (":3:", ":4:"),
            (":3:", ":+3:"),
            (":3:", ":03:"),
            (":12288:", ":12289:"),
            (":3:", ":18446744073709551615:"),
        ] {
            assert!(word.replace(from, to).parse::<Verity>().is_err(), "{from} {to}");
        }
        let target = verity.target("/dev/vda2", true);
        assert!(target.starts_with("1 /dev/vda2 /dev/vda2 4096 4096 3 4 sha256 "), "{target}");
        assert!(target.ends_with(" 1 restart_on_corruption"));
    }
}
