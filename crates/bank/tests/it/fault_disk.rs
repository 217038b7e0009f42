//! A disk that remembers every write and flush, and the disks that a power cut can leave.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use lifeboat_bank::ops::{BootControl, BootControlError, BootStatus};
use lifeboat_model::Bank;
use lifeboat_model::io::{ReadAt, WriteAt};

/// What happened, in order, on disk and in the firmware's variables.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Write { offset: u64, data: Vec<u8> },
    Flush,
    Watchdog,
    Next(Option<Bank>),
    First(Bank),
}

pub(crate) type Log = Rc<RefCell<Vec<Event>>>;

/// Memory that records.
pub(crate) struct RecordingDisk {
    pub(crate) bytes: Vec<u8>,
    pub(crate) log: Log,
}

impl ReadAt for RecordingDisk {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.bytes.read_at(offset, buf)
    }
}

impl WriteAt for RecordingDisk {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.log.borrow_mut().push(Event::Write { offset, data: data.to_vec() });
        self.bytes.write_at(offset, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.borrow_mut().push(Event::Flush);
        Ok(())
    }
}

/// Boot variables that record; each change is durable at once.
pub(crate) struct RecordingBoot {
    pub(crate) status: BootStatus,
    pub(crate) log: Log,
}

impl BootControl for RecordingBoot {
    fn status(&mut self) -> Result<BootStatus, BootControlError> {
        Ok(self.status.clone())
    }

    fn set_next(&mut self, bank: Bank) -> Result<(), BootControlError> {
        self.status.next = Some(bank);
        self.log.borrow_mut().push(Event::Next(Some(bank)));
        Ok(())
    }

    fn clear_next(&mut self) -> Result<(), BootControlError> {
        self.status.next = None;
        self.log.borrow_mut().push(Event::Next(None));
        Ok(())
    }

    fn commit(&mut self, bank: Bank) -> Result<(), BootControlError> {
        self.status.order = vec![bank, bank.other()];
        self.log.borrow_mut().push(Event::First(bank));
        Ok(())
    }
}

/// A disk as a power cut leaves it: stable bytes, and those unflushed writes that arrived, whole or in part.
pub(crate) struct CutDisk<'a> {
    pub(crate) stable: &'a [u8],
    pub(crate) arrived: Vec<(u64, &'a [u8])>,
}

impl ReadAt for CutDisk<'_> {
    fn size(&self) -> u64 {
        self.stable.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.stable.read_at(offset, buf)?;
        let end = offset + buf.len() as u64;
        for (at, data) in &self.arrived {
            let (from, to) = ((*at).max(offset), (at + data.len() as u64).min(end));
            if from < to {
                let (source, target) = ((from - at) as usize, (from - offset) as usize);
                let len = (to - from) as usize;
                buf[target..target + len].copy_from_slice(&data[source..source + len]);
            }
        }
        Ok(())
    }
}

impl CutDisk<'_> {
    /// The disk as bytes of its own, to go on with.
    pub(crate) fn settle(&self) -> Vec<u8> {
        let mut bytes = self.stable.to_vec();
        for (at, data) in &self.arrived {
            bytes.write_at(*at, data).unwrap();
        }
        bytes
    }
}

/// The firmware's variables at the moment of the cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variables {
    pub(crate) next: Option<Bank>,
    pub(crate) first: Bank,
}

/// How a cut was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Every write before it arrived, in order.
    InOrder,
    /// Some unflushed writes did not arrive.
    Reordered,
    /// The last write arrived in some of its sectors only.
    Torn,
}

/// Calls `check` for each disk that a power cut can leave: after every event in order; for every set of unflushed
/// writes (all of them up to ten writes, a spread of sets beyond); and with the last write torn at sectors.
/// Returns how many disks were checked.
pub(crate) fn each_cut(
    start: &[u8],
    first: Bank,
    events: &[Event],
    check: &mut dyn FnMut(&CutDisk<'_>, Variables, Kind, usize),
) -> usize {
    let mut stable = start.to_vec();
    let mut variables = Variables { next: None, first };
    let mut count = 0;
    let mut pending: Vec<(u64, &[u8])> = Vec::new();
    check(&CutDisk { stable: &stable, arrived: Vec::new() }, variables, Kind::InOrder, 0);
    for (index, event) in events.iter().enumerate() {
        match event {
            Event::Flush => {
                for (at, data) in pending.drain(..) {
                    stable.write_at(at, data).unwrap();
                }
            }
            Event::Watchdog => {}
            Event::Next(bank) => variables.next = *bank,
            Event::First(bank) => variables.first = *bank,
            Event::Write { offset, data } => {
                for part in torn(data) {
                    let mut arrived = pending.clone();
                    arrived
                        .extend(part.iter().map(|range| (offset + range.start as u64, &data[range.clone()])));
                    check(&CutDisk { stable: &stable, arrived }, variables, Kind::Torn, index);
                    count += 1;
                }
                pending.push((*offset, data));
                for set in subsets(pending.len()) {
                    let arrived =
                        pending.iter().zip(0..).filter(|(_, bit)| set >> bit & 1 == 1).map(|(w, _)| *w);
                    let cut = CutDisk { stable: &stable, arrived: arrived.collect() };
                    check(&cut, variables, Kind::Reordered, index);
                    count += 1;
                }
            }
        }
        check(&CutDisk { stable: &stable, arrived: pending.clone() }, variables, Kind::InOrder, index);
        count += 1;
    }
    count
}

/// Sets of `len` writes that contain the newest, as bits.
fn subsets(len: usize) -> Vec<u64> {
    let newest = 1_u64 << (len - 1);
    if len <= 7 {
        return (0..newest).map(|set| set | newest).collect();
    }
    let mut sets: Vec<u64> = (0..len - 1).map(|dropped| ((newest << 1) - 1) & !(1 << dropped)).collect();
    sets.extend((0..len - 1).map(|kept| newest | 1 << kept));
    sets.push(newest);
    sets
}

/// Parts of a write that arrived: a front, an end, and every other sector.
fn torn(data: &[u8]) -> Vec<Vec<Range<usize>>> {
    const SECTOR: usize = 512;
    let sectors = data.len() / SECTOR;
    if sectors < 2 {
        return Vec::new();
    }
    let fronts = if sectors <= 8 { (1..sectors).collect() } else { vec![1, sectors / 2, sectors - 1] };
    let whole = std::iter::once(0..data.len()).collect::<Vec<_>>();
    let mut parts: Vec<Vec<Range<usize>>> = Vec::new();
    for front in fronts {
        let (mut begun, mut ended) = (whole.clone(), whole.clone());
        begun[0].end = front * SECTOR;
        ended[0].start = front * SECTOR;
        parts.extend([begun, ended]);
    }
    parts.push((0..sectors.min(64)).step_by(2).map(|at| at * SECTOR..(at + 1) * SECTOR).collect());
    parts
}
