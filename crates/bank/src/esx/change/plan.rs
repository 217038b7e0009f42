//! A change of a bank as a value: what is written, in which order, and why.

use std::fmt;
use std::io;

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::error::ChangeError;
use crate::esx::undo::{DiskIdentity, Place};
use crate::fat::{Edit, Extent};

/// Bytes of a sector: every write begins and ends at one, and a disk is trusted to write one whole or not at all.
pub const SECTOR: u64 = 512;
/// The same, for slices.
pub(in crate::esx) const SECTOR_LEN: usize = 512;
/// Most bytes that are held of a stream at a time.
pub(in crate::esx) const PIECE: u64 = 1 << 20;

/// Where a change stands. The numbers beside it in a progress report are bytes done and bytes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The bytes that will be overwritten are copied into the undo file.
    Save,
    /// The bank is made one that the loader does not choose.
    Invalidate,
    /// The boot sector is cleared: nothing can be read as a bank.
    Unseal,
    /// Content is written.
    Content,
    /// Directory entries are changed.
    Directory,
    /// The allocation tables are changed.
    Tables,
    /// The boot sector is written.
    Seal,
    /// The bank is made one that the loader may choose.
    Release,
    /// What was written is read back from the device.
    Verify,
}

impl Step {
    /// The word that people read while it goes on.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Save => "saving what will be overwritten",
            Self::Invalidate => "marking the bank invalid",
            Self::Unseal => "clearing the boot sector",
            Self::Content => "writing content",
            Self::Directory => "writing the directory",
            Self::Tables => "writing the allocation tables",
            Self::Seal => "writing the boot sector",
            Self::Release => "marking the bank valid",
            Self::Verify => "reading back",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// One step of a plan, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// Which.
    pub step: Step,
    /// What it does and why it stands at this place.
    pub why: String,
    /// Writes in it.
    pub writes: usize,
    /// Bytes that it writes.
    pub bytes: u64,
}

/// What was looked at when the plan was made, and must be the same when it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// A file that must be found whole through the file system before the bank is released, and at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) path: String,
    pub(super) len: u64,
    pub(super) sha256: [u8; 32],
}

/// Where the bytes of a write come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::esx) enum Data {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Bytes of the disk itself, from another bank; zeros fill the last sector.
    Copy {
        /// Name of the file, for errors.
        name: String,
        /// Runs on the disk.
        from: Vec<Extent>,
        /// Bytes of the file.
        len: u64,
        /// Their digest, taken when the plan was made.
        sha256: [u8; 32],
    },
}

/// A write, absolute on the disk, of whole sectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::esx) struct Write {
    pub(in crate::esx) offset: u64,
    pub(in crate::esx) data: Data,
}

impl Write {
    /// Bytes that are written: whole sectors.
    pub(in crate::esx) fn len(&self) -> u64 {
        match &self.data {
            Data::Bytes(bytes) => bytes.len() as u64,
            Data::Copy { len, .. } => len.next_multiple_of(SECTOR),
        }
    }

    pub(in crate::esx) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len())
    }

    /// Puts the bytes of the write from its byte `at` on into `buf`.
    pub(in crate::esx) fn fill(&self, disk: &dyn ReadAt, at: u64, buf: &mut [u8]) -> io::Result<()> {
        match &self.data {
            Data::Bytes(bytes) => bytes.as_slice().read_at(at, buf),
            Data::Copy { from, .. } => {
                buf.fill(0);
                let mut start = 0;
                for run in from {
                    let (low, high) = (start.max(at), (start + run.len).min(at + buf.len() as u64));
                    if low < high {
                        let place = usize::try_from(low - at).unwrap_or(usize::MAX);
                        let len = usize::try_from(high - low).unwrap_or(0);
                        let part = buf.get_mut(place..).and_then(|rest| rest.get_mut(..len));
                        let part = part.ok_or(io::ErrorKind::InvalidInput)?;
                        disk.read_at(run.offset + (low - start), part)?;
                    }
                    start += run.len;
                }
                Ok(())
            }
        }
    }
}

