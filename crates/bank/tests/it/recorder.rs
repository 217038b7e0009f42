//! A disk that records its writes and flushes, and every disk that a power cut may leave.
//!
//! Owns: the rules of what may arrive. Between two flushes a disk may keep any of the blocks that it was given (4 KiB,
//! aligned to the disk), in any order; a block may arrive in some of its sectors of 512 bytes. What was flushed stays.
//! A sector arrives whole or not at all. Does not: judge a state; the caller's oracle does.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use lifeboat_model::io::{ReadAt, WriteAt};

/// The unit that a disk reorders.
const BLOCK: u64 = 4096;
/// The unit that a disk never tears.
const SECTOR: u64 = 512;
/// Up to so many dirty blocks all their subsets are tried.
const ALL_SUBSETS: usize = 12;
/// Subsets that are tried of more blocks.
const SAMPLES: usize = 400;
/// Blocks between two flushes that are torn into sectors.
const TORN_BLOCKS: usize = 24;

/// What a disk was told, in order.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write {
        offset: u64,
        data: Vec<u8>,
    },
    Flush,
    /// Something beside the disk changed, durably and at once: the state with this number holds from here on.
    Side(usize),
}

pub(crate) type Ops = Rc<RefCell<Vec<Op>>>;

/// Memory that records.
pub(crate) struct Recorder {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ops: Ops,
}

impl Recorder {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ops: Rc::default() }
    }
}

impl ReadAt for Recorder {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.bytes.read_at(offset, buf)
    }
}

impl WriteAt for Recorder {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.ops.borrow_mut().push(Op::Write { offset, data: data.to_vec() });
        self.bytes.write_at(offset, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ops.borrow_mut().push(Op::Flush);
        Ok(())
    }
}

/// How a state came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Every write before it arrived in order, the last perhaps in its first blocks only.
    Prefix,
    /// Some unflushed blocks arrived, others did not.
    Reordered,
    /// A block of 4 KiB arrived in some of its sectors.
    Torn,
}

/// A disk after a cut.
pub(crate) struct State<'a> {
    pub(crate) disk: &'a Vec<u8>,
    /// Number of the last side state.
    pub(crate) side: usize,
    /// Number of the operation at which the power went.
    pub(crate) at: usize,
}

/// How many states were tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) writes: usize,
    pub(crate) flushes: usize,
    pub(crate) prefixes: usize,
    pub(crate) reordered: usize,
    pub(crate) torn: usize,
    /// States that differ from the disk before.
    pub(crate) changed: usize,
}

impl Counts {
    pub(crate) fn states(&self) -> usize {
        self.prefixes + self.reordered + self.torn
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.writes += other.writes;
        self.flushes += other.flushes;
        self.prefixes += other.prefixes;
        self.reordered += other.reordered;
        self.torn += other.torn;
        self.changed += other.changed;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writes, flushes, prefixes, reordered, torn, changed } = self;
        let states = self.states();
        write!(
            f,
            "{states} states ({prefixes} prefixes, {reordered} reordered, {torn} torn; {changed} differ from the \
             start) of {writes} writes and {flushes} flushes"
        )
    }
}

/// Numbers that look random and are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A block of a write: where it goes, and its bytes.
type Unit<'a> = (usize, &'a [u8]);

struct Replay<'a, F> {
    /// What is stable.
    stable: Vec<u8>,
    /// Stable, with what of the unflushed blocks arrived in the state that is looked at.
    work: Vec<u8>,
    /// Whether the stable bytes differ from the start.
    moved: bool,
    side: usize,
    at: usize,
    counts: Counts,
    seeded: Seeded,
    check: &'a mut F,
}

/// Calls `check` for every state: each prefix of the writes, block by block; sets of unflushed blocks (all of them up
/// to 12, seeded samples beyond); and blocks torn into sectors. Ends with the first error, and says where it was.
pub(crate) fn each_state<F: FnMut(&State<'_>) -> Result<(), String>>(
    start: &[u8],
    ops: &[Op],
    check: &mut F,
) -> Result<Counts, String> {
    let mut replay = Replay {
        stable: start.to_vec(),
        work: start.to_vec(),
        moved: false,
        side: 0,
        at: 0,
        counts: Counts::default(),
        seeded: Seeded(0x9e37_79b9_7f4a_7c15),
        check,
    };
    replay.look(Cut::Prefix, false)?;
    let mut pending: Vec<Unit<'_>> = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        replay.at = at;
        match op {
            Op::Side(number) => {
                // What is not flushed may or may not be there when the side state changed.
                replay.sets(&pending)?;
                replay.side = *number;
                replay.sets(&pending)?;
            }
            Op::Write { offset, data } => {
                replay.counts.writes += 1;
                for unit in units(*offset, data) {
                    put(&mut replay.work, unit);
                    pending.push(unit);
                    replay.look(Cut::Prefix, true)?;
                }
            }
            Op::Flush => {
                replay.counts.flushes += 1;
                replay.end_of_epoch(&mut pending)?;
            }
        }
    }
    replay.end_of_epoch(&mut pending)?;
    Ok(replay.counts)
}

