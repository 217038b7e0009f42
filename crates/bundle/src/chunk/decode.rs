//! From stored bytes to a chunk's bytes.
//!
//! Owns: the check before the decoder, the bounded decoding. Promises: a frame that holds more than the chunk's signed
//! length fails; hostile bytes never reach the decoder. Does not: compare the decoded bytes with the chunk's hash.

use std::fmt;

use zstd::bulk::Decompressor;

use super::hash::StoredCheck;
use super::index::{ChunkCodec, Location};

/// Why a chunk's stored bytes are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// They are not those that were signed.
    Altered,
    /// They are, and do not decode to the signed length.
    Wrong,
}

/// A decoder that is used again.
#[derive(Default)]
pub(crate) struct ChunkDecoder {
    zstd: Option<Decompressor<'static>>,
}

impl fmt::Debug for ChunkDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkDecoder").finish_non_exhaustive()
    }
}

impl ChunkDecoder {
    /// Fills `to`, which is as long as the chunk.
    pub(crate) fn decode(&mut self, at: &Location, stored: &[u8], to: &mut [u8]) -> Result<(), Undecodable> {
        if StoredCheck::of(stored) != at.check {
            return Err(Undecodable::Altered);
        }
        match at.codec {
            ChunkCodec::Plain if stored.len() == to.len() => {
                to.copy_from_slice(stored);
                Ok(())
            }
            ChunkCodec::Plain => Err(Undecodable::Wrong),
            ChunkCodec::Zstd => {
                let decoder = match &mut self.zstd {
                    Some(decoder) => decoder,
                    none => none.insert(Decompressor::new().map_err(|_| Undecodable::Wrong)?),
                };
                match decoder.decompress_to_buffer(stored, to) {
                    Ok(got) if got == to.len() => Ok(()),
                    Ok(_) | Err(_) => Err(Undecodable::Wrong),
                }
            }
        }
    }
}
