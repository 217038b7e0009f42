//! Digests of chunks.
//!
//! Owns: [`ChunkHash`], by which equal content is found and everything written is checked, and [`StoredCheck`], which
//! is asked before stored bytes reach a decoder. Promises: both are BLAKE3. Does not: hold keys or secrets; a chunk's
//! hash is bound to a release by the signed digest of its index.

use std::fmt;

/// BLAKE3 of a chunk's decoded bytes: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkHash(pub [u8; 32]);

impl ChunkHash {
    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkHash({self})")
    }
}

/// The first 16 bytes of BLAKE3 of a chunk's stored bytes. Nobody can find other bytes with the check of given ones
/// (128 bits), which is all that it is asked for; equal content is found by [`ChunkHash`] only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredCheck(pub [u8; 16]);

impl StoredCheck {
    /// What stands for a chunk without stored bytes.
    pub const NONE: Self = Self([0; 16]);

    /// The check of `stored`.
    #[must_use]
    pub fn of(stored: &[u8]) -> Self {
        Self(blake3::hash(stored).as_bytes().first_chunk::<16>().copied().unwrap_or_default())
    }
}

impl fmt::Debug for StoredCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
