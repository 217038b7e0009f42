//! Slots of format 2 from beginning to end, and the verification of all of them.
//!
//! Owns: [`ChunkSlot`], which reads one chunk after the other, and `verify_slot`. Promises: as a slot of blocks: nothing
//! of a chunk leaves before it was verified, nothing of the last one before the whole slot was. Does not: use seeds.

use std::fmt;
use std::io;

use lifeboat_model::Sha256Hex;
use lifeboat_model::image::ImageTarget;
use sha2::{Digest, Sha256};

use crate::chunk::{ChunkReader, ChunkedRelease, PackSource, check_carried};
use crate::error::BundleError;
use crate::manifest::Slot;

/// A slot that is read chunk by chunk.
pub(crate) struct ChunkSlot<'b> {
    slot: &'b Slot,
    chunks: Vec<u32>,
    reader: ChunkReader<'b>,
    next: usize,
    hash: Sha256,
    decoded: Vec<u8>,
}

impl fmt::Debug for ChunkSlot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSlot")
            .field("slot", &self.slot.name)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl<'b> ChunkSlot<'b> {
    pub(crate) fn new(
        release: &'b ChunkedRelease,
        slot: &'b Slot,
        packs: &'b dyn PackSource,
    ) -> Result<Self, BundleError> {
        let chunks = release.index(&slot.name)?.chunks.iter().map(|chunk| chunk.len).collect();
        let reader = ChunkReader::new(release, &slot.name, packs)?;
        Ok(Self { slot, chunks, reader, next: 0, hash: Sha256::new(), decoded: Vec::new() })
    }

    /// Reads the next chunk; false after the last one.
    pub(crate) fn advance(&mut self) -> Result<bool, BundleError> {
        let Some(len) = self.chunks.get(self.next) else { return Ok(false) };
        self.decoded.resize(*len as usize, 0);
        let checked = self.checked();
        match checked {
            Ok(hash) => {
                self.hash = hash;
                self.next += 1;
                Ok(true)
            }
            Err(error) => {
                self.decoded.clear();
                Err(error)
            }
        }
    }

    fn checked(&mut self) -> Result<Sha256, BundleError> {
        self.reader.read(self.next, &mut self.decoded)?;
        let mut hash = self.hash.clone();
        hash.update(&self.decoded);
        if self.next + 1 == self.chunks.len() {
            let found = Sha256Hex(hash.clone().finalize().into());
            if found != self.slot.sha256 {
                let (slot, expected) = (self.slot.name.clone(), self.slot.sha256);
                return Err(BundleError::SlotAltered { slot, expected, found });
            }
        }
        Ok(hash)
    }

    /// The chunk that was read last; nothing after an error.
    pub(crate) fn decoded(&self) -> &[u8] {
        &self.decoded
    }
}

/// A place that only hashes what is written from beginning to end.
struct Hashing<'p> {
    hash: Sha256,
    at: u64,
    tell: &'p mut dyn FnMut(u64),
}

impl ImageTarget for Hashing<'_> {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.hash.update(data);
        self.at = offset.saturating_add(data.len() as u64);
        Ok(())
    }

    fn read_at(&mut self, _offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        Ok(())
    }

    fn reached(&mut self, offset: u64) {
        (self.tell)(offset);
    }
}

impl ChunkedRelease {
    /// Reads and verifies every chunk of a slot that `packs` has, and, if it has all of them, the whole slot.
    /// `progress` is told the bytes of the slot that are done.
    pub fn verify_slot(
        &self,
        slot: &str,
        packs: &dyn PackSource,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), BundleError> {
        let described = self.manifest().slot(slot).ok_or_else(|| self.manifest().missing(slot))?;
        let mut target = Hashing { hash: Sha256::new(), at: 0, tell: progress };
        let whole = check_carried(self, slot, packs, &mut target)?;
        let found = Sha256Hex(target.hash.finalize().into());
        if whole && found != described.sha256 {
            let (slot, expected) = (slot.to_owned(), described.sha256);
            return Err(BundleError::SlotAltered { slot, expected, found });
        }
        Ok(())
    }
}
