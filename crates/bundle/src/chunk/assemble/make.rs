//! The three stages of writing: read ranges of packs, make chunks, write.
//!
//! One thread reads ahead, [`WORKERS`] threads take chunks from seeds or decode them, and the caller's thread writes in
//! order. Channels are bounded: the slowest stage sets the pace, and memory does not grow.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use lifeboat_model::image::ImageTarget;

use super::WORKERS;
use super::steps::{Group, Step, steps};
use super::write::PagedWriter;
use crate::chunk::decode::{ChunkDecoder, Undecodable};
use crate::chunk::hash::ChunkHash;
use crate::chunk::index::{Chunk, ChunkIndex, Location, Stored};
use crate::chunk::pack::{PackRef, PackSource};
use crate::chunk::plan::{FetchPlan, Origin, Range, Share};
use crate::chunk::seed::Seed;
use crate::error::BundleError;

/// Groups on their way to a worker, and made groups on their way from it.
const IN_FLIGHT: usize = 3;
/// Buffers of ranges that are kept to be filled again.
const SPARE_RANGES: usize = 8;

/// Everything that one write needs.
pub(super) struct Making<'a> {
    pub(super) slot: &'a str,
    pub(super) index: &'a ChunkIndex,
    pub(super) packs: &'a [PackRef],
    pub(super) source: &'a dyn PackSource,
    pub(super) seeds: &'a [&'a dyn Seed],
    pub(super) plan: &'a FetchPlan,
    /// Compare what was decoded with the chunk's hash, too. An install does that when it reads back.
    pub(super) hash_decoded: bool,
}

/// Bytes of a pack that were read at once.
struct Read {
    range: Range,
    bytes: Vec<u8>,
}

/// A group, and what was read for it.
struct Order {
    group: Group,
    reads: Vec<Arc<Read>>,
}

type Ordered = Result<Order, BundleError>;
type Made = Result<(Group, Vec<u8>), BundleError>;

/// Chunks of a seed that were not what it claimed.
#[derive(Default)]
struct Bad {
    chunks: AtomicU64,
    bytes: AtomicU64,
}