impl<F: FnMut(&State<'_>) -> Result<(), String>> Replay<'_, F> {
    fn look(&mut self, cut: Cut, differs: bool) -> Result<(), String> {
        match cut {
            Cut::Prefix => self.counts.prefixes += 1,
            Cut::Reordered => self.counts.reordered += 1,
            Cut::Torn => self.counts.torn += 1,
        }
        self.counts.changed += usize::from(differs || self.moved);
        let state = State { disk: &self.work, side: self.side, at: self.at };
        (self.check)(&state).map_err(|why| format!("operation {}, {cut:?}: {why}", self.at))
    }

    fn end_of_epoch(&mut self, pending: &mut Vec<Unit<'_>>) -> Result<(), String> {
        self.sets(pending)?;
        self.tears(pending)?;
        self.moved |= !pending.is_empty();
        for unit in pending.drain(..) {
            put(&mut self.stable, unit);
            put(&mut self.work, unit);
        }
        Ok(())
    }

    /// Tries sets of blocks. The working bytes hold all of them before and after.
    fn sets(&mut self, units: &[Unit<'_>]) -> Result<(), String> {
        let len = units.len();
        if len == 0 {
            return Ok(());
        }
        if len <= ALL_SUBSETS {
            for set in 0..1_u32 << len {
                self.set(units, &|index| set >> index & 1 == 1)?;
            }
            return Ok(());
        }
        for sample in 0..SAMPLES {
            let (kind, picked) = (sample % 4, (self.seeded.next() % len as u64) as usize);
            let seed = self.seeded.next() | 1;
            let random = |index: usize| Seeded(seed.wrapping_mul(index as u64 * 2 + 3)).next() >> 32 & 7;
            match kind {
                0 => self.set(units, &|index| index != picked)?,
                1 => self.set(units, &|index| index == picked)?,
                2 => self.set(units, &|index| random(index) < 4)?,
                _ => self.set(units, &|index| random(index) == 0 || index > picked)?,
            }
        }
        Ok(())
    }

    fn set(&mut self, units: &[Unit<'_>], arrived: &dyn Fn(usize) -> bool) -> Result<(), String> {
        self.revert(units);
        let mut any = false;
        for (index, unit) in units.iter().enumerate() {
            if arrived(index) {
                put(&mut self.work, *unit);
                any = true;
            }
        }
        let looked = self.look(Cut::Reordered, any);
        self.all(units);
        looked
    }

    /// Tears blocks into sectors, with all the other blocks arrived, with those before it, and with none.
    fn tears(&mut self, units: &[Unit<'_>]) -> Result<(), String> {
        let step = units.len().div_ceil(TORN_BLOCKS).max(1);
        let picked = (0..units.len()).filter(|index| index % step == 0 || index + 2 >= units.len());
        for index in picked {
            let unit = units[index];
            for others in [0, index, units.len()] {
                for part in torn(unit.1.len()) {
                    self.revert(units);
                    for (other, unit) in units.iter().enumerate().take(others) {
                        if other != index {
                            put(&mut self.work, *unit);
                        }
                    }
                    for Range { start, end } in part {
                        put(&mut self.work, (unit.0 + start, &unit.1[start..end]));
                    }
                    let looked = self.look(Cut::Torn, true);
                    self.all(units);
                    looked?;
                }
                if units.len() == 1 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn revert(&mut self, units: &[Unit<'_>]) {
        for (at, data) in units {
            let range = *at..at + data.len();
            self.work[range.clone()].copy_from_slice(&self.stable[range]);
        }
    }

    fn all(&mut self, units: &[Unit<'_>]) {
        for unit in units {
            put(&mut self.work, *unit);
        }
    }
}

fn put(bytes: &mut [u8], (at, data): Unit<'_>) {
    bytes[at..at + data.len()].copy_from_slice(data);
}

/// The blocks of a write.
fn units(offset: u64, data: &[u8]) -> Vec<Unit<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let here = offset + at as u64;
        let len = (BLOCK - here % BLOCK).min((data.len() - at) as u64) as usize;
        out.push((here as usize, &data[at..at + len]));
        at += len;
    }
    out
}

/// The parts of a block that may arrive: each front, each end, every other sector.
fn torn(len: usize) -> Vec<Vec<Range<usize>>> {
    let sector = SECTOR as usize;
    let sectors = len.div_ceil(sector);
    let place = |from: usize, to: usize| (from * sector).min(len)..(to * sector).min(len);
    let mut parts = Vec::new();
    for cut in 1..sectors {
        parts.push(vec![place(0, cut)]);
        parts.push(vec![place(cut, sectors)]);
    }
    if sectors > 2 {
        parts.push((0..sectors).step_by(2).map(|at| place(at, at + 1)).collect());
        parts.push((1..sectors).step_by(2).map(|at| place(at, at + 1)).collect());
    }
    parts
}

#[test]
fn the_recorder_makes_every_subset_and_every_tear_of_two_blocks() {
    let mut disk = Recorder::new(vec![0; 8192]);
    disk.write_at(0, &[1; 8192]).unwrap();
    disk.flush().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let ops = disk.ops.borrow().clone();
    let counts = each_state(&vec![0; 8192], &ops, &mut |state: &State<'_>| {
        seen.insert(state.disk.chunks(512).map(|sector| sector[0]).collect::<Vec<u8>>());
        assert!(state.disk.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        Ok(())
    })
    .unwrap();
    // Four whole sets; per block 16 tears, each with the other block there and not there.
    assert_eq!(seen.len(), 4 + 2 * 16 * 2);
    assert_eq!((counts.writes, counts.flushes, counts.prefixes, counts.reordered), (1, 1, 3, 4));
}

#[test]
fn what_was_flushed_is_never_lost_again() {
    let mut disk = Recorder::new(vec![0; 4096]);
    disk.write_at(0, &[1; 512]).unwrap();
    disk.flush().unwrap();
    disk.write_at(512, &[2; 512]).unwrap();
    let ops = disk.ops.borrow().clone();
    let result = each_state(&vec![0; 4096], &ops, &mut |state: &State<'_>| {
        if state.at == 2 && state.disk[0] != 1 { Err("lost".to_owned()) } else { Ok(()) }
    });
    assert!(result.unwrap().states() > 4);
}
