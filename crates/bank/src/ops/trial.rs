//! The transitions around a trial boot.

use lifeboat_model::io::WriteAt;
use lifeboat_model::{Bank, BankState};
use thiserror::Error;

use super::control::{BootControl, BootControlError};
use crate::disk::load_record;
use crate::layout::Layout;
use crate::record::{BankRecord, NOTE_LIMIT, RecordError, one_line, write_record};

/// Why a step around a trial boot was refused or failed.
#[derive(Debug, Error)]
pub enum OpsError {
    /// The record could not be read or written.
    #[error("{doing} the bank record")]
    Record {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: RecordError,
    },
    /// The boot volume could not be read or written.
    #[error("making bank {bank} unbootable")]
    Volume {
        /// The bank.
        bank: Bank,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A boot variable could not be read or written.
    #[error("{doing}")]
    Boot {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        #[source]
        source: BootControlError,
    },
    /// The watchdog could not be armed. The trial was called off.
    #[error("arming the watchdog before the trial of bank {bank}; the trial was called off")]
    Watchdog {
        /// The bank that was to be tried.
        bank: Bank,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The bank's state does not allow the step.
    #[error("bank {bank} cannot be {step}: its state is {state}, and {needed} is needed")]
    WrongState {
        /// The bank.
        bank: Bank,
        /// The step that was refused.
        step: &'static str,
        /// Its state.
        state: BankState,
        /// The state that allows the step, and how to come to it.
        needed: &'static str,
    },
    /// There is nothing to fall back to.
    #[error("bank {bank} is not tried: bank {fallback} to fall back to is {state}, not good")]
    NoFallback {
        /// The bank that was to be tried.
        bank: Bank,
        /// The other bank.
        fallback: Bank,
        /// Its state.
        state: BankState,
    },
    /// Another bank is under trial than the one that runs.
    #[error("bank {running} is not blessed: bank {on_trial} is under trial, and fell back to this one")]
    FellBack {
        /// The running bank by its kernel line.
        running: Bank,
        /// The bank under trial by the record.
        on_trial: Bank,
    },
    /// The firmware and the kernel line name different banks.
    #[error(
        "bank {running} is not blessed: it runs by its kernel line, and the firmware says that it booted {current}"
    )]
    Disagree {
        /// By the kernel line.
        running: Bank,
        /// By `BootCurrent`.
        current: Bank,
    },
    /// A variable did not keep what was written.
    #[error("{what} after it was set; the firmware did not keep it")]
    NotKept {
        /// What reads back wrong.
        what: String,
    },
}

/// Sets the one-shot boot into `bank`, in the order record → watchdog → `BootNext`. The caller then reboots.
///
/// Doing it twice is doing it once. When the watchdog or the variable cannot be set, `BootNext` is deleted, the record
/// goes back to upgraded, and the error says why.
pub fn activate(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    bank: Bank,
    arm_watchdog: &mut dyn FnMut() -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
    boot: &mut dyn BootControl,
) -> Result<BankRecord, OpsError> {
    let mut record = load(disk, layout)?;
    let fallback = bank.other();
    match record.bank(bank).state {
        BankState::Upgraded | BankState::Trying => {}
        state @ (BankState::Empty | BankState::Invalid | BankState::Good | BankState::Failed) => {
            let needed = "upgraded (install a release into it)";
            return Err(OpsError::WrongState { bank, step: "activated", state, needed });
        }
    }
    match record.bank(fallback).state {
        BankState::Good => {}
        state @ (BankState::Empty
        | BankState::Invalid
        | BankState::Upgraded
        | BankState::Trying
        | BankState::Failed) => return Err(OpsError::NoFallback { bank, fallback, state }),
    }
    record.bank_mut(bank).state = BankState::Trying;
    save(disk, layout, &record)?;

    let armed = arm_watchdog().map_err(|source| OpsError::Watchdog { bank, source });
    if let Err(error) = armed.and_then(|()| set_next(bank, boot)) {
        // The trial was never possible: without this the next boot would be taken for a fall-back. The first
        // error is the one to tell; if these fail too, the next boot marks the bank failed, which is safe.
        // While the one-shot boot is set the record must know of the trial.
        if boot.clear_next().is_ok() {
            record.bank_mut(bank).state = BankState::Upgraded;
            let _ = save(disk, layout, &record);
        }
        return Err(error);
    }
    told(&record, boot);
    Ok(record)
}

/// Has the firmware's menu tell the new states. A text that cannot be written is no reason to call anything off.
fn told(record: &BankRecord, boot: &mut dyn BootControl) {
    let _ = boot.describe(record);
}

