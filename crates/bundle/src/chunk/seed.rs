//! Seeds: chunks that are here already.
//!
//! Owns: [`Seed`], the seed that an image with its index is (the running bank, a file), and the one that a whole release
//! is. Promises: nothing; a seed
//! only claims, and whoever takes a chunk from it checks the hash. Does not: find images.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;

use lifeboat_model::io::ReadAt;

use super::cut::Chunker;
use super::decode::ChunkDecoder;
use super::hash::ChunkHash;
use super::index::{ChunkIndex, Location, Stored};
use super::pack::{PackRef, PackSource};
use super::release::ChunkedRelease;

/// Chunks that are here already. It may be wrong: every chunk taken from it is checked.
pub trait Seed: Sync {
    /// What it is, for reports: `bank A`, `release 1.2`.
    fn name(&self) -> &str;

    /// Whether it claims to hold the chunk.
    fn holds(&self, hash: &ChunkHash, len: u32) -> bool;

    /// Fills `buf` with the chunk that it claimed to hold.
    ///
    /// # Errors
    /// Any; the chunk is then fetched.
    fn read(&self, hash: &ChunkHash, buf: &mut [u8]) -> io::Result<()>;
}

/// An image whose pieces are known: a bank's root partition, an image file.
pub struct ImageSeed<R> {
    name: String,
    bytes: R,
    /// First byte of the image in `bytes`.
    base: u64,
    chunks: HashMap<ChunkHash, (u64, u32)>,
}

impl<R> std::fmt::Debug for ImageSeed<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageSeed").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: ReadAt + Sync> ImageSeed<R> {
    /// The image that begins at byte `base` of `bytes` and is, by `index`, made of these chunks.
    pub fn new(name: impl Into<String>, bytes: R, base: u64, index: &ChunkIndex) -> Self {
        let mut chunks = HashMap::with_capacity(index.chunks.len());
        for (at, chunk) in index.placed() {
            chunks.entry(chunk.hash).or_insert((at, chunk.len));
        }
        Self { name: name.into(), bytes, base, chunks }
    }

    /// The same without an index: all `len` bytes are read and cut.
    ///
    /// # Errors
    /// Those of `bytes`.
    pub fn scan(
        name: impl Into<String>,
        bytes: R,
        base: u64,
        len: u64,
        chunker: &Chunker,
    ) -> io::Result<Self> {
        let chunks = super::scan::scan(&bytes, base, len, chunker)?;
        Ok(Self { name: name.into(), bytes, base, chunks })
    }

    /// Number of different chunks.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }
}

impl<R: ReadAt + Sync> Seed for ImageSeed<R> {
    fn name(&self) -> &str {
        &self.name
    }

    fn holds(&self, hash: &ChunkHash, len: u32) -> bool {
        self.chunks.get(hash).is_some_and(|(_, there)| *there == len)
    }

    fn read(&self, hash: &ChunkHash, buf: &mut [u8]) -> io::Result<()> {
        match self.chunks.get(hash) {
            Some((at, len)) if *len as usize == buf.len() => {
                self.bytes.read_at(self.base.saturating_add(*at), buf)
            }
            Some(_) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// A release that lies here whole: a cached bundle, a repository's copy.
pub struct ReleaseSeed<'a> {
    name: String,
    packs: &'a [PackRef],
    source: &'a dyn PackSource,
    chunks: HashMap<ChunkHash, (Location, u32)>,
    decoders: Mutex<Vec<ChunkDecoder>>,
}

impl std::fmt::Debug for ReleaseSeed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReleaseSeed").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> ReleaseSeed<'a> {
    /// All chunks of all slots of `release`, whose packs `source` has.
    pub fn new(name: impl Into<String>, release: &'a ChunkedRelease, source: &'a dyn PackSource) -> Self {
        let mut chunks = HashMap::new();
        for (_, index) in release.slots() {
            for chunk in &index.chunks {
                if let Stored::At(at) = chunk.stored {
                    chunks.entry(chunk.hash).or_insert((at, chunk.len));
                }
            }
        }
        let packs = release.manifest().packs.as_slice();
        Self { name: name.into(), packs, source, chunks, decoders: Mutex::new(Vec::new()) }
    }
}

impl Seed for ReleaseSeed<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn holds(&self, hash: &ChunkHash, len: u32) -> bool {
        self.chunks.get(hash).is_some_and(|(at, there)| {
            let pack = self.packs.get(usize::from(at.pack));
            *there == len && pack.is_some_and(|pack| self.source.has(&pack.sha256, at.offset, at.len.into()))
        })
    }

    fn read(&self, hash: &ChunkHash, buf: &mut [u8]) -> io::Result<()> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (at, _) = self.chunks.get(hash).ok_or_else(missing)?;
        let pack = self.packs.get(usize::from(at.pack)).ok_or_else(missing)?;
        let mut stored = vec![0; at.len as usize];
        self.source.read_at(&pack.sha256, at.offset, &mut stored)?;
        let mut decoders =
            self.decoders.lock().map_err(|_| io::Error::other("a thread of the install ended"))?;
        let mut decoder = decoders.pop().unwrap_or_default();
        drop(decoders);
        let decoded = decoder.decode(at, &stored, buf);
        if let Ok(mut decoders) = self.decoders.lock() {
            decoders.push(decoder);
        }
        decoded.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the seed's chunk is damaged"))
    }
}
