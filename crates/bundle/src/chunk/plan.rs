//! Which chunks come from where.
//!
//! Owns: [`FetchPlan`], a value, and its sums. Promises: every chunk has one origin; what is here already is not
//! fetched, and an equal chunk is fetched once. Does not: read a byte of any chunk, so a seed's claims are believed here
//! and checked when the chunk is taken.

use std::collections::HashMap;

use serde::Serialize;

use super::hash::ChunkHash;
use super::index::{Chunk, ChunkIndex, Location, Stored};
use super::seed::Seed;

/// Longest range that is read at once: 2 MiB.
pub(crate) const RANGE: u64 = 2 << 20;
/// Unneeded bytes between two chunks that are read rather than asked around.
pub(crate) const GAP: u64 = 2 << 10;
/// An equal chunk is copied inside the target only from what was written before; so many bytes may still wait there for
/// the rest of their page.
const WAITING: u64 = 4096;

/// Where a chunk comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is nothing but zeros.
    Zeros,
    /// It lies where it belongs already.
    InPlace,
    /// A seed claims to hold it: number of the seed.
    Seed(usize),
    /// It was written before: first byte in the image.
    Again(u64),
    /// It is fetched.
    Pack(Location),
}

/// Which chunks of a slot come from where: one origin for each, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPlan {
    /// One for each chunk of the index.
    pub origins: Vec<Origin>,
}

impl FetchPlan {
    /// The plan for a target that holds nothing of use.
    #[must_use]
    pub fn new(index: &ChunkIndex, seeds: &[&dyn Seed]) -> Self {
        Self::resuming(index, seeds, |_| false)
    }

    /// The plan for a target in which some chunks (by number) lie where they belong.
    pub(crate) fn resuming(
        index: &ChunkIndex,
        seeds: &[&dyn Seed],
        in_place: impl Fn(usize) -> bool,
    ) -> Self {
        let mut written: HashMap<ChunkHash, u64> = HashMap::new();
        let mut origins = Vec::with_capacity(index.chunks.len());
        for (number, (at, chunk)) in index.placed().enumerate() {
            let origin =
                if in_place(number) { Origin::InPlace } else { Self::origin(at, chunk, seeds, &mut written) };
            origins.push(origin);
        }
        Self { origins }
    }

    fn origin(at: u64, chunk: &Chunk, seeds: &[&dyn Seed], written: &mut HashMap<ChunkHash, u64>) -> Origin {
        let location = match chunk.stored {
            Stored::Zeros => return Origin::Zeros,
            Stored::At(location) => location,
        };
        if let Some(seed) = seeds.iter().position(|seed| seed.holds(&chunk.hash, chunk.len)) {
            return Origin::Seed(seed);
        }
        match written.get(&chunk.hash) {
            Some(before) if before.saturating_add(u64::from(chunk.len) + WAITING) <= at => {
                Origin::Again(*before)
            }
            Some(_) => Origin::Pack(location),
            None => {
                written.insert(chunk.hash, at);
                Origin::Pack(location)
            }
        }
    }

    /// Ranges of packs that are read for it, in the order of the chunks.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        let mut ranges: Vec<Range> = Vec::new();
        for origin in &self.origins {
            let Origin::Pack(at) = origin else { continue };
            match ranges.last_mut() {
                Some(last) if last.holds(at) => {}
                Some(last) if last.can_grow_to(at) => last.end = at.end(),
                Some(_) | None => {
                    ranges.push(Range { pack: at.pack, offset: at.offset, end: at.end() });
                }
            }
        }
        ranges
    }

    /// The plan in numbers.
    #[must_use]
    pub fn summary(&self, index: &ChunkIndex, seeds: &[&dyn Seed]) -> PlanSummary {
        let mut sum = PlanSummary {
            seeds: seeds
                .iter()
                .map(|seed| SeedShare { name: seed.name().to_owned(), share: Share::default() })
                .collect(),
            ..PlanSummary::default()
        };
        for (chunk, origin) in index.chunks.iter().zip(&self.origins) {
            sum.total.add(chunk.len);
            match origin {
                Origin::Zeros => sum.zeros.add(chunk.len),
                Origin::InPlace => sum.in_place.add(chunk.len),
                Origin::Again(_) => sum.repeated.add(chunk.len),
                Origin::Pack(_) => sum.fetched.add(chunk.len),
                Origin::Seed(seed) => {
                    if let Some(seed) = sum.seeds.get_mut(*seed) {
                        seed.share.add(chunk.len);
                    }
                }
            }
        }
        let ranges = self.ranges();
        sum.reads = ranges.len() as u64;
        sum.download = ranges.iter().map(Range::len).sum();
        sum
    }
}

/// A range of a pack that is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Number of the pack in the manifest's list.
    pub pack: u8,
    /// First byte.
    pub offset: u64,
    /// Byte after the last one.
    pub end: u64,
}

impl Range {
    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.end.saturating_sub(self.offset)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn holds(&self, at: &Location) -> bool {
        self.pack == at.pack && self.offset <= at.offset && at.end() <= self.end
    }

    fn can_grow_to(&self, at: &Location) -> bool {
        self.pack == at.pack
            && at.offset >= self.end
            && at.offset - self.end <= GAP
            && at.end().saturating_sub(self.offset) <= RANGE
    }
}

/// Chunks and their decoded bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Share {
    /// How many.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Share {
    pub(crate) fn add(&mut self, len: u32) {
        self.chunks += 1;
        self.bytes += u64::from(len);
    }
}

/// What a seed gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeedShare {
    /// Its name.
    pub name: String,
    /// What comes from it.
    #[serde(flatten)]
    pub share: Share,
}

/// A plan in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PlanSummary {
    /// All of the slot.
    pub total: Share,
    /// Nothing but zeros.
    pub zeros: Share,
    /// Where it belongs already.
    pub in_place: Share,
    /// From each seed.
    pub seeds: Vec<SeedShare>,
    /// Equal to a chunk before it.
    pub repeated: Share,
    /// Fetched.
    pub fetched: Share,
    /// Bytes that are read of packs, small gaps included.
    pub download: u64,
    /// In so many ranges.
    pub reads: u64,
}
