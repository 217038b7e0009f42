//! Carrying out commands.
//!
//! Owns: each command's steps on this host, and their place in the agent's journal. Promises: the outcome of a key
//! is remembered and given again unchanged; a command whose work is done already ends at once; a reboot is ordered
//! only after the record, the watchdog and the one-shot boot are set. Does not: reboot (it answers that one is due).

use std::error::Error;
use std::sync::Arc;

use lifeboat_bank::install::{Image, InstallError, InstallRequest, Step};
use lifeboat_bank::ops::{BootControl as _, OpsError, activate};
use lifeboat_bank::record::{BankRecord, read_record};
use lifeboat_bank::verity::Verity;
use lifeboat_bundle::slot;
use lifeboat_device::Watchdog;
use lifeboat_model::agent::{AgentCommand, AgentOutcome};
use lifeboat_model::{Bank, BankState, ReleaseRef};

use crate::host::chain;
use crate::root_image::{RootImageError, install_root};
use crate::{Host, Journal, JournalEntry, bundle_path, carry, open_bundle, stage};

/// Largest kernel or initial RAM file system that is taken into memory.
const PART_LIMIT: u64 = 256 << 20;

/// What is to follow a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It ended.
    Outcome(AgentOutcome),
    /// Everything is set: reboot now. The outcome is asked for after the boot.
    Reboot,
}

/// The commands of this host.
#[derive(Debug)]
pub struct Commands {
    host: Arc<Host>,
    journal: Journal,
    /// Fed by nobody: it is armed only to guard a reboot.
    guard: Option<Watchdog>,
}

impl Commands {
    /// Commands over `host`, remembered in `journal`.
    pub fn new(host: Arc<Host>, journal: Journal) -> Self {
        Self { host, journal, guard: None }
    }

