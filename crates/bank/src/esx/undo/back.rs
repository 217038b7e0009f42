//! Undoing: where the change stands is read from the disk, and its steps are taken back in reverse.

use std::collections::BTreeMap;

use lifeboat_model::io::{ReadAt, WriteAt};
use serde::Serialize;

use super::codec::MARK;
use super::error::UndoError;
use super::file::UndoFile;
use super::identity::DiskIdentity;
use super::save::mark;

/// Sectors.
const SECTOR: usize = 512;
/// Most differing ranges that are named; the rest is counted.
const NAMED: usize = 64;

/// A range that holds neither what the change wrote nor what was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// First byte on the disk.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

/// How a disk stands to an undo file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoState {
    /// Steps of the change.
    pub steps: u32,
    /// The last step of which anything is on the disk; 0: everything is as before the change.
    pub reached: u32,
    /// Sectors that hold something else.
    pub differing_sectors: u64,
    /// Where, as far as 64 ranges go.
    pub differing: Vec<Differing>,
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Undone {
    /// How the disk stood.
    pub before: UndoState,
    /// Bytes that were written; 0 when everything was as before the change already.
    pub written: u64,
}

/// Looks how the disk stands to the undo file: reads both, writes nothing.
///
/// # Errors
/// [`UndoError::OtherDisk`] if the file belongs to another disk; the errors of disk and file.
pub fn examine_undo(disk: &dyn ReadAt, file: &UndoFile<'_>) -> Result<UndoState, UndoError> {
    let found = DiskIdentity::of(disk)?;
    if found != *file.disk() {
        return Err(UndoError::OtherDisk { wanted: file.disk().to_string(), found: found.to_string() });
    }
    let place = file.place();
    if !place.is_on(disk) {
        return Err(UndoError::NoPlace { partition: place.partition, offset: place.offset });
    }
    let shared = shared_sectors(file);
    let mut several: BTreeMap<u64, Several> = BTreeMap::new();
    let mut state =
        UndoState { steps: file.steps(), reached: 0, differing_sectors: 0, differing: Vec::new() };
    // For each step: whether every sector holds what it wrote.
    let mut complete = vec![true; usize::try_from(file.steps()).unwrap_or(0)];
    let (mut old, mut marks, mut now) = (Vec::new(), Vec::new(), Vec::new());
    for record in &file.records {
        let head = record.head;
        file.content(record, &mut old, &mut marks)?;
        now.resize(old.len(), 0);
        read(disk, head.offset, &mut now)?;
        let mut all_new = complete.get(step_index(head.epoch)).copied().unwrap_or(false);
        let sectors = now.chunks(SECTOR).zip(old.chunks(SECTOR)).zip(marks.chunks(MARK));
        for (((now, old), wanted), number) in sectors.zip(0_u64..) {
            let at = head.offset + number * SECTOR as u64;
            let is_old = now == old;
            // The digest is not needed where the old bytes settle it.
            let shared = is_in(&shared, at);
            let is_new = (shared || !is_old || all_new) && mark(now) == wanted;
            all_new &= is_new;
            if shared {
                several.entry(at).or_default().add(head.epoch, is_old, is_new);
            } else if is_new && !is_old {
                state.reached = state.reached.max(head.epoch);
            } else if !is_old {
                state.differs(at);
            }
        }
        if let Some(complete) = complete.get_mut(step_index(head.epoch)) {
            *complete = all_new;
        }
    }
    for (at, sector) in several {
        match sector.earliest {
            Some(epoch) => state.reached = state.reached.max(epoch),
            None => state.differs(at),
        }
    }
    // A step whose bytes are all there may have happened even if they were there before it: it is taken back too, as
    // its state of the disk belongs between the others.
    // Without any trace of the change there was none.
    while state.reached > 0 && complete.get(step_index(state.reached + 1)) == Some(&true) {
        state.reached += 1;
    }
    Ok(state)
}

/// Place of a step in a list; steps count from 1.
fn step_index(epoch: u32) -> usize {
    usize::try_from(epoch).unwrap_or(usize::MAX).wrapping_sub(1)
}

/// A sector that several steps write: the earliest step after which it held what it holds now.
#[derive(Debug, Default)]
struct Several {
    records: u32,
    earliest: Option<u32>,
}

impl Several {
    fn add(&mut self, epoch: u32, is_old: bool, is_new: bool) {
        // Before its first record a sector holds what was there before the change; before a later one, what the
        // record before it wrote, which was looked at then.
        if self.records == 0 && is_old {
            self.earliest = Some(0);
        }
        if is_new && self.earliest.is_none() {
            self.earliest = Some(epoch);
        }
        self.records += 1;
    }
}

impl UndoState {
    fn differs(&mut self, at: u64) {
        self.differing_sectors += 1;
        let room = self.differing.len() < NAMED;
        match self.differing.last_mut() {
            Some(last) if last.offset + last.bytes == at => last.bytes += SECTOR as u64,
            Some(_) | None if room => self.differing.push(Differing { offset: at, bytes: SECTOR as u64 }),
            Some(_) | None => {}
        }
    }
}

