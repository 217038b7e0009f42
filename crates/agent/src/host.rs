//! This machine as a host with banks.
//!
//! Owns: the boot disk, and the facts of the running bank. Promises: the disk that is opened is the one the kernel
//! line names. Does not: change anything when opened, except to lock the disk and to give both banks an
//! entry in the firmware.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lifeboat_bank::efi::{UefiBootError, VarError};
use lifeboat_bank::layout::{Layout, LayoutError, read_layout};
use lifeboat_bank::ops::BootControl;
use lifeboat_bank::record::{BankRecord, read_record};
use lifeboat_device::{BlockFile, DeviceError, EfivarFs, SystemRoots, WriteScope};
use lifeboat_model::Bank;
use lifeboat_model::agent::{AgentStatus, BankReport, HostKind};
pub(crate) use lifeboat_model::chain;
use thiserror::Error;

use crate::{DiskError, KernelLine, KernelLineError, Machine, UefiControl, find_root, met_damage};

/// Why a host could not be opened.
#[derive(Debug, Error)]
pub enum HostError {
    /// A fact could not be read.
    #[error("reading {}", path.display())]
    Fact {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// This is not a host of ours.
    #[error("this machine was not booted by Lifeboat")]
    KernelLine {
        /// The cause.
        #[source]
        source: KernelLineError,
    },
    /// The boot disk was not found.
    #[error("the disk with the running root was not found")]
    Find {
        /// The cause.
        #[source]
        source: DiskError,
    },
    /// The boot disk could not be opened.
    #[error("the boot disk cannot be used")]
    Open {
        /// The cause.
        #[source]
        source: DeviceError,
    },
    /// The boot disk has another layout than it should.
    #[error("the boot disk {} is not laid out as it should", path.display())]
    Layout {
        /// The disk.
        path: PathBuf,
        /// The cause.
        #[source]
        source: LayoutError,
    },
    /// The kernel line and the disk name different banks.
    #[error(
        "the kernel line says bank {line}, but its root is a partition of bank {disk}; nothing is touched"
    )]
    Disagree {
        /// By the kernel line.
        line: Bank,
        /// By the table of the disk.
        disk: String,
    },
    /// The firmware's variables cannot be reached.
    #[error("the firmware's variables cannot be reached; is efivarfs mounted?")]
    Variables {
        /// The cause.
        #[source]
        source: VarError,
    },
    /// The firmware's boot entries cannot be put in order.
    #[error("the firmware's boot entries cannot be put in order")]
    Entries {
        /// The cause.
        #[source]
        source: UefiBootError,
    },
}

/// A host of ours, opened.
#[derive(Debug)]
pub struct Host {
    machine: Machine,
    /// The running kernel line.
    pub line: KernelLine,
    /// Layout of the boot disk.
    pub layout: Layout,
    disk: Mutex<BlockFile>,
    /// For questions while an install has the disk for minutes.
    reader: BlockFile,
}

/// A host is a machine, and more.
impl Deref for Host {
    type Target = Machine;

    fn deref(&self) -> &Machine {
        &self.machine
    }
}

/// Opens the disk that this very system runs from, to write nothing but the bank that does not run and the copies of
/// the bank record. Refused if that bank is in use.
pub(crate) fn open_beside(path: &Path, running: Bank) -> Result<(BlockFile, Layout), HostError> {
    let open = |source| HostError::Open { source };
    let looked = BlockFile::open_read(path).map_err(open)?;
    let layout =
        read_layout(&looked).map_err(|source| HostError::Layout { path: path.to_owned(), source })?;
    drop(looked);
    let scope = WriteScope::beside(&layout, running);
    let disk = BlockFile::open_write_within(path, scope, &SystemRoots::default()).map_err(open)?;
    Ok((disk, layout))
}

impl Host {
    /// Opens this machine.
    pub fn open(machine: Machine) -> Result<Self, HostError> {
        let paths = &machine.paths;
        let path = paths.proc.join("cmdline");
        let line = fs::read_to_string(&path).map_err(|source| HostError::Fact { path, source })?;
        let line = KernelLine::parse(&line).map_err(|source| HostError::KernelLine { source })?;
        let found =
            find_root(&paths.sys, &paths.dev, line.root).map_err(|source| HostError::Find { source })?;
        let (disk, layout) = open_beside(&found.disk, line.bank)?;
        let reader = BlockFile::open_read(&found.disk).map_err(|source| HostError::Open { source })?;
        if layout.volumes(line.bank).root.guid != line.root {
            let disk = layout.bank_of(line.root).map_or_else(|| "none".to_owned(), |bank| bank.to_string());
            return Err(HostError::Disagree { line: line.bank, disk });
        }
        Ok(Self { machine, line, layout, disk: Mutex::new(disk), reader })
    }

    /// The boot disk; one user at a time.
    pub fn disk(&self) -> MutexGuard<'_, BlockFile> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The boot disk for reading, also while an install has it.
    pub(crate) fn reader(&self) -> &BlockFile {
        &self.reader
    }

    /// The firmware's boot variables, with an entry for each bank.
    pub fn boot_control(&self) -> Result<UefiControl<EfivarFs>, HostError> {
        let folder = self.paths.sys.join("firmware/efi/efivars");
        let vars = EfivarFs::open(&folder).map_err(|source| HostError::Variables { source })?;
        let (control, changes) =
            UefiControl::open(vars, &self.layout).map_err(|source| HostError::Entries { source })?;
        for change in changes {
            self.log.line(&change);
        }
        Ok(control)
    }

    /// Device of the watchdog.
    pub fn watchdog(&self) -> PathBuf {
        self.paths.dev.join("watchdog")
    }

    /// The host as it is now. A record that cannot be read leaves both banks without a report.
    pub fn status(&self) -> AgentStatus {
        let mut notes = self.notes();
        let record = match read_record(&self.reader, &self.layout) {
            Ok(read) => Some(read.record),
            Err(error) => {
                notes.push(format!("the bank record cannot be read: {}", chain(&error)));
                None
            }
        };
        let damage = (self.line.verity.is_some() && met_damage(&self.paths) == Some(true)).then(|| {
            "dm-verity refused a block of its root: the bytes are not those of the release; move the guests away, then \
             rebuild or install this bank from the other one"
                .to_owned()
        });
        notes.extend(damage.iter().map(|damage| format!("bank {}: {damage}", self.line.bank)));
        let told = |bank| {
            let damage = damage.clone().filter(|_| bank == self.line.bank);
            record.as_ref().map(|record| {
                let mut report = report(record, bank);
                report.note = damage.or(report.note);
                report
            })
        };
        let default = self.boot_control().ok().and_then(|mut control| control.status().ok());
        AgentStatus {
            kind: HostKind::Banks,
            active: self.line.bank,
            default: default.and_then(|status| status.order.first().copied()),
            version: self.line.version.clone(),
            digest: self.line.digest,
            banks: Bank::BOTH.into_iter().filter_map(told).collect(),
            floor: record.as_ref().map_or(0, |record| record.floor),
            failed: record
                .iter()
                .flat_map(|record| record.failed.iter().map(|failed| failed.digest))
                .collect(),
            on_trial: record.as_ref().and_then(BankRecord::on_trial) == Some(self.line.bank),
            notes,
            ..self.machine.status()
        }
    }
}

fn report(record: &BankRecord, bank: Bank) -> BankReport {
    let entry = record.bank(bank);
    BankReport {
        bank,
        state: entry.state,
        release: entry.release.clone(),
        updated: entry.updated,
        note: entry.note.clone(),
    }
}