fn set_next(bank: Bank, boot: &mut dyn BootControl) -> Result<(), OpsError> {
    let err = |doing: &'static str| move |source| OpsError::Boot { doing, source };
    // The trial must fall back by itself, so the order has to name the other bank first before anything else.
    // Foreign entries before it count too, which `status` does not show; if all is right nothing is written.
    boot.commit(bank.other()).map_err(err("putting the bank to fall back to first in the boot order"))?;
    boot.set_next(bank).map_err(err("setting the one-shot boot"))?;
    let status = boot.status().map_err(err("reading back the one-shot boot"))?;
    match (status.next == Some(bank), status.order.first() == Some(&bank.other())) {
        (true, true) => Ok(()),
        (false, _) => {
            Err(OpsError::NotKept { what: format!("the one-shot boot reads back {:?}", status.next) })
        }
        (true, false) => {
            Err(OpsError::NotKept { what: format!("the boot order reads back {:?}", status.order) })
        }
    }
}

/// Blesses the running bank after its health checks: boot order first, read back, then the record.
///
/// `running` is the id on the running kernel line. A power cut between the two leaves a host that boots the new bank,
/// still under trial: its health is checked again, and it is blessed then. A bank that is good already only has its
/// boot order corrected.
pub fn bless(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    running: Bank,
    boot: &mut dyn BootControl,
) -> Result<BankRecord, OpsError> {
    let mut record = load(disk, layout)?;
    let other = running.other();
    if record.bank(other).state == BankState::Trying {
        return Err(OpsError::FellBack { running, on_trial: other });
    }
    match record.bank(running).state {
        BankState::Trying | BankState::Good => {}
        state @ (BankState::Empty | BankState::Invalid | BankState::Upgraded | BankState::Failed) => {
            let needed = "trying (activate it, and boot into it)";
            return Err(OpsError::WrongState { bank: running, step: "blessed", state, needed });
        }
    }
    let err = |doing: &'static str| move |source| OpsError::Boot { doing, source };
    let status = boot.status().map_err(err("reading the boot variables"))?;
    if let Some(current) = status.current
        && current != running
    {
        return Err(OpsError::Disagree { running, current });
    }
    boot.commit(running).map_err(err("putting the blessed bank first in the boot order"))?;
    let status = boot.status().map_err(err("reading back the boot order"))?;
    if status.order.first() != Some(&running) {
        return Err(OpsError::NotKept { what: format!("the boot order reads back {:?}", status.order) });
    }
    let mut wanted = record.clone();
    let entry = wanted.bank_mut(running);
    entry.state = BankState::Good;
    entry.note = None;
    if let Some(release) = entry.release.clone() {
        wanted.floor = wanted.floor.max(release.serial);
        wanted.forget_failure(&release.digest);
    }
    if wanted != record {
        save(disk, layout, &wanted)?;
        record = wanted;
    }
    told(&record, boot);
    Ok(record)
}

/// Records that the trial of `bank` failed, and remembers its release as one that failed on this host. Touches no
/// variable: for disks that are not in a running machine. Doing it twice is doing it once.
pub fn record_failed(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    bank: Bank,
    reason: &str,
) -> Result<BankRecord, OpsError> {
    let mut record = load(disk, layout)?;
    match record.bank(bank).state {
        BankState::Upgraded | BankState::Trying => {}
        BankState::Failed => return Ok(record),
        state @ (BankState::Empty | BankState::Invalid | BankState::Good) => {
            let needed = "upgraded or trying (a blessed bank is replaced by an upgrade, not failed)";
            return Err(OpsError::WrongState { bank, step: "marked failed", state, needed });
        }
    }
    let entry = record.bank_mut(bank);
    entry.state = BankState::Failed;
    entry.note = Some(one_line(reason, NOTE_LIMIT));
    if let Some(release) = entry.release.clone() {
        record.remember_failure(release.digest, reason);
    }
    save(disk, layout, &record)?;
    Ok(record)
}

/// [`record_failed`], then the boot order with the other bank first if it is good and was not, then no `BootNext`.
pub fn mark_failed(
    disk: &mut dyn WriteAt,
    layout: &Layout,
    bank: Bank,
    reason: &str,
    boot: &mut dyn BootControl,
) -> Result<BankRecord, OpsError> {
    let record = record_failed(disk, layout, bank, reason)?;
    let err = |doing: &'static str| move |source| OpsError::Boot { doing, source };
    let other = bank.other();
    if record.bank(other).state == BankState::Good {
        boot.commit(other).map_err(err("putting the good bank first in the boot order"))?;
    }
    boot.clear_next().map_err(err("deleting the one-shot boot"))?;
    told(&record, boot);
    Ok(record)
}

pub(super) fn load(disk: &mut dyn WriteAt, layout: &Layout) -> Result<BankRecord, OpsError> {
    let (record, _) =
        load_record(&*disk, layout).map_err(|source| OpsError::Record { doing: "reading", source })?;
    Ok(record)
}

fn save(disk: &mut dyn WriteAt, layout: &Layout, record: &BankRecord) -> Result<(), OpsError> {
    write_record(disk, layout, record).map_err(|source| OpsError::Record { doing: "writing", source })?;
    Ok(())
}
