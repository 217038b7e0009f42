//! Carrying out commands.
//!
//! Owns: each command's steps on this host, and their place in the agent's journal. Promises: the outcome of a key
//! is remembered and given again unchanged; a command whose work is done already ends at once; a reboot is ordered
//! only after the record, the watchdog and the one-shot boot are set; a controller that was replaced is not obeyed.
//! Does not: reboot (it answers that one is due).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_bank::install::{Image, InstallError, InstallRequest, Step};
use lifeboat_bank::ops::{BootControl as _, OpsError, activate};
use lifeboat_bank::record::{BankRecord, read_record};
use lifeboat_bank::verity::Verity;
use lifeboat_bundle::slot;
use lifeboat_device::Watchdog;
use lifeboat_model::agent::{AgentCommand, AgentOutcome, Fence};
use lifeboat_model::{Bank, BankState, ReleaseRef};

use crate::host::chain;
use crate::inhibitor::Inhibitor;
use crate::root_image::{RootImageError, install_root};
use crate::{
    Fences, Host, Journal, JournalEntry, Machine, System, Terms, bundle_path, carry, check_machine,
    health_patience, open_bundle, stage,
};

/// Largest kernel or initial RAM file system that is taken into memory.
const PART_LIMIT: u64 = 256 << 20;

/// Most bytes of the log that are sent at once.
const LOG_BYTES: usize = 100 * 1024;

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
    system: System,
    journal: Journal,
    fences: Fences,
    /// Fed by nobody: it is armed only to guard a reboot.
    guard: Option<Watchdog>,
}

impl Commands {
    /// Commands over `system`, remembered in `journal`, obeyed as `fences` say.
    pub fn new(system: System, journal: Journal, fences: Fences) -> Self {
        Self { system, journal, fences, guard: None }
    }