    /// Carries out `command`, unless its outcome is known.
    pub fn run(
        &mut self,
        key: &str,
        command: &AgentCommand,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Reply {
        if let Some(outcome) = self.journal.outcome(key) {
            return Reply::Outcome(outcome.clone());
        }
        let intent = JournalEntry::Intent { key: key.to_owned(), command: command.clone() };
        if let Err(error) = self.journal.append(&intent) {
            // Without a journal the host still serves; the command may then run twice, which every one allows.
            self.host.log.line(&chain(&error));
        }
        self.host.log.line(&format!("command {key}: {command:?}"));
        let done: Result<String, Refusal> = match command {
            AgentCommand::Stage { release } => self.stage(release, progress),
            AgentCommand::Install { release, retry } => self.install(release, *retry, progress),
            AgentCommand::RebootInto { bank, boot_id_before } => {
                match self.reboot_into(*bank, boot_id_before) {
                    Ok(None) => return Reply::Reboot,
                    Ok(Some(detail)) => Ok(detail),
                    Err(refusal) => Err(refusal),
                }
            }
            AgentCommand::SaveState => {
                rustix::fs::sync();
                Ok("the state partition is on stable storage".to_owned())
            }
            AgentCommand::Status => Ok("status sent".to_owned()),
            AgentCommand::LogTail { lines } => {
                let count = usize::try_from(*lines).unwrap_or(usize::MAX).min(1000);
                Ok(self.host.log.tail(count).join("\n"))
            }
        };
        let outcome = match done {
            Ok(detail) => AgentOutcome::Done { detail },
            Err(Refusal { reason, retriable }) => AgentOutcome::Failed { reason, retriable },
        };
        self.host.log.line(&format!("command {key} ended: {outcome:?}"));
        let entry = JournalEntry::Outcome { key: key.to_owned(), outcome: outcome.clone() };
        if let Err(error) = self.journal.append(&entry) {
            self.host.log.line(&chain(&error));
        }
        Reply::Outcome(outcome)
    }

    fn record(&self) -> Result<BankRecord, Refusal> {
        let read = read_record(&*self.host.disk(), &self.host.layout);
        read.map(|read| read.record).map_err(|error| Refusal::for_now(&error))
    }

    fn stage(
        &self,
        release: &ReleaseRef,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<String, Refusal> {
        let record = self.record()?;
        let bytes = stage(&self.host, release, &record, progress)
            .map_err(|error| Refusal { retriable: error.may_pass(), reason: chain(&error) })?;
        Ok(format!("{release} is on the host and verified ({bytes} bytes)"))
    }

    fn install(
        &self,
        release: &ReleaseRef,
        retry: bool,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<String, Refusal> {
        let record = self.record()?;
        let active = self.host.line.bank;
        let target = active.other();
        let entry = record.bank(target);
        if entry.state == BankState::Upgraded && entry.release.as_ref() == Some(release) {
            return Ok(format!("bank {target} holds {release} already"));
        }
        let path = bundle_path(&self.host, &release.digest);
        let bundle =
            open_bundle(&self.host, &path, release, &record).map_err(|error| Refusal::firm(&error))?;
        let part = |name: &str| bundle.slot_bytes(name, PART_LIMIT).map_err(|error| Refusal::firm(&error));
        let (stub, kernel, initrd) = (part(slot::STUB)?, part(slot::KERNEL)?, part(slot::INITRD)?);
        let osrel = String::from_utf8(part(slot::OSREL)?).map_err(|error| Refusal::firm(&error))?;
        let described = bundle.manifest().slot(slot::ROOT).ok_or_else(|| Refusal {
            reason: "the release has no root image".to_owned(),
            retriable: false,
        })?;
        let request = InstallRequest {
            active,
            target,
            image: Image {
                // As the signed manifest says it, not as the order did.
                release: bundle.release().clone(),
                cmdline_extra: &bundle.manifest().cmdline,
                stub: &stub,
                kernel: &kernel,
                initrd: &initrd,
                osrel: &osrel,
                root_len: described.len,
                root_sha256: described.sha256,
                verity: described.verity.as_ref().map(verity_of),
            },
            retry,
        };
        let mut told = |step: Step, done: u64, total: u64| progress(step_word(step), done, total);
        let installed =
            install_root(&self.host, &record, &bundle, &request, &mut told).map_err(|error| match error {
                RootImageError::Bundle(error) => Refusal::firm(&error),
                RootImageError::Install(error) => install_refusal(&error),
            })?;
        if let Ok(mut control) = self.host.boot_control()
            && let Err(error) = control.describe(&installed.record)
        {
            self.host.log.line(&chain(&error));
        }
        let carried = self.carry(&record, target, release)?;
        Ok(format!(
            "bank {target} holds {release}, update {}, every byte read back{carried}",
            installed.updated
        ))
    }

    /// Copies the saved state of the running bank for the first boot of the other one.
    fn carry(&self, record: &BankRecord, target: Bank, release: &ReleaseRef) -> Result<String, Refusal> {
        let running = record.bank(target.other()).release.as_ref();
        let carried = carry(&self.host.paths.state, target.other(), running, release.digest);
        let carried = carried.map_err(|error| Refusal::for_now(&error))?;
        Ok(carried.map_or_else(String::new, |note| format!("; {note}")))
    }

    /// Nothing if a reboot is due; otherwise what the boot came to.
    fn reboot_into(&mut self, bank: Bank, boot_id_before: &str) -> Result<Option<String>, Refusal> {
        let active = self.host.line.bank;
        if self.host.boot_id != boot_id_before {
            return Ok(Some(format!("the host booted bank {active}; {bank} was asked for")));
        }
        if bank == active {
            return Ok(None);
        }
        // As late as possible: what was changed since the install goes along.
        let record = self.record()?;
        if let Some(release) = record.bank(bank).release.clone() {
            let carried = self.carry(&record, bank, &release)?;
            if !carried.is_empty() {
                self.host.log.line(carried.trim_start_matches("; "));
            }
        }
        let host = Arc::clone(&self.host);
        let mut control = host.boot_control().map_err(|error| Refusal::for_now(&error))?;
        let guard = &mut self.guard;
        let mut arm = || -> Result<(), Box<dyn Error + Send + Sync>> {
            match guard.as_mut() {
                // The trial gets the whole time, also at a second try.
                Some(armed) => armed.keep_alive()?,
                None => *guard = Some(Watchdog::arm(&host.watchdog(), host.config.watchdog_secs)?),
            }
            Ok(())
        };
        let set = activate(&mut *self.host.disk(), &self.host.layout, bank, &mut arm, &mut control);
        if let Err(error) = set {
            // No reboot follows: an armed watchdog that nobody feeds would reset a host that serves.
            if let Some(guard) = self.guard.take()
                && let Err(error) = guard.disarm()
            {
                self.host.note(format!("the watchdog cannot be stopped: {error}"));
            }
            return Err(activate_refusal(&error));
        }
        Ok(None)
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
struct Refusal {
    reason: String,
    retriable: bool,
}

impl Refusal {
    /// Another try gives the same answer.
    fn firm(error: &dyn Error) -> Self {
        Self { reason: chain(error), retriable: false }
    }

    /// Another try may help.
    fn for_now(error: &dyn Error) -> Self {
        Self { reason: chain(error), retriable: true }
    }
}

fn install_refusal(error: &InstallError) -> Refusal {
    match error {
        // What a device or a read said may be otherwise at the next try.
        InstallError::Io { .. }
        | InstallError::Source { .. }
        | InstallError::ReadBack { .. }
        | InstallError::Record { .. }
        | InstallError::Finished { .. } => Refusal::for_now(error),
        // Every other reason lies in the release or in the state of the host.
        other => Refusal::firm(other),
    }
}

fn activate_refusal(error: &OpsError) -> Refusal {
    match error {
        OpsError::WrongState { .. }
        | OpsError::NoFallback { .. }
        | OpsError::FellBack { .. }
        | OpsError::Disagree { .. } => Refusal::firm(error),
        OpsError::Record { .. }
        | OpsError::Boot { .. }
        | OpsError::Watchdog { .. }
        | OpsError::Volume { .. }
        | OpsError::NotKept { .. } => Refusal::for_now(error),
    }
}

/// The hash tree of a slot, as the bank wants it said.
fn verity_of(tree: &lifeboat_bundle::Verity) -> Verity {
    let lifeboat_bundle::Verity { algorithm: _, data_blocks, hash_offset, salt, root } = tree;
    Verity { data_blocks: *data_blocks, hash_offset: *hash_offset, salt: *salt, root: *root }
}

fn step_word(step: Step) -> &'static str {
    match step {
        Step::Invalidate => "marking the bank invalid",
        Step::WriteRoot => "writing the root",
        Step::WriteBoot => "writing the boot volume",
        Step::Flush => "flushing",
        Step::VerifyRoot => "reading the root back",
        Step::VerifyBoot => "reading the boot volume back",
        Step::Seal => "sealing the boot volume",
        Step::Record => "marking the bank upgraded",
    }
}
