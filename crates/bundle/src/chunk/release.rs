//! A release cut into chunks, behind its signature.
//!
//! Owns: [`ChunkedRelease`], [`open_release`]. Promises: it exists only if trusted keys signed the manifest, the rules
//! were met and every index has the digest that was signed. Does not: hold packs.

use std::io;

use lifeboat_model::{ReleaseRef, Sha256Hex};

use super::assemble::chunk_error;
use super::decode::ChunkDecoder;
use super::hash::ChunkHash;
use super::index::{ChunkIndex, MAX_INDEX_LEN, Stored};
use super::pack::PackSource;
use super::seed::Seed;
use crate::error::BundleError;
use crate::manifest::{IndexRef, Manifest, Slot};
use crate::signature::parse_signatures;
use crate::trust::TrustStore;
use crate::verify::{Rules, check_signed};

/// Manifest and indexes of a release whose signature, rules and digests were good.
#[derive(Debug, Clone)]
pub struct ChunkedRelease {
    manifest: Manifest,
    release: ReleaseRef,
    indexes: Vec<ChunkIndex>,
}

/// The files of a release besides its packs, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseParts {
    /// JSON, `lifeboat.release/2`; its SHA-256 is the release's identity.
    pub manifest: Vec<u8>,
    /// JSON, `lifeboat.signatures/1`.
    pub signatures: Vec<u8>,
    /// One for each slot, in the manifest's order.
    pub indexes: Vec<Vec<u8>>,
}

/// Opens a release whose files lie apart. `fetch_index` gives the bytes of a slot's index, which are compared with the
/// signed digest; it is asked after the signatures and the rules were found good.
pub fn open_release(
    manifest: &[u8],
    signatures: &[u8],
    trust: &TrustStore,
    rules: &Rules,
    mut fetch_index: impl FnMut(&Slot, &IndexRef) -> io::Result<Vec<u8>>,
) -> Result<ChunkedRelease, BundleError> {
    let manifest_bytes = manifest;
    let manifest = check_signed(manifest, &parse_signatures(signatures)?, trust, rules)?;
    let release = manifest.release_ref(Sha256Hex::of(manifest_bytes));
    let mut indexes = Vec::with_capacity(manifest.slots.len());
    for slot in &manifest.slots {
        let Some(named) = &slot.index else { return Err(BundleError::NotChunked) };
        let bytes = fetch_index(slot, named)
            .map_err(|source| BundleError::ReadIndex { slot: slot.name.clone(), source })?;
        indexes.push(bytes);
    }
    ChunkedRelease::new(manifest, release, &indexes)
}

impl ChunkedRelease {
    /// Compares the indexes with their signed digests and reads them.
    pub(crate) fn new(
        manifest: Manifest,
        release: ReleaseRef,
        bytes: &[Vec<u8>],
    ) -> Result<Self, BundleError> {
        let packs: Vec<u64> = manifest.packs.iter().map(|pack| pack.len).collect();
        let mut indexes = Vec::with_capacity(bytes.len());
        for (slot, bytes) in manifest.slots.iter().zip(bytes) {
            let name = || slot.name.clone();
            let Some(named) = &slot.index else { return Err(BundleError::NotChunked) };
            let found = Sha256Hex::of(bytes);
            if found != named.sha256 || bytes.len() as u64 != named.len {
                return Err(BundleError::IndexAltered { slot: name(), expected: named.sha256, found });
            }
            let index = ChunkIndex::parse(bytes, Some(&packs))
                .map_err(|source| BundleError::Index { slot: name(), source })?;
            if index.slot_len != slot.len {
                let source = super::index::IndexError::Sum { len: slot.len, sum: index.slot_len };
                return Err(BundleError::Index { slot: name(), source });
            }
            indexes.push(index);
        }
        if indexes.len() != manifest.slots.len() {
            return Err(BundleError::NotChunked);
        }
        Ok(Self { manifest, release, indexes })
    }

    /// What the release says about itself; signed.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its identity.
    #[must_use]
    pub fn release(&self) -> &ReleaseRef {
        &self.release
    }

    /// Every slot with what it is made of.
    pub fn slots(&self) -> impl Iterator<Item = (&Slot, &ChunkIndex)> {
        self.manifest.slots.iter().zip(&self.indexes)
    }