    /// Carries out `command`, unless its outcome is known.
    pub fn run(
        &mut self,
        key: &str,
        command: &AgentCommand,
        fence: Option<&Fence>,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Reply {
        if let Some(looked) = self.look(command, progress) {
            // Looking twice is looking: nothing is remembered, and no controller is too old for it.
            return Reply::Outcome(outcome_of(looked));
        }
        if let Some(outcome) = self.journal.outcome(key) {
            return Reply::Outcome(outcome.clone());
        }
        if let Err(error) = self.fences.admit(fence) {
            // Not remembered: the controller that took over may give the same key.
            let reason = chain(&error);
            self.log(&format!("command {key} is refused: {reason}"));
            return Reply::Outcome(AgentOutcome::Failed { reason, retriable: false });
        }
        if self.journal.interrupted(key) {
            self.log(&format!("command {key} was begun before and came to no end; it is taken up again"));
        }
        let intent = JournalEntry::Intent { key: key.to_owned(), command: command.clone() };
        if let Err(error) = self.journal.append(&intent) {
            // Without a journal the host still serves; the command may then run twice, which every one allows.
            self.log(&chain(&error));
        }
        self.log(&format!("command {key}: {command:?}"));
        let done = match self.change(command, progress) {
            Ok(Some(detail)) => outcome_of(Ok(detail)),
            Ok(None) => return Reply::Reboot,
            Err(refusal) => outcome_of(Err(refusal)),
        };
        self.log(&format!("command {key} ended: {done:?}"));
        let entry = JournalEntry::Outcome { key: key.to_owned(), outcome: done.clone() };
        if let Err(error) = self.journal.append(&entry) {
            self.log(&chain(&error));
        }
        Reply::Outcome(done)
    }

    /// Commands that change something; nothing if a reboot is due.
    fn change(
        &mut self,
        command: &AgentCommand,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Option<String>, Refusal> {
        match command {
            AgentCommand::Stage { release } => self.stage(release, progress).map(Some),
            AgentCommand::Install { release, retry } => {
                let why = format!("release {release} is being installed");
                let _inhibitor = Inhibitor::hold(&self.machine().log, &why);
                self.install(release, *retry, progress).map(Some)
            }
            AgentCommand::RebootInto { bank, boot_id_before } => {
                self.reboot_into(*bank, boot_id_before, progress)
            }
            AgentCommand::Reboot { boot_id_before } => self.reboot(boot_id_before, progress),
            AgentCommand::SaveState => {
                rustix::fs::sync();
                Ok(Some("the state partition is on stable storage".to_owned()))
            }
            // They never come here.
            AgentCommand::Status | AgentCommand::LogTail { .. } | AgentCommand::CheckHealth => {
                Ok(Some(String::new()))
            }
        }
    }

    /// Commands that change nothing; nothing for the others.
    fn look(
        &self,
        command: &AgentCommand,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Option<Result<String, Refusal>> {
        Some(match command {
            AgentCommand::Status => Ok("status sent".to_owned()),
            AgentCommand::LogTail { lines } => {
                let count = usize::try_from(*lines).unwrap_or(usize::MAX).min(1000);
                Ok(newest(&self.machine().log.tail(count), LOG_BYTES))
            }
            AgentCommand::CheckHealth => {
                progress("checking health", 0, 0);
                self.healthy(Duration::ZERO)
            }
            AgentCommand::Stage { .. }
            | AgentCommand::Install { .. }
            | AgentCommand::RebootInto { .. }
            | AgentCommand::Reboot { .. }
            | AgentCommand::SaveState => return None,
        })
    }

    fn machine(&self) -> &Machine {
        self.system.machine()
    }

    fn log(&self, line: &str) {
        self.machine().log.line(line);
    }

    /// The host's banks; a host without refuses what needs them.
    fn banks(&self) -> Result<Arc<Host>, Refusal> {
        match &self.system {
            System::Banks(host) => Ok(Arc::clone(host)),
            // Every command of theirs is carried out before it comes here.
            System::Packages(host) => {
                Err(Refusal { reason: format!("host {} has no banks", host.name()), retriable: false })
            }
        }
    }

    /// Runs the health checks; those that fail are tried again for `patience`.
    fn healthy(&self, patience: Duration) -> Result<String, Refusal> {
        let results = check_machine(self.machine(), patience, &mut || ());
        let failed: Vec<String> = results
            .iter()
            .filter_map(|result| {
                Some(format!("health check {} failed: {}", result.name, result.failure.as_ref()?))
            })
            .collect();
        if failed.is_empty() {
            Ok(format!("{} health checks passed", results.len()))
        } else {
            Err(Refusal { reason: failed.join("; "), retriable: true })
        }
    }

    /// Why this host must not be rebooted now, if so.
    fn not_held(&self) -> Result<(), Refusal> {
        let held = match &self.system {
            System::Banks(host) => host.held(),
            System::Packages(host) => host.held_now(),
        };
        match held {
            Some(why) => Err(Refusal {
                reason: format!("the host is held back from rebooting: {why}"),
                retriable: true,
            }),
            None => Ok(()),
        }
    }

    /// Nothing if a reboot of a host without banks is due; otherwise how the host is after it.
    fn reboot(
        &self,
        boot_id_before: &str,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Option<String>, Refusal> {
        if let System::Banks(host) = &self.system {
            return Err(Refusal {
                reason: format!("host {} has banks: say which one to reboot into", host.name()),
                retriable: false,
            });
        }
        if self.machine().boot_id == boot_id_before {
            self.not_held()?;
            if let System::Packages(host) = &self.system {
                host.ready_to_reboot(progress)?;
            }
            return Ok(None);
        }
        progress("checking health", 0, 0);
        let patience = health_patience(self.machine());
        self.healthy(patience).map(|health| Some(format!("the host booted; {health}")))
    }

    fn record(host: &Host) -> Result<BankRecord, Refusal> {
        let read = read_record(&*host.disk(), &host.layout);
        read.map(|read| read.record).map_err(|error| Refusal::for_now(&error))
    }

    fn stage(
        &self,
        release: &ReleaseRef,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<String, Refusal> {
        if let System::Packages(host) = &self.system {
            return host.stage(release, progress);
        }
        let host = self.banks()?;
        let record = Self::record(&host)?;
        let bytes = stage(&host, release, &Terms::of_banks(&record, host.line.bank), progress)
            .map_err(|error| Refusal { retriable: error.may_pass(), reason: chain(&error) })?;
        Ok(format!("{release} is on the host and verified ({bytes} bytes)"))
    }

    fn install(
        &self,
        release: &ReleaseRef,
        retry: bool,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<String, Refusal> {
        if let System::Packages(host) = &self.system {
            return host.install(release, retry, progress);
        }
        let host = self.banks()?;
        let record = Self::record(&host)?;
        let active = host.line.bank;
        let target = active.other();
        let entry = record.bank(target);
        if entry.state == BankState::Upgraded && entry.release.as_ref() == Some(release) {
            return Ok(format!("bank {target} holds {release} already"));
        }
        let path = bundle_path(&host, &release.digest);
        let bundle = open_bundle(&host, &path, release, &Terms::of_banks(&record, active));
        let bundle = bundle.map_err(|error| Refusal::firm(&error))?;
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
            install_root(&host, &record, &bundle, &request, &mut told).map_err(|error| match error {
                RootImageError::Bundle(error) => Refusal::firm(&error),
                RootImageError::Install(error) => install_refusal(&error),
            })?;
        if let Ok(mut control) = host.boot_control()
            && let Err(error) = control.describe(&installed.record)
        {
            host.log.line(&chain(&error));
        }
        let carried = Self::carry(&host, &record, target, release)?;
        Ok(format!(
            "bank {target} holds {release}, update {}, every byte read back{carried}",
            installed.updated
        ))
    }

    /// Copies the saved state of the running bank for the first boot of the other one.
    fn carry(
        host: &Host,
        record: &BankRecord,
        target: Bank,
        release: &ReleaseRef,
    ) -> Result<String, Refusal> {
        let running = record.bank(target.other()).release.as_ref();
        let carried = carry(&host.paths.state, target.other(), running, release.digest);
        let carried = carried.map_err(|error| Refusal::for_now(&error))?;
        Ok(carried.map_or_else(String::new, |note| format!("; {note}")))
    }

    /// Nothing if a reboot is due; otherwise what the boot came to.
    fn reboot_into(
        &mut self,
        bank: Bank,
        boot_id_before: &str,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<Option<String>, Refusal> {
        if let System::Packages(host) = &self.system {
            return host.reboot_into(bank, boot_id_before, progress);
        }
        let host = self.banks()?;
        let active = host.line.bank;
        if host.boot_id != boot_id_before {
            return Ok(Some(format!("the host booted bank {active}; {bank} was asked for")));
        }
        self.not_held()?;
        if bank == active {
            return Ok(None);
        }
        // As late as possible: what was changed since the install goes along.
        let record = Self::record(&host)?;
        if let Some(release) = record.bank(bank).release.clone() {
            let carried = Self::carry(&host, &record, bank, &release)?;
            if !carried.is_empty() {
                host.log.line(carried.trim_start_matches("; "));
            }
        }
        let mut control = host.boot_control().map_err(|error| Refusal::for_now(&error))?;
        let guard = &mut self.guard;
        let mut arm = || -> Result<(), Box<dyn Error + Send + Sync>> {
            match guard.as_mut() {
                // The trial gets the whole time, also at a second try.
                Some(armed) => armed.keep_alive()?,
                None if host.config.outside_watchdog => {
                    host.log.line("the trial is guarded from outside: agent.json says outside_watchdog");
                }
                None => *guard = Some(Watchdog::arm(&host.watchdog(), host.config.watchdog_secs)?),
            }
            Ok(())
        };
        let set = activate(&mut *host.disk(), &host.layout, bank, &mut arm, &mut control);
        if let Err(error) = set {
            // No reboot follows: an armed watchdog that nobody feeds would reset a host that serves.
            if let Some(guard) = self.guard.take()
                && let Err(error) = guard.disarm()
            {
                host.note(format!("the watchdog cannot be stopped: {error}"));
            }
            return Err(activate_refusal(&error));
        }
        Ok(None)
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What, where, why, and what to do.
    pub(crate) reason: String,
    /// Whether another try may help.
    pub(crate) retriable: bool,
}

impl Refusal {
    /// Another try gives the same answer.
    fn firm(error: &dyn Error) -> Self {
        Self { reason: chain(error), retriable: false }
    }

    /// Another try may help.
    pub(crate) fn for_now(error: &dyn Error) -> Self {
        Self { reason: chain(error), retriable: true }
    }
}

fn outcome_of(done: Result<String, Refusal>) -> AgentOutcome {
    match done {
        Ok(detail) => AgentOutcome::Done { detail },
        Err(Refusal { reason, retriable }) => AgentOutcome::Failed { reason, retriable },
    }
}

/// The newest lines that have room in `limit` bytes.
fn newest(lines: &[String], limit: usize) -> String {
    let mut room = limit;
    let fits = |line: &&String| {
        let left = room.checked_sub(line.len() + 1);
        room = left.unwrap_or(0);
        left.is_some()
    };
    let mut kept: Vec<&str> = lines.iter().rev().take_while(fits).map(String::as_str).collect();
    kept.reverse();
    kept.join("\n")
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
