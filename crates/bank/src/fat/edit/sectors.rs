//! Sectors that are about to change.
//!
//! Owns: old and new bytes of whole sectors, in the order in which they were first touched. Promises: a sector that
//! comes out as it was is not written; neighbours become one run. Does not: write.

use std::collections::BTreeMap;

use lifeboat_model::io::ReadAt;

use super::{Edit, FatEditError};

/// Most bytes of one run, so that a write stays small.
const MAX_RUN: usize = 1 << 20;

/// Changed sectors of one step; offsets are relative to the volume.
pub(super) struct Sectors<'a> {
    disk: &'a dyn ReadAt,
    base: u64,
    sector: u64,
    /// Order of first touch, of each sector.
    order: Vec<u64>,
    /// Old and new bytes by sector number.
    held: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    done: Vec<Edit>,
}

impl<'a> Sectors<'a> {
    pub(super) fn new(disk: &'a dyn ReadAt, base: u64, sector: u64) -> Self {
        Self { disk, base, sector, order: Vec::new(), held: BTreeMap::new(), done: Vec::new() }
    }

    /// Reads bytes as they will be after the changes so far.
    pub(super) fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), FatEditError> {
        self.each(offset, into.len(), |held, at, place| {
            if let (Some(from), Some(to)) = (held.get(at..at + place.len()), into.get_mut(place)) {
                to.copy_from_slice(from);
            }
        })
    }

    /// Changes bytes.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FatEditError> {
        self.each(offset, bytes.len(), |held, at, place| {
            if let (Some(to), Some(from)) = (held.get_mut(at..at + place.len()), bytes.get(place)) {
                to.copy_from_slice(from);
            }
        })
    }

    /// Calls `work` with the new bytes of each sector of a range, the place in it, and the place in the range.
    fn each(
        &mut self,
        offset: u64,
        len: usize,
        mut work: impl FnMut(&mut [u8], usize, std::ops::Range<usize>),
    ) -> Result<(), FatEditError> {
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (number, inside) = (at / self.sector, at % self.sector);
            let inside = usize::try_from(inside).unwrap_or(0);
            let part = (len - done).min(usize::try_from(self.sector).unwrap_or(512) - inside);
            work(self.hold(number)?, inside, done..done + part);
            done += part;
        }
        Ok(())
    }

    fn hold(&mut self, number: u64) -> Result<&mut [u8], FatEditError> {
        if !self.held.contains_key(&number) {
            let mut bytes = vec![0_u8; usize::try_from(self.sector).unwrap_or(512)];
            let offset = self.base + number * self.sector;
            self.disk.read_at(offset, &mut bytes).map_err(|source| FatEditError::Io { offset, source })?;
            // What an earlier step will have changed by then.
            for edit in &self.done {
                let at = offset.checked_sub(edit.offset).and_then(|at| usize::try_from(at).ok());
                if let Some(from) = at.and_then(|at| edit.new.get(at..at + bytes.len())) {
                    bytes.copy_from_slice(from);
                }
            }
            self.held.insert(number, (bytes.clone(), bytes));
            self.order.push(number);
        }
        Ok(self.held.get_mut(&number).map_or(&mut [][..], |held| held.1.as_mut_slice()))
    }

    /// Ends a step: its writes come before those of the next, with a flush between.
    pub(super) fn barrier(&mut self) {
        let mut runs: Vec<Edit> = Vec::new();
        for number in std::mem::take(&mut self.order) {
            let Some((old, new)) = self.held.remove(&number).filter(|(old, new)| old != new) else {
                continue;
            };
            let offset = self.base + number * self.sector;
            match runs.last_mut() {
                Some(last)
                    if last.offset + last.new.len() as u64 == offset
                        && last.new.len() + new.len() <= MAX_RUN =>
                {
                    last.old.extend(old);
                    last.new.extend(new);
                }
                Some(_) | None => runs.push(Edit { offset, old, new, barrier: false }),
            }
        }
        if let Some(last) = runs.last_mut() {
            last.barrier = true;
        }
        self.done.extend(runs);
    }

    /// All edits.
    pub(super) fn finish(mut self) -> Vec<Edit> {
        self.barrier();
        self.done
    }
}
