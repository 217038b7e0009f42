//! Reading everything that a source has of a slot, and comparing it with its signed checks, before anything is written.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::{Assembly, WORKERS, carried};
use crate::chunk::hash::StoredCheck;
use crate::chunk::index::Location;
use crate::chunk::plan::{Origin, Range};
use crate::error::BundleError;

/// A range, and the chunks whose stored bytes lie in it, by number.
type Filled = (Range, Vec<(usize, Location)>);

impl Assembly<'_> {
    /// Reads every stored chunk that the source has, also those that a seed will give, and compares it with its check;
    /// nothing is decoded. For sources that are near: a damaged bundle is then refused before the first write of an
    /// install, whatever the host has already. `progress` is told bytes.
    pub fn check_source(&self, progress: &mut (dyn FnMut(u64) + Send)) -> Result<(), BundleError> {
        let ranges = self.filled();
        let next = AtomicUsize::new(0);
        let told = Mutex::new((0, progress));
        thread::scope(|scope| {
            let check = || {
                let mut bytes = Vec::new();
                while let Some(filled) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                    self.check_range(filled, &mut bytes)?;
                    if let Ok(mut told) = told.lock() {
                        told.0 += filled.0.len();
                        let done = told.0;
                        (told.1)(done);
                    }
                }
                Ok(())
            };
            let threads: Vec<_> = (0..WORKERS).map(|_| scope.spawn(check)).collect();
            let mut first = Ok(());
            for thread in threads {
                match thread.join() {
                    Ok(result) => first = first.and(result),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            first
        })
    }

    fn filled(&self) -> Vec<Filled> {
        let plan = carried(self.index, self.packs, self.source);
        let mut filled: Vec<Filled> = plan.ranges().into_iter().map(|range| (range, Vec::new())).collect();
        let mut at = 0;
        for (number, origin) in plan.origins.iter().enumerate() {
            let Origin::Pack(location) = origin else { continue };
            while filled.get(at).is_some_and(|(range, _)| !range.holds(location)) {
                at += 1;
            }
            if let Some((_, chunks)) = filled.get_mut(at) {
                chunks.push((number, *location));
            }
        }
        filled
    }

    fn check_range(&self, (range, chunks): &Filled, bytes: &mut Vec<u8>) -> Result<(), BundleError> {
        let missing = || BundleError::NotCarried { slot: self.slot.to_owned(), chunks: 1, bytes: 0 };
        let pack = self.packs.get(usize::from(range.pack)).ok_or_else(missing)?;
        bytes.resize(usize::try_from(range.len()).unwrap_or(0), 0);
        self.source.read_at(&pack.sha256, range.offset, bytes).map_err(|source| {
            let (at, len) = (range.offset, range.len());
            BundleError::ReadPack { pack: pack.sha256, at, len, source }
        })?;
        for (chunk, at) in chunks {
            let from = usize::try_from(at.offset.saturating_sub(range.offset)).unwrap_or(usize::MAX);
            let stored = bytes.get(from..).and_then(|rest| rest.get(..at.len as usize));
            if stored.is_none_or(|stored| StoredCheck::of(stored) != at.check) {
                let (slot, chunk, at) = (self.slot.to_owned(), *chunk, at.offset);
                return Err(BundleError::ChunkAltered { slot, chunk, at });
            }
        }
        Ok(())
    }
}
