//! Opening.

use lifeboat_model::Bank;
use lifeboat_model::io::ReadAt;
use thiserror::Error;

use super::rebuild::load_record;
use super::report::{BankReport, DiskReport};
use crate::finding::Finding;
use crate::install::{BankCheck, verify_bank};
use crate::layout::{Layout, LayoutError, read_layout};
use crate::manifest::read_manifest;
use crate::record::{BankRecord, RecordError};

/// A boot disk with its layout and its record.
#[derive(Debug)]
pub struct BankDisk<D> {
    disk: D,
    layout: Layout,
    record: BankRecord,
    findings: Vec<Finding>,
}

/// Why a disk could not be opened as a boot disk of ours.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The layout is not ours, or not readable.
    #[error("reading the layout of the disk")]
    Layout {
        /// The cause.
        #[source]
        source: LayoutError,
    },
    /// The record is not readable, or could not be written after it was rebuilt.
    #[error("{doing} the bank record")]
    Record {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: RecordError,
    },
}

impl<D: ReadAt> BankDisk<D> {
    /// Opens a disk and reads its layout and record. Nothing is written; a lost record is rebuilt in memory, with a
    /// finding that says so, and written by the next change.
    pub fn open(disk: D) -> Result<Self, DiskError> {
        let layout = read_layout(&disk).map_err(|source| DiskError::Layout { source })?;
        let (record, found) =
            load_record(&disk, &layout).map_err(|source| DiskError::Record { doing: "reading", source })?;
        let mut findings = layout.findings.clone();
        if !layout.foreign.is_empty() {
            let text =
                format!("partitions that are not ours, and are never written: {}", layout.foreign.join(", "));
            findings.push(Finding::new("foreign-partitions", text));
        }
        findings.extend(found);
        Ok(Self { disk, layout, record, findings })
    }

    /// The layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The record as it was read.
    pub fn record(&self) -> &BankRecord {
        &self.record
    }

    /// What was noticed while opening.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The disk, for the operations of this crate.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Disk and layout at once, for [`crate::install::install`] and [`crate::ops`].
    pub fn parts(&mut self) -> (&mut D, &Layout) {
        (&mut self.disk, &self.layout)
    }

    /// Reads layout and record anew, after a change.
    pub fn refresh(self) -> Result<Self, DiskError> {
        Self::open(self.disk)
    }

    /// Reads a bank whole and compares it with the record.
    pub fn verify(&self, bank: Bank) -> BankCheck {
        verify_bank(&self.disk, &self.layout, Some(&self.record), bank)
    }

    /// Gives the disk back.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// Both banks by identity.
    pub fn report(&self) -> DiskReport {
        let bank = |bank| {
            let volumes = self.layout.volumes(bank);
            let manifest = read_manifest(&self.disk, volumes.boot, bank);
            BankReport::new(bank, volumes, self.record.bank(bank), manifest.and_then(|read| read.verity))
        };
        DiskReport {
            disk_guid: self.layout.disk_guid,
            disk_bytes: self.disk.size(),
            banks: Bank::BOTH.map(bank),
            floor: self.record.floor,
            failed: self.record.failed.clone(),
            foreign: self.layout.foreign.clone(),
            findings: self.findings.clone(),
        }
    }
}
