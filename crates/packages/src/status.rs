//! The state of a host's packages.
//!
//! Owns: the four states and how they are told from each other. Promises: looking changes nothing; what others left
//! incomplete counts as much as what Lifeboat left; what cannot be read counts as incomplete. Does not: mend.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use lifeboat_model::Finding;
use serde::Serialize;

use crate::codes::finding;
use crate::error::PackageError;
use crate::guard::Guard;
use crate::hold::{Held, Hold};
use crate::holders::{Holder, find_holders};
use crate::journal::{Direction, parse_journal};
use crate::manager::Defect;
use crate::process::Process;
use crate::reboot_need::{RebootNeed, find_need};
use crate::{Journal, Record};

/// The state of a host's packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// Everything is whole and runs.
    Clean,
    /// A transaction is at work.
    InTransaction,
    /// Something is between two states, and nobody works on it.
    Incomplete,
    /// Everything is whole, and something of it does not run yet.
    NeedsReboot,
}

/// Everything about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// `lifeboat.package-status.v1`.
    pub schema: String,
    /// The state.
    pub state: HostState,
    /// The open transaction, if there is one.
    pub transaction: Option<String>,
    /// Which way it goes.
    pub direction: Option<Direction>,
    /// Units that it quiesced and that are not restored.
    pub quiesced: Vec<String>,
    /// What is between two states.
    pub defects: Vec<Defect>,
    /// What does not run yet.
    pub reboot: RebootNeed,
    /// Whether rebooting is held; `true` inside when it binds others than Lifeboat.
    pub hold: Option<bool>,
    /// All of it as findings.
    pub findings: Vec<Finding>,
}

/// The open transaction as it is on disk.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) id: String,
    pub(crate) folder: PathBuf,
}

impl Guard {
    /// The open transaction.
    pub(crate) fn current(&self) -> Option<Current> {
        let text = fs::read_to_string(self.roots.state.join("current")).ok()?;
        let id = text.trim().to_owned();
        // Only what this program writes: no path that leaves the folder.
        let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let folder = self.roots.state.join(if plain { &id } else { "unknown" });
        Some(Current { id, folder })
    }

    /// The process that works on the open transaction, if it lives.
    pub(crate) fn worker(&self, journal: &Journal) -> Option<u32> {
        let (pid, start, boot, _) = journal.owner()?;
        if journal.is_paused() {
            return None;
        }
        if boot != self.boot_id() || pid == std::process::id() {
            return None;
        }
        let process = Process::read(&self.roots.proc, pid)?;
        (process.start_ticks == start && process.state != crate::RunState::Zombie).then_some(pid)
    }

    /// Identity of this boot.
    pub(crate) fn boot_id(&self) -> String {
        let path = self.roots.proc.join("sys/kernel/random/boot_id");
        fs::read_to_string(path).unwrap_or_default().trim().to_owned()
    }

    /// The state of the host, with findings.
    pub fn status(&self) -> Result<Status, PackageError> {
        let mut findings = Vec::new();
        let mut state = HostState::Clean;
        let (mut direction, mut quiesced) = (None, Vec::new());
        let current = self.current();
        if let Some(current) = &current {
            // Opening for writing would cut a torn line off: looking must not.
            let bytes = fs::read(current.folder.join("journal")).unwrap_or_default();
            match parse_journal(&bytes) {
                Ok(parsed) if parsed.entries.is_empty() => state = HostState::Incomplete,
                // It ended, and only the mark stayed.
                Ok(parsed) if ReadJournal(&parsed.entries).has_ended() => {}
                Ok(parsed) => {
                    let journal = ReadJournal(&parsed.entries);
                    direction = journal.direction();
                    quiesced = journal.quiesced();
                    let worker = journal.owner().and_then(|(pid, start, boot)| {
                        let process = Process::read(&self.roots.proc, pid)?;
                        (boot == self.boot_id()
                            && process.start_ticks == start
                            && process.state != crate::RunState::Zombie)
                            .then_some(pid)
                    });
                    state = if worker.is_some() { HostState::InTransaction } else { HostState::Incomplete };
                    let evidence = match worker {
                        Some(pid) => format!("process {pid} works on it"),
                        None => format!("nobody works on it; {} records", parsed.entries.len()),
                    };
                    findings.push(finding("package-transaction-open", &current.id, evidence));
                    if worker.is_none() {
                        for unit in &quiesced {
                            findings.push(finding(
                                "package-caller-left",
                                unit,
                                "it was stopped for the transaction",
                            ));
                        }
                    }
                }
                Err(error) => {
                    state = HostState::Incomplete;
                    findings.push(finding("package-journal-damaged", &current.id, error.to_string()));
                }
            }
        }
        let defects = self.manager.audit()?;
        // While somebody holds the database, being between two states is what he does.
        let is_at_work = find_holders(&self.roots).iter().any(Holder::excludes);
        if !defects.is_empty() && state == HostState::Clean {
            state = if is_at_work { HostState::InTransaction } else { HostState::Incomplete };
        }
        // What is being worked on is no defect yet.
        for defect in defects.iter().filter(|_| state != HostState::InTransaction) {
            findings.push(finding(&defect.code, &defect.subject, &defect.evidence));
        }
        let reboot = find_need(&self.roots);
        for reason in &reboot.reasons {
            findings.push(finding("reboot-needed", "the host", reason));
        }
        for (who, files) in &reboot.outdated {
            findings.push(finding(
                "services-outdated",
                who,
                format!("it uses replaced files: {}", files.join(", ")),
            ));
        }
        if !reboot.guests.is_empty() {
            let evidence = format!("{} running guests use a replaced emulator", reboot.guests.len());
            findings.push(finding("services-outdated", "guests", evidence));
        }
        if state == HostState::Clean && reboot.is_needed() {
            state = HostState::NeedsReboot;
        }
        let hold = Hold::new(&self.roots, &*self.services).is_placed();
        if matches!(state, HostState::Incomplete | HostState::InTransaction) {
            findings.push(finding("reboot-held", "the host", format!("its packages are {}", state.words())));
            if hold == Some(false) {
                findings.push(finding("reboot-hold-weak", "the host", "no target of systemd is masked"));
            }
        }
        Ok(Status {
            schema: "lifeboat.package-status.v1".to_owned(),
            state,
            transaction: current.map(|current| current.id),
            direction,
            quiesced,
            defects,
            reboot,
            hold,
            findings,
        })
    }