    /// What a slot is made of.
    pub fn index(&self, slot: &str) -> Result<&ChunkIndex, BundleError> {
        let found = self.slots().find(|(there, _)| there.name == slot);
        found.map(|(_, index)| index).ok_or_else(|| self.manifest.missing(slot))
    }

    /// A whole slot in memory, if it is at most `limit` bytes long; every chunk and the whole are verified. For kernels
    /// and texts, not for root images.
    pub fn slot_bytes(
        &self,
        slot: &str,
        limit: u64,
        packs: &dyn PackSource,
        seeds: &[&dyn Seed],
    ) -> Result<Vec<u8>, BundleError> {
        let index = self.index(slot)?;
        if index.slot_len > limit {
            return Err(BundleError::SlotTooLong { slot: slot.to_owned(), len: index.slot_len, max: limit });
        }
        let mut reader = ChunkReader::new(self, slot, packs)?;
        let mut whole = Vec::new();
        for number in 0..index.chunks.len() {
            let Some(chunk) = index.chunks.get(number) else { break };
            let from = whole.len();
            whole.resize(from + chunk.len as usize, 0);
            let to = whole.get_mut(from..).unwrap_or_default();
            let seeded = seeds.iter().any(|seed| {
                seed.holds(&chunk.hash, chunk.len)
                    && seed.read(&chunk.hash, to).is_ok()
                    && ChunkHash::of(to) == chunk.hash
            });
            if !seeded {
                reader.read(number, to)?;
            }
        }
        let found = Sha256Hex::of(&whole);
        match self.manifest.slot(slot) {
            Some(there) if there.sha256 == found => Ok(whole),
            Some(there) => {
                Err(BundleError::SlotAltered { slot: slot.to_owned(), expected: there.sha256, found })
            }
            None => Err(self.manifest.missing(slot)),
        }
    }
}

/// Chunks of a slot one at a time, from packs alone; each verified in full.
pub(crate) struct ChunkReader<'a> {
    release: &'a ChunkedRelease,
    slot: String,
    index: &'a ChunkIndex,
    packs: &'a dyn PackSource,
    decoder: ChunkDecoder,
    stored: Vec<u8>,
}

impl<'a> ChunkReader<'a> {
    pub(crate) fn new(
        release: &'a ChunkedRelease,
        slot: &str,
        packs: &'a dyn PackSource,
    ) -> Result<Self, BundleError> {
        let index = release.index(slot)?;
        let (decoder, stored) = (ChunkDecoder::default(), Vec::new());
        Ok(Self { release, slot: slot.to_owned(), index, packs, decoder, stored })
    }

    /// Fills `to`, which is as long as chunk `number`.
    pub(crate) fn read(&mut self, number: usize, to: &mut [u8]) -> Result<(), BundleError> {
        let wrong = || BundleError::ChunkWrong { slot: self.slot.clone(), chunk: number };
        let Some(chunk) = self.index.chunks.get(number) else { return Err(wrong()) };
        match &chunk.stored {
            Stored::Zeros => to.fill(0),
            Stored::At(at) => {
                let Some(pack) = self.release.manifest.packs.get(usize::from(at.pack)) else {
                    return Err(wrong());
                };
                if !self.packs.has(&pack.sha256, at.offset, at.len.into()) {
                    let (slot, bytes) = (self.slot.clone(), chunk.len.into());
                    return Err(BundleError::NotCarried { slot, chunks: 1, bytes });
                }
                self.stored.resize(at.len as usize, 0);
                self.packs.read_at(&pack.sha256, at.offset, &mut self.stored).map_err(|source| {
                    let len = at.len.into();
                    BundleError::ReadPack { pack: pack.sha256, at: at.offset, len, source }
                })?;
                self.decoder
                    .decode(at, &self.stored, to)
                    .map_err(|why| chunk_error(why, &self.slot, number, at))?;
            }
        }
        if ChunkHash::of(to) == chunk.hash { Ok(()) } else { Err(wrong()) }
    }
}

/// Refuses lengths of an index that no reader takes.
pub(crate) fn index_len_is_possible(len: u64) -> bool {
    (super::index::INDEX_HEAD_LEN as u64..=MAX_INDEX_LEN).contains(&len)
}
