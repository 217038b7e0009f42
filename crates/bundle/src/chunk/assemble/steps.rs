//! The pieces in which a plan is carried out.

use crate::chunk::index::ChunkIndex;
use crate::chunk::plan::{FetchPlan, Origin};

/// Most bytes that are made, written or checked at once, if no single chunk is longer: 1 MiB.
const PIECE: u64 = 1 << 20;

/// Neighbouring chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group {
    /// Number of the first chunk.
    pub(super) first: usize,
    /// How many.
    pub(super) count: usize,
    /// First byte in the image.
    pub(super) at: u64,
    /// Bytes of all of them.
    pub(super) len: usize,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A worker makes these chunks, and the caller writes them.
    Make(Group),
    /// The caller copies inside the target.
    Copy { from: u64, at: u64, len: u32 },
}

/// The steps of a plan, forward.
pub(super) fn steps(index: &ChunkIndex, plan: &FetchPlan) -> Vec<Step> {
    let mut steps = Vec::new();
    for (number, ((at, chunk), origin)) in index.placed().zip(&plan.origins).enumerate() {
        match origin {
            Origin::InPlace => {}
            Origin::Again(from) => steps.push(Step::Copy { from: *from, at, len: chunk.len }),
            Origin::Zeros | Origin::Seed(_) | Origin::Pack(_) => match steps.last_mut() {
                Some(Step::Make(group)) if group.takes(number, chunk.len) => group.add(chunk.len),
                Some(_) | None => steps.push(Step::Make(Group::of(number, at, chunk.len))),
            },
        }
    }
    steps
}

/// All chunks in groups.
pub(super) fn groups(index: &ChunkIndex) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (number, (at, chunk)) in index.placed().enumerate() {
        match groups.last_mut() {
            Some(group) if group.takes(number, chunk.len) => group.add(chunk.len),
            Some(_) | None => groups.push(Group::of(number, at, chunk.len)),
        }
    }
    groups
}

impl Group {
    fn of(first: usize, at: u64, len: u32) -> Self {
        Self { first, count: 1, at, len: len as usize }
    }

    fn takes(&self, number: usize, len: u32) -> bool {
        number == self.first + self.count && self.len as u64 + u64::from(len) <= PIECE
    }

    fn add(&mut self, len: u32) {
        self.count += 1;
        self.len += len as usize;
    }
}
