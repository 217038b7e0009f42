//! Making an image out of seeds and packs.
//!
//! Owns: [`Assembly`]: the plan of a slot, its writing and its reading back. Promises: two threads make chunks while the
//! caller's thread writes, and memory is a few MiB whatever the size; a chunk of a seed is used only if its hash is
//! right, and is fetched otherwise; writes go forward in whole pages of 4096 bytes. Does not: know what disk it is.

mod check;
mod make;
mod rehearse;
mod steps;
mod write;

pub(crate) use make::chunk_error;

use std::io;

use lifeboat_model::image::{ImageSource, ImageTarget};
use serde::Serialize;

use super::index::{ChunkIndex, Stored};
use super::pack::{PackRef, PackSource};
use super::plan::{FetchPlan, Origin, PlanSummary, Share};
use super::release::ChunkedRelease;
use super::seed::Seed;
use crate::error::BundleError;

/// Threads that make or check chunks, beside the caller's.
pub(crate) const WORKERS: usize = 2;

/// A slot of a release that is about to be written somewhere.
pub struct Assembly<'a> {
    slot: &'a str,
    index: &'a ChunkIndex,
    packs: &'a [PackRef],
    source: &'a dyn PackSource,
    seeds: Vec<&'a dyn Seed>,
    plan: FetchPlan,
    report: AssemblyReport,
}

impl std::fmt::Debug for Assembly<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assembly")
            .field("slot", &self.slot)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// Where the bytes came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AssemblyReport {
    /// As planned.
    pub plan: PlanSummary,
    /// Chunks of seeds that were not what they were claimed to be, and were fetched: per seed.
    pub bad: Vec<Share>,
}

impl<'a> Assembly<'a> {
    /// Plans the slot. A chunk that neither a seed nor the source has is refused here, before anything is written.
    pub fn new(
        release: &'a ChunkedRelease,
        slot: &str,
        source: &'a dyn PackSource,
        seeds: Vec<&'a dyn Seed>,
    ) -> Result<Self, BundleError> {
        let index = release.index(slot)?;
        let name = release.manifest().slot(slot).map_or("", |slot| slot.name.as_str());
        let plan = FetchPlan::new(index, &seeds);
        let packs = release.manifest().packs.as_slice();
        let mut missing = Share::default();
        for (chunk, origin) in index.chunks.iter().zip(&plan.origins) {
            let Origin::Pack(at) = origin else { continue };
            let there = packs
                .get(usize::from(at.pack))
                .is_some_and(|pack| source.has(&pack.sha256, at.offset, at.len.into()));
            if !there {
                missing.add(chunk.len);
            }
        }
        if missing.chunks > 0 {
            let Share { chunks, bytes } = missing;
            return Err(BundleError::NotCarried { slot: slot.to_owned(), chunks, bytes });
        }
        let report =
            AssemblyReport { plan: plan.summary(index, &seeds), bad: vec![Share::default(); seeds.len()] };
        Ok(Self { slot: name, index, packs, source, seeds, plan, report })
    }

    /// What comes from where.
    #[must_use]
    pub fn plan(&self) -> &FetchPlan {
        &self.plan
    }

    /// The same in numbers; after a write with what went otherwise than planned.
    #[must_use]
    pub fn report(&self) -> &AssemblyReport {
        &self.report
    }
}

impl ImageSource for Assembly<'_> {
    fn write_to(&mut self, target: &mut dyn ImageTarget, resume: bool) -> io::Result<()> {
        if resume {
            let there = check::in_place(self.index, target)?;
            self.plan =
                FetchPlan::resuming(self.index, &self.seeds, |number| there.get(number) == Some(&true));
            self.report.plan = self.plan.summary(self.index, &self.seeds);
        }
        let job = make::Making {
            slot: self.slot,
            index: self.index,
            packs: self.packs,
            source: self.source,
            seeds: &self.seeds,
            plan: &self.plan,
            hash_decoded: false,
        };
        self.report.bad = job.run(target)?;
        Ok(())
    }

    fn compare(&mut self, target: &mut dyn ImageTarget) -> io::Result<Option<String>> {
        let wrong = check::compare(self.index, target)?;
        Ok(wrong.map(|(number, at)| format!("chunk {number}, at byte {at} of the image, has another hash")))
    }

    fn index(&self) -> Option<Vec<u8>> {
        Some(self.index.encode())
    }
}

/// Writes what `source` has of a slot to `target`, every chunk compared with its hash; whether that was everything.
pub(crate) fn check_carried(
    release: &ChunkedRelease,
    slot: &str,
    source: &dyn PackSource,
    target: &mut dyn ImageTarget,
) -> Result<bool, BundleError> {
    let index = release.index(slot)?;
    let packs = release.manifest().packs.as_slice();
    let plan = carried(index, packs, source);
    let job = make::Making { slot, index, packs, source, seeds: &[], plan: &plan, hash_decoded: true };
    job.run(target).map_err(|error| match error.downcast::<BundleError>() {
        Ok(error) => error,
        Err(source) => BundleError::Read { at: 0, len: index.slot_len, source },
    })?;
    Ok(!plan.origins.contains(&Origin::InPlace))
}

/// Everything that `source` has of a slot; the rest counts as in place.
fn carried(index: &ChunkIndex, packs: &[PackRef], source: &dyn PackSource) -> FetchPlan {
    let origins = index.chunks.iter().map(|chunk| match chunk.stored {
        Stored::Zeros => Origin::Zeros,
        Stored::At(at) => {
            let pack = packs.get(usize::from(at.pack));
            let there = pack.is_some_and(|pack| source.has(&pack.sha256, at.offset, at.len.into()));
            if there { Origin::Pack(at) } else { Origin::InPlace }
        }
    });
    FetchPlan { origins: origins.collect() }
}
