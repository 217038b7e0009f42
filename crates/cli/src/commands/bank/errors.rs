//! What failures of disks and banks mean for the exit code, and what a person can do.

use std::path::Path;

use lifeboat_bank::disk::DiskError;
use lifeboat_bank::install::InstallError;
use lifeboat_bank::layout::LayoutError;
use lifeboat_bank::ops::OpsError;
use lifeboat_bank::record::RecordError;
use lifeboat_device::DeviceError;

use crate::error::{CliError, Kind, file_error};

/// A disk that could not be opened.
pub(in crate::commands) fn device_error(cause: DeviceError) -> CliError {
    match cause {
        DeviceError::Io { doing, path, source } => file_error(doing, &path, source),
        DeviceError::InUse { .. } => CliError::new(Kind::Conflict, split(&cause).0).remedy(
            "unmount it or stop what uses it; or give --force if you are sure that this use does no harm",
        ),
        DeviceError::Locked { .. } | DeviceError::Exists { .. } => with_remedy(Kind::Conflict, &cause),
        DeviceError::NotADisk { .. } => with_remedy(Kind::Failed, &cause),
    }
}

/// Splits "what; what to do" into both.
fn split(cause: &impl std::fmt::Display) -> (String, Option<String>) {
    let text = cause.to_string();
    match text.rsplit_once("; ") {
        Some((what, remedy)) => (what.to_owned(), Some(remedy.to_owned())),
        None => (text, None),
    }
}

fn with_remedy(kind: Kind, cause: &impl std::fmt::Display) -> CliError {
    let (what, remedy) = split(cause);
    let error = CliError::new(kind, what);
    match remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

/// A disk that is not one of ours, or whose record cannot be used.
pub(super) fn disk_error(path: &Path, cause: DiskError) -> CliError {
    let remedy = match &cause {
        DiskError::Layout { source: LayoutError::NotOurs { .. } | LayoutError::Table { .. } } => {
            "name the right disk; a new disk is made one by: lifeboat bank init DISK (it says what it finds there first)"
        }
        DiskError::Layout { source: LayoutError::BadPartition { .. } } => {
            "mend the partition table by hand (sgdisk --print shows it); nothing was written"
        }
        DiskError::Layout { source: LayoutError::BadGeometry { .. } | LayoutError::Io { .. } } => {
            "look at the disk's health (dmesg, smartctl); nothing was written"
        }
        DiskError::Record { source, .. } => record_remedy(source),
    };
    CliError::new(Kind::Failed, format!("{}", path.display())).because(cause).remedy(remedy)
}

fn record_remedy(source: &RecordError) -> &'static str {
    match source {
        RecordError::Newer { .. } => "use the lifeboat that wrote it, or a newer one",
        RecordError::NoValidCopy { .. } => "it is rebuilt from the banks by the next install",
        RecordError::Io { .. } => "look at the disk's health (dmesg, smartctl)",
        RecordError::TooLarge { .. } | RecordError::Encode { .. } => {
            "give the release a shorter name or version"
        }
        RecordError::SequenceSpent => "partition the disk anew: lifeboat bank init --force",
    }
}

/// An install that was refused (3, 7, 10: nothing was written) or failed (1: the bank is invalid).
pub(in crate::commands) fn install_error(path: &Path, cause: InstallError) -> CliError {
    let (kind, remedy) = match &cause {
        InstallError::TargetIsActive { .. } => {
            (Kind::Conflict, "leave --bank out: the alternate bank is taken")
        }
        InstallError::ActiveNotGood { .. } => (
            Kind::Blockers,
            "boot the active bank and let the agent bless it, or fall back to the good one first",
        ),
        InstallError::Downgrade { .. } => (Kind::Verification, "choose a newer release"),
        InstallError::FailedBefore { .. } => (Kind::Blockers, "choose another release, or order it: --retry"),
        InstallError::TooLarge { .. } => (
            Kind::Blockers,
            "build the release with smaller parts, or partition the disk anew with larger volumes (bank init)",
        ),
        InstallError::BadKernelLine { .. } => (Kind::Verification, "build the release without them"),
        InstallError::NotNew { .. } => (Kind::Conflict, "name the bank in use: --active A or --active B"),
        InstallError::CounterSpent => (Kind::Blockers, "lifeboat bank init --force"),
        InstallError::BadVerity { .. } => {
            (Kind::Verification, "build the release anew: lifeboat release build")
        }
        InstallError::Uki { .. } | InstallError::Fat { .. } | InstallError::Manifest { .. } => {
            (Kind::Verification, "the release was built from wrong parts: build it anew")
        }
        InstallError::Record { source, .. } => (Kind::Failed, record_remedy(source)),
        InstallError::Io { .. } => {
            (Kind::Failed, "look at the disk's health, then install again; the other bank is as it was")
        }
        InstallError::Source { .. }
        | InstallError::SourceLength { .. }
        | InstallError::SourceDigest { .. } => {
            (Kind::Verification, "get the release anew, then install again; the other bank is as it was")
        }
        InstallError::ReadBack { .. } | InstallError::Finished { .. } => {
            (Kind::Verification, "replace the disk; the other bank is as it was")
        }
    };
    CliError::new(kind, format!("{}", path.display())).because(cause).remedy(remedy)
}

/// A one-shot boot that was refused or failed.
pub(super) fn ops_error(path: &Path, cause: OpsError) -> CliError {
    let (kind, remedy) = match &cause {
        OpsError::Record { source, .. } => (Kind::Failed, record_remedy(source)),
        OpsError::Boot { .. } => (Kind::Failed, "look at the firmware variables: efibootmgr -v"),
        OpsError::Volume { .. } => (Kind::Failed, "look at the disk: the kernel log names its errors"),
        OpsError::Watchdog { .. } => (Kind::Failed, "look at the watchdog: wdctl"),
        OpsError::WrongState { .. } => (Kind::Blockers, "install a release first: lifeboat bank install"),
        OpsError::NoFallback { .. } => (
            Kind::Blockers,
            "boot the other bank and let the agent bless it; then there is something to fall back to",
        ),
        OpsError::FellBack { .. } | OpsError::Disagree { .. } => {
            (Kind::NeedsPerson, "look at the banks: lifeboat bank show")
        }
        OpsError::NotKept { .. } => {
            (Kind::Failed, "the firmware is faulty or full: delete unused boot entries")
        }
    };
    CliError::new(kind, format!("{}", path.display())).because(cause).remedy(remedy)
}