/// Writes between two flushes: they may reach the disk in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::esx) struct Epoch {
    pub(in crate::esx) step: Step,
    pub(in crate::esx) why: String,
    pub(in crate::esx) writes: Vec<Write>,
}

/// A change that was thought through: nothing has been written yet.
///
/// Made by [`plan_set_next`](super::plan_set_next), [`plan_clean`](super::plan_clean),
/// [`plan_rebuild`](super::plan_rebuild) and [`plan_import`](super::plan_import), carried out by
/// [`apply`](super::apply()).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePlan {
    pub(super) what: String,
    pub(super) disk: DiskIdentity,
    pub(super) place: Place,
    pub(super) notes: Vec<String>,
    pub(super) guards: Vec<Guard>,
    pub(super) epochs: Vec<Epoch>,
    pub(super) proofs: Vec<Proof>,
    /// Offset of the bank that the loader must choose afterwards.
    pub(super) then_chosen: Option<u64>,
}

impl ChangePlan {
    pub(super) fn new(what: String, disk: DiskIdentity, place: Place) -> Self {
        Self {
            what,
            disk,
            place,
            notes: Vec::new(),
            guards: Vec::new(),
            epochs: Vec::new(),
            proofs: Vec::new(),
            then_chosen: None,
        }
    }

    /// What is done, as one sentence.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The only bytes that may be written.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The disk that the plan was made for.
    #[must_use]
    pub fn disk(&self) -> &DiskIdentity {
        &self.disk
    }

    pub(in crate::esx) fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// What was decided on the way, and why, for people.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether nothing has to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }

    /// The steps in the order in which they are done; between any two of them everything is flushed and read back.
    #[must_use]
    pub fn steps(&self) -> Vec<PlannedStep> {
        let of = |epoch: &Epoch| PlannedStep {
            step: epoch.step,
            why: epoch.why.clone(),
            writes: epoch.writes.len(),
            bytes: epoch.writes.iter().map(Write::len).sum(),
        };
        self.epochs.iter().map(of).collect()
    }

    /// Bytes that are written, and that the undo file holds of before.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.epochs.iter().flat_map(|epoch| &epoch.writes).map(Write::len).sum()
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(super) fn guard(&mut self, disk: &dyn ReadAt, offset: u64, len: u64) -> Result<(), ChangeError> {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        disk.read_at(offset, &mut bytes).map_err(|source| ChangeError::Io {
            doing: "reading what the plan rests on",
            offset,
            source,
        })?;
        self.guards.push(Guard { offset, bytes });
        Ok(())
    }

    /// Adds a step. Refuses writes outside of the bank, of parts of sectors, or twice of one sector.
    pub(super) fn push(
        &mut self,
        step: Step,
        why: impl Into<String>,
        mut writes: Vec<Write>,
    ) -> Result<(), ChangeError> {
        writes.retain(|write| write.len() > 0);
        if writes.is_empty() {
            return Ok(());
        }
        let mut order: Vec<(u64, u64)> = writes.iter().map(|write| (write.offset, write.end())).collect();
        order.sort_unstable();
        let mut before = 0;
        for (from, to) in order {
            if from < self.place.offset || to > self.place.offset.saturating_add(self.place.bytes) {
                return Err(ChangeError::OutsideBank { from, to });
            }
            if from < before || from % SECTOR != 0 || to % SECTOR != 0 {
                return Err(ChangeError::BadWrite { from, to });
            }
            before = to;
        }
        self.epochs.push(Epoch { step, why: why.into(), writes });
        Ok(())
    }

    /// Adds edits of the FAT editor: a step for each of their barriers, with the first word and then the second.
    pub(super) fn push_edits(
        &mut self,
        [first, later]: [(Step, &str); 2],
        edits: Vec<Edit>,
    ) -> Result<(), ChangeError> {
        let mut writes = Vec::new();
        let (mut step, mut why) = first;
        for Edit { offset, old, new, barrier } in edits {
            self.guards.push(Guard { offset, bytes: old });
            writes.push(Write { offset, data: Data::Bytes(new) });
            if barrier {
                self.push(step, why, std::mem::take(&mut writes))?;
                (step, why) = later;
            }
        }
        self.push(step, why, writes)
    }
}