/// Takes a change back: the last step that left a trace first, each step written, flushed and read back before the one
/// before it. Doing it twice is doing it once; after a cut it is simply begun anew. `force` overwrites what somebody
/// changed since. `progress` is told bytes done and bytes in all.
///
/// # Errors
/// [`UndoError::OtherDisk`] and, without `force`, [`UndoError::Changed`] before anything was written.
pub fn undo(
    disk: &mut dyn WriteAt,
    file: &UndoFile<'_>,
    force: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Undone, UndoError> {
    // A run before this one may have been killed: what it wrote must not be overtaken by what comes now.
    let offset = file.place().offset;
    disk.flush().map_err(|source| UndoError::Io { doing: "flushing", offset, source })?;
    let before = examine_undo(&*disk, file)?;
    if let (Some(first), false) = (before.differing.first(), force) {
        return Err(UndoError::Changed {
            letter: file.place().letter,
            count: before.differing_sectors,
            first: first.offset,
        });
    }
    // What somebody changed may stand anywhere in the change: only its end is behind all of it.
    let reached = if before.differing.is_empty() { before.reached } else { before.steps };
    let total = file.records.iter().filter(|r| r.head.epoch <= reached).map(|r| r.head.bytes()).sum();
    let (mut done, mut written) = (0, 0);
    for epoch in (1..=reached).rev() {
        written += back_epoch(disk, file, epoch, &mut |bytes| {
            done += bytes;
            progress(done, total);
        })?;
    }
    Ok(Undone { before, written })
}

fn back_epoch(
    disk: &mut dyn WriteAt,
    file: &UndoFile<'_>,
    epoch: u32,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, UndoError> {
    let (mut old, mut marks, mut now) = (Vec::new(), Vec::new(), Vec::new());
    let mut written = 0;
    let from = file.records.partition_point(|record| record.head.epoch < epoch);
    let to = file.records.partition_point(|record| record.head.epoch <= epoch);
    let records = file.records.get(from..to).unwrap_or(&[]);
    for record in records {
        let offset = record.head.offset;
        file.content(record, &mut old, &mut marks)?;
        now.resize(old.len(), 0);
        read(&*disk, offset, &mut now)?;
        for (from, to) in differing_runs(&now, &old) {
            let piece = old.get(from..to).unwrap_or(&[]);
            let offset = offset + from as u64;
            disk.write_at(offset, piece).map_err(|source| UndoError::Io {
                doing: "putting back what was there",
                offset,
                source,
            })?;
            written += piece.len() as u64;
        }
        progress(record.head.bytes());
    }
    if written == 0 {
        return Ok(0);
    }
    let offset = file.place().offset;
    disk.flush().map_err(|source| UndoError::Io { doing: "flushing", offset, source })?;
    for record in records {
        let offset = record.head.offset;
        disk.drop_cache(offset, record.head.bytes()).map_err(|source| UndoError::Io {
            doing: "dropping the caches",
            offset,
            source,
        })?;
        file.content(record, &mut old, &mut marks)?;
        now.resize(old.len(), 0);
        read(&*disk, offset, &mut now)?;
        if let Some(at) = now.iter().zip(&old).position(|(now, old)| now != old) {
            return Err(UndoError::ReadBack { offset: offset + at as u64 });
        }
    }
    Ok(written)
}

/// Runs of sectors that differ.
fn differing_runs(now: &[u8], old: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, (now, old)) in now.chunks(SECTOR).zip(old.chunks(SECTOR)).enumerate() {
        if now != old {
            let from = index * SECTOR;
            match runs.last_mut() {
                Some(last) if last.1 == from => last.1 = from + SECTOR,
                Some(_) | None => runs.push((from, from + SECTOR)),
            }
        }
    }
    runs
}

/// Ranges that more than one step writes, ascending.
fn shared_sectors(file: &UndoFile<'_>) -> Vec<(u64, u64)> {
    let mut order: Vec<(u64, u64)> =
        file.records.iter().map(|record| (record.head.offset, record.head.end())).collect();
    order.sort_unstable();
    let mut shared: Vec<(u64, u64)> = Vec::new();
    let mut end = 0;
    for (from, to) in order {
        if from < end {
            let to = to.min(end);
            match shared.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                Some(_) | None => shared.push((from, to)),
            }
        }
        end = end.max(to);
    }
    shared
}

fn is_in(ranges: &[(u64, u64)], at: u64) -> bool {
    let after = ranges.partition_point(|range| range.0 <= at);
    after.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|range| at < range.1)
}

fn read(disk: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> Result<(), UndoError> {
    disk.read_at(offset, buf).map_err(|source| UndoError::Io { doing: "reading", offset, source })
}