impl Making<'_> {
    /// Writes everything; what the seeds gave badly.
    pub(super) fn run(&self, target: &mut dyn ImageTarget) -> io::Result<Vec<Share>> {
        let steps = steps(self.index, self.plan);
        let ranges = self.plan.ranges();
        let bad: Vec<Bad> = self.seeds.iter().map(|_| Bad::default()).collect();
        thread::scope(|scope| {
            let (mut orders, mut made) = (Vec::new(), Vec::new());
            for _ in 0..WORKERS {
                let (order, ordered) = sync_channel::<Ordered>(IN_FLIGHT);
                let (give, taken) = sync_channel::<Made>(IN_FLIGHT);
                let (give_back, spare) = channel::<Vec<u8>>();
                let bad = &bad;
                scope.spawn(move || self.work(&ordered, &give, &spare, bad));
                orders.push(order);
                made.push((taken, give_back));
            }
            let ordering = &steps;
            scope.spawn(move || self.read_ahead(ordering, &ranges, &orders));
            self.write(&steps, &made, target)
        })?;
        let count = |bad: &Bad| Share {
            chunks: bad.chunks.load(Ordering::Relaxed),
            bytes: bad.bytes.load(Ordering::Relaxed),
        };
        Ok(bad.iter().map(count).collect())
    }

    /// The caller's thread.
    fn write(
        &self,
        steps: &[Step],
        made: &[(Receiver<Made>, Sender<Vec<u8>>)],
        target: &mut dyn ImageTarget,
    ) -> io::Result<()> {
        let mut writer = PagedWriter::new(target, self.index.slot_len);
        let mut turn = made.iter().cycle();
        let mut copied = Vec::new();
        for step in steps {
            match *step {
                Step::Copy { from, at, len } => {
                    copied.resize(len as usize, 0);
                    writer.copy(from, at, &mut copied)?;
                }
                Step::Make(_) => {
                    let Some((taken, give_back)) = turn.next() else { break };
                    let ended = || io::Error::other("a thread of the install ended early");
                    let (group, bytes) = taken.recv().map_err(|_| ended())??;
                    writer.write(group.at, &bytes)?;
                    // A worker that has ended wants nothing back.
                    let _ = give_back.send(bytes);
                }
            }
        }
        writer.finish()
    }

    /// The thread that reads: each range once, just before the first group that needs it.
    fn read_ahead(&self, steps: &[Step], ranges: &[Range], orders: &[SyncSender<Ordered>]) {
        let mut turn = orders.iter().cycle();
        let mut next = ranges.iter();
        let mut current: Option<Arc<Read>> = None;
        let mut used: Vec<Arc<Read>> = Vec::new();
        for step in steps {
            let Step::Make(group) = step else { continue };
            let mut reads: Vec<Arc<Read>> = Vec::new();
            let mut failed = None;
            for at in self.locations(group) {
                if current.as_ref().is_none_or(|read| !read.range.holds(at)) {
                    let Some(range) = next.next() else { break };
                    match self.read(*range, &mut used) {
                        Ok(read) => current = Some(read),
                        Err(error) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
                if let Some(read) = &current
                    && reads.last().is_none_or(|last| !Arc::ptr_eq(last, read))
                {
                    reads.push(read.clone());
                }
            }
            let order = match failed {
                Some(error) => Err(error),
                None => Ok(Order { group: *group, reads }),
            };
            let stop = order.is_err();
            let Some(worker) = turn.next() else { return };
            // The other side has ended when nobody takes it.
            if worker.send(order).is_err() || stop {
                return;
            }
        }
    }

    fn read(&self, range: Range, used: &mut Vec<Arc<Read>>) -> Result<Arc<Read>, BundleError> {
        let free = used.iter().position(|read| Arc::strong_count(read) == 1);
        let mut bytes = free
            .map(|at| used.swap_remove(at))
            .and_then(Arc::into_inner)
            .map_or_else(Vec::new, |read| read.bytes);
        bytes.resize(usize::try_from(range.len()).unwrap_or(0), 0);
        self.fetch(range.pack, range.offset, &mut bytes)?;
        let read = Arc::new(Read { range, bytes });
        if used.len() < SPARE_RANGES {
            used.push(read.clone());
        }
        Ok(read)
    }

    fn fetch(&self, pack: u8, offset: u64, buf: &mut [u8]) -> Result<(), BundleError> {
        let Some(pack) = self.packs.get(usize::from(pack)) else {
            return Err(BundleError::NotCarried { slot: self.slot.to_owned(), chunks: 1, bytes: 0 });
        };
        let len = buf.len() as u64;
        self.source.read_at(&pack.sha256, offset, buf).map_err(|source| BundleError::ReadPack {
            pack: pack.sha256,
            at: offset,
            len,
            source,
        })
    }

    /// Where the fetched chunks of a group lie.
    fn locations(&self, group: &Group) -> impl Iterator<Item = &Location> {
        let range = group.first..group.first + group.count;
        let origins = self.plan.origins.get(range).unwrap_or_default();
        origins.iter().filter_map(|origin| match origin {
            Origin::Pack(at) => Some(at),
            Origin::Zeros | Origin::InPlace | Origin::Seed(_) | Origin::Again(_) => None,
        })
    }

    /// A thread that makes chunks.
    fn work(
        &self,
        ordered: &Receiver<Ordered>,
        give: &SyncSender<Made>,
        spare: &Receiver<Vec<u8>>,
        bad: &[Bad],
    ) {
        let mut decoder = ChunkDecoder::default();
        for order in ordered {
            let made = order.and_then(|order| {
                let mut bytes = spare.try_recv().unwrap_or_default();
                bytes.resize(order.group.len, 0);
                self.make(&order, &mut bytes, &mut decoder, bad)?;
                Ok((order.group, bytes))
            });
            let stop = made.is_err();
            if give.send(made).is_err() || stop {
                return;
            }
        }
    }

    fn make(
        &self,
        order: &Order,
        mut rest: &mut [u8],
        decoder: &mut ChunkDecoder,
        bad: &[Bad],
    ) -> Result<(), BundleError> {
        let Group { first, count, .. } = order.group;
        let chunks = self.index.chunks.iter().zip(&self.plan.origins).enumerate();
        for (number, (chunk, origin)) in chunks.skip(first).take(count) {
            let Some((to, after)) = rest.split_at_mut_checked(chunk.len as usize) else { break };
            rest = after;
            match origin {
                Origin::Zeros => to.fill(0),
                Origin::Seed(seed) => {
                    if !self.take(*seed, chunk, to) {
                        if let Some(bad) = bad.get(*seed) {
                            bad.chunks.fetch_add(1, Ordering::Relaxed);
                            bad.bytes.fetch_add(chunk.len.into(), Ordering::Relaxed);
                        }
                        self.fetch_one(number, chunk, to, decoder)?;
                    }
                }
                Origin::Pack(at) => {
                    let stored = order.reads.iter().find_map(|read| read.stored(at)).unwrap_or_default();
                    self.decode(number, at, stored, to, decoder)?;
                    if self.hash_decoded && ChunkHash::of(to) != chunk.hash {
                        let slot = self.slot.to_owned();
                        return Err(BundleError::ChunkWrong { slot, chunk: number });
                    }
                }
                // Neither is in a group.
                Origin::InPlace | Origin::Again(_) => {}
            }
        }
        Ok(())
    }

    /// Takes a chunk from a seed; false if it is not there or is another one.
    fn take(&self, seed: usize, chunk: &Chunk, to: &mut [u8]) -> bool {
        self.seeds
            .get(seed)
            .is_some_and(|seed| seed.read(&chunk.hash, to).is_ok() && ChunkHash::of(to) == chunk.hash)
    }

    /// A chunk that a seed did not give.
    fn fetch_one(
        &self,
        number: usize,
        chunk: &Chunk,
        to: &mut [u8],
        decoder: &mut ChunkDecoder,
    ) -> Result<(), BundleError> {
        let Stored::At(at) = &chunk.stored else {
            to.fill(0);
            return Ok(());
        };
        let mut stored = vec![0; at.len as usize];
        self.fetch(at.pack, at.offset, &mut stored)?;
        self.decode(number, at, &stored, to, decoder)
    }

    fn decode(
        &self,
        chunk: usize,
        at: &Location,
        stored: &[u8],
        to: &mut [u8],
        decoder: &mut ChunkDecoder,
    ) -> Result<(), BundleError> {
        decoder.decode(at, stored, to).map_err(|why| chunk_error(why, self.slot, chunk, at))
    }
}

/// Why a chunk is refused, for people.
pub(crate) fn chunk_error(why: Undecodable, slot: &str, chunk: usize, at: &Location) -> BundleError {
    let slot = slot.to_owned();
    match why {
        Undecodable::Altered => BundleError::ChunkAltered { slot, chunk, at: at.offset },
        Undecodable::Wrong => BundleError::ChunkWrong { slot, chunk },
    }
}

impl Read {
    /// The stored bytes that lie in this range.
    fn stored(&self, at: &Location) -> Option<&[u8]> {
        if !self.range.holds(at) {
            return None;
        }
        let from = usize::try_from(at.offset - self.range.offset).ok()?;
        self.bytes.get(from..)?.get(..at.len as usize)
    }
}
