//! One block at a time: from stored bytes to verified decoded bytes.
//!
//! Owns: the digest check, the bounded decompression, the running digest of a slot. Promises: memory is at most
//! two blocks plus the decoder; decoded bytes are handed out only after the block's digest, its decoded length
//! and, for the last block, the whole slot's digest were found as signed. Does not: know where bytes come from.

use std::fmt;
use std::io;

use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};
use zstd::bulk::Decompressor;

use crate::error::BundleError;
use crate::manifest::{Block, Codec, Slot};

/// Buffers and decoder that are used again for every block.
#[derive(Default)]
pub(crate) struct BlockDecoder {
    /// Filled by the caller with `stored_len` bytes.
    pub(crate) stored: Vec<u8>,
    decoded: Vec<u8>,
    zstd: Option<Decompressor<'static>>,
    hash: Sha256,
}

impl fmt::Debug for BlockDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockDecoder").finish_non_exhaustive()
    }
}

impl BlockDecoder {
    /// Begins another slot.
    pub(crate) fn start_slot(&mut self) {
        self.hash = Sha256::new();
    }

    /// Verifies and decodes `self.stored`, which is block `index` of `slot` and lay at byte `at`.
    /// After an error nothing is decoded, and the same block can be tried again.
    pub(crate) fn decode(
        &mut self,
        slot: &Slot,
        index: usize,
        block: &Block,
        at: u64,
    ) -> Result<(), BundleError> {
        let outcome = self.try_decode(slot, index, block, at);
        if outcome.is_err() {
            self.decoded.clear();
        }
        outcome
    }

    fn try_decode(&mut self, slot: &Slot, index: usize, block: &Block, at: u64) -> Result<(), BundleError> {
        let found = Sha256Hex::of(&self.stored);
        if found != block.sha256 {
            let expected = block.sha256;
            return Err(BundleError::BlockAltered {
                slot: slot.name.clone(),
                block: index,
                at,
                expected,
                found,
            });
        }
        let undecodable = |source| BundleError::BlockUndecodable {
            slot: slot.name.clone(),
            block: index,
            len: block.len.into(),
            source,
        };
        match block.codec {
            Codec::None => std::mem::swap(&mut self.stored, &mut self.decoded),
            Codec::Zstd => {
                self.decoded.resize(block.len as usize, 0);
                let got = decompress(&mut self.zstd, &self.stored, &mut self.decoded)
                    .map_err(|source| undecodable(Some(source)))?;
                if got != self.decoded.len() {
                    return Err(undecodable(None));
                }
            }
        }
        if self.decoded.len() != block.len as usize {
            return Err(undecodable(None));
        }
        let mut hash = self.hash.clone();
        hash.update(&self.decoded);
        if index + 1 == slot.blocks.len() {
            let found = Sha256Hex(hash.clone().finalize().into());
            if found != slot.sha256 {
                return Err(BundleError::SlotAltered {
                    slot: slot.name.clone(),
                    expected: slot.sha256,
                    found,
                });
            }
        }
        self.hash = hash;
        Ok(())
    }

    /// Bytes of the block that was decoded last; none after an error.
    pub(crate) fn decoded(&self) -> &[u8] {
        &self.decoded
    }
}

/// The destination is exactly as long as was signed: a frame that holds more fails, whatever it claims.
fn decompress(zstd: &mut Option<Decompressor<'static>>, from: &[u8], to: &mut [u8]) -> io::Result<usize> {
    let decoder = match zstd {
        Some(decoder) => decoder,
        None => zstd.insert(Decompressor::new()?),
    };
    decoder.decompress_to_buffer(from, to)
}

/// Copies what fits of a decoded block from `taken` on, and moves `taken`.
pub(crate) fn hand_out(decoded: &[u8], taken: &mut usize, buf: &mut [u8]) -> usize {
    let rest = decoded.get(*taken..).unwrap_or_default();
    let count = rest.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
        to.copy_from_slice(from);
    }
    *taken += count;
    count
}