    /// Whether this host may be rebooted. Whoever reboots it asks here first.
    pub fn may_reboot(&self) -> Result<(), Held> {
        let status = match self.status() {
            Ok(status) => status,
            Err(error) => {
                return Err(Held { reasons: vec![lifeboat_model::chain(&error)] });
            }
        };
        if !matches!(status.state, HostState::Incomplete | HostState::InTransaction) {
            return Ok(());
        }
        let holds = [
            "package-transaction-open",
            "packages-half-installed",
            "packages-duplicated",
            "package-db-damaged",
            "package-journal-damaged",
        ];
        let counts = |finding: &&Finding| holds.contains(&finding.code.as_str());
        let words =
            |finding: &Finding| format!("[{}] {}: {}", finding.code, finding.subject, finding.evidence);
        let mut reasons: Vec<String> = status.findings.iter().filter(counts).map(words).collect();
        if reasons.is_empty() {
            reasons.push(format!("its packages are {}", status.state.words()));
        }
        Err(Held { reasons })
    }

    /// Who holds the database, as findings.
    #[must_use]
    pub fn holder_findings(&self, holders: &[Holder]) -> Vec<Finding> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let mut findings = Vec::new();
        for holder in holders {
            let subject = format!("process {} ({})", holder.process.pid, holder.process.name);
            if let Some(why) = holder.cannot_go_on() {
                let evidence = format!("{}; it cannot go on: {why}", holder.words(now));
                findings.push(finding("package-db-stuck", subject, evidence));
            } else if holder.excludes() {
                findings.push(finding("package-db-held", subject, holder.words(now)));
            }
        }
        findings
    }
}

impl HostState {
    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::InTransaction => "in-transaction",
            Self::Incomplete => "incomplete",
            Self::NeedsReboot => "needs-reboot",
        }
    }
}

/// Questions about a journal that is only read.
struct ReadJournal<'a>(&'a [crate::Entry]);

impl ReadJournal<'_> {
    fn has_ended(&self) -> bool {
        let last = self.0.last().map(|entry| &entry.record);
        matches!(last, Some(Record::Ended { .. } | Record::GivenUp { .. }))
    }

    fn owner(&self) -> Option<(u32, u64, String)> {
        if matches!(self.0.last().map(|entry| &entry.record), Some(Record::Paused { .. })) {
            return None;
        }
        self.0.iter().rev().find_map(|entry| match &entry.record {
            Record::Owner { pid, start_ticks, boot_id, .. } => Some((*pid, *start_ticks, boot_id.clone())),
            _ => None,
        })
    }

    fn direction(&self) -> Option<Direction> {
        self.0.iter().rev().find_map(|entry| match &entry.record {
            Record::Owner { direction, .. } => Some(*direction),
            _ => None,
        })
    }

    fn quiesced(&self) -> Vec<String> {
        let mut open: Vec<String> = Vec::new();
        for entry in self.0 {
            match &entry.record {
                Record::Quiesce { unit } if !open.contains(&unit.unit) => open.push(unit.unit.clone()),
                Record::Restored { unit } => open.retain(|known| known != unit),
                _ => {}
            }
        }
        open
    }
}

/// Whether a host may be rebooted; one without a package database may.
pub fn may_reboot(roots: crate::Roots) -> Result<(), Held> {
    match Guard::open(roots) {
        Ok(guard) => guard.may_reboot(),
        Err(PackageError::NoManager { .. }) => Ok(()),
        Err(error) => Err(Held { reasons: vec![lifeboat_model::chain(&error)] }),
    }
}
