//! What a bundle of format 2 carries: `lifeboat.contents/1`.
//!
//! Owns: the list of runs: ranges of packs that lie in the bundle one behind the other. Promises: [`Contents::parse`]
//! accepts nothing that [`Contents::encode`] would not write. Does not: sign it; where a chunk lies is signed in its
//! index, and each is checked.

use lifeboat_model::ReleaseRef;
use serde::{Deserialize, Serialize};

use crate::chunk::{ChunkHash, ChunkedRelease, GAP, Stored};
use crate::error::BundleError;
use crate::manifest::Manifest;

const SCHEMA: &str = "lifeboat.contents/1";

/// A range of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(u8, u64, u64)", into = "(u8, u64, u64)")]
pub struct Run {
    /// Number of the pack in the manifest's list.
    pub pack: u8,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

impl From<(u8, u64, u64)> for Run {
    fn from((pack, offset, len): (u8, u64, u64)) -> Self {
        Self { pack, offset, len }
    }
}

impl From<Run> for (u8, u64, u64) {
    fn from(Run { pack, offset, len }: Run) -> Self {
        (pack, offset, len)
    }
}

impl Run {
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// What a bundle carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contents {
    schema: String,
    /// The release that must be there, if not everything is carried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<ReleaseRef>,
    /// Rising, without overlap.
    pub(crate) runs: Vec<Run>,
}

impl Contents {
    pub(crate) fn new(base: Option<ReleaseRef>, runs: Vec<Run>) -> Self {
        Self { schema: SCHEMA.to_owned(), base, runs }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, BundleError> {
        serde_json::to_vec(self).map_err(|error| malformed(&error.to_string()))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let contents: Self = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
        if contents.schema != SCHEMA {
            return Err(malformed(&format!("its form is not {SCHEMA}")));
        }
        if contents.encode()? != bytes {
            return Err(malformed("it is not in its canonical form"));
        }
        Ok(contents)
    }

    /// Whether every run lies in a pack of the release, behind the one before.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), BundleError> {
        let mut before = (0_u8, 0_u64);
        for run in &self.runs {
            let inside = manifest.packs.get(usize::from(run.pack)).is_some_and(|pack| run.end() <= pack.len);
            if run.len == 0 || !inside {
                return Err(malformed("a run does not lie in a pack of the release"));
            }
            if (run.pack, run.offset) < before {
                return Err(malformed("runs must rise without overlap"));
            }
            before = (run.pack, run.end());
        }
        if self.base.is_none() && self.runs != full_runs(manifest) {
            return Err(malformed("it carries less than the release and names no base"));
        }
        Ok(())
    }

    /// Bytes of all runs.
    pub(crate) fn len(&self) -> u64 {
        self.runs.iter().fold(0, |sum, run| sum.saturating_add(run.len))
    }
}

/// Everything of a release.
#[must_use]
pub fn full_runs(manifest: &Manifest) -> Vec<Run> {
    let number = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
    let packs = manifest.packs.iter().enumerate();
    packs.map(|(at, pack)| Run { pack: number(at), offset: 0, len: pack.len }).collect()
}

/// What a host needs that has all chunks of which `lacks(slot, hash)` says no.
#[must_use]
pub fn delta_runs(release: &ChunkedRelease, mut lacks: impl FnMut(&str, &ChunkHash) -> bool) -> Vec<Run> {
    let mut pieces: Vec<Run> = Vec::new();
    for (slot, index) in release.slots() {
        for chunk in &index.chunks {
            let Stored::At(at) = chunk.stored else { continue };
            if lacks(&slot.name, &chunk.hash) {
                pieces.push(Run { pack: at.pack, offset: at.offset, len: at.len.into() });
            }
        }
    }
    pieces.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for piece in pieces {
        match runs.last_mut() {
            // A reader bridges small gaps (see the plan of a fetch), so the bundle carries what lies in them.
            Some(last) if last.pack == piece.pack && piece.offset <= last.end().saturating_add(GAP) => {
                last.len = last.len.max(piece.end().saturating_sub(last.offset));
            }
            Some(_) | None => runs.push(piece),
        }
    }
    runs
}

fn malformed(what: &str) -> BundleError {
    BundleError::Contents { what: what.to_owned() }
}
