//! Packs: files of stored chunks, one behind the other.
//!
//! Owns: the name and the head of a pack, [`PackSource`], from which ranges of packs are read. Promises: a pack is
//! named by the SHA-256 of all its bytes. Does not: verify ranges; every chunk is checked by its index.

use std::fmt;
use std::io;

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};

/// The bytes with which every pack begins: magic and version 1. The first chunk lies right behind them.
pub const PACK_HEAD: [u8; 16] = *b"LFPACK01\x01\0\0\0\0\0\0\0";
/// Length of [`PACK_HEAD`].
pub const PACK_HEAD_LEN: u64 = 16;
/// Longest pack, and greatest offset in one: 2^48 - 1.
pub const MAX_PACK_LEN: u64 = (1 << 48) - 1;

/// Name of a pack: SHA-256 of all its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PackId(pub Sha256Hex);

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pack as the manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PackRef {
    /// SHA-256 of all its bytes.
    pub sha256: PackId,
    /// Length in bytes, head included.
    pub len: u64,
}

/// Ranges of packs: a bundle, a folder, a server. What it gives is checked by whoever asked.
pub trait PackSource: Sync {
    /// Fills `buf` from byte `offset` of `pack` on. Asked for ranges of up to some MiB, mostly in rising order, by one
    /// thread of an install at a time, or by several.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if the pack or the range is not there; otherwise the source's own error.
    fn read_at(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Whether the range is there at all. Asked before anything is written; a bundle that carries only what a base
    /// release lacks says no for the rest.
    fn has(&self, _pack: &PackId, _offset: u64, _len: u64) -> bool {
        true
    }
}

impl<T: PackSource + ?Sized> PackSource for &T {
    fn read_at(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(pack, offset, buf)
    }

    fn has(&self, pack: &PackId, offset: u64, len: u64) -> bool {
        (**self).has(pack, offset, len)
    }
}
