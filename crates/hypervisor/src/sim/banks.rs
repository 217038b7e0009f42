//! The two banks of one host, as values or on a real disk.
//!
//! Owns: the one set of operations that the pool needs from either. Promises: both refuse the same things.

use lifeboat_bundle::TrustStore;
use lifeboat_model::{Bank, BankState, BankView, ReleaseRef, Sha256Hex};
use serde::{Deserialize, Serialize};

use super::disk::DiskBanks;
use super::kernel::SimKernel;
use super::state::Offered;
use super::values::ValueBanks;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: String,
    pub(super) retriable: bool,
}

impl Refusal {
    /// Another try will not help.
    pub(super) fn firm(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retriable: false }
    }

    /// Another try may help.
    pub(super) fn for_now(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retriable: true }
    }
}

/// What firmware loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Booted {
    pub(super) bank: Bank,
    pub(super) release: ReleaseRef,
    pub(super) kernel: SimKernel,
}

/// What is known of the banks of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) views: [BankView; 2],
    pub(super) failed: Vec<Sha256Hex>,
    /// Lowest serial that may be installed.
    pub(super) floor: u64,
    /// The product line that the host runs.
    pub(super) line: Option<String>,
}

impl Judged {
    /// One of the banks.
    pub(super) fn bank(&self, bank: Bank) -> &BankView {
        let [a, b] = &self.views;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }
}

/// Whether `release` may be installed while `active` runs.
pub(super) fn check_rules(
    banks: &Judged,
    release: &ReleaseRef,
    active: Bank,
    retry: bool,
) -> Result<(), Refusal> {
    let state = banks.bank(active).state;
    if state != BankState::Good {
        return Err(Refusal::firm(format!(
            "bank {active} runs but is {state}, not good; its fall-back is not overwritten before it is proved"
        )));
    }
    if let Some(line) = banks.line.as_ref().filter(|line| **line != release.name) {
        return Err(Refusal::firm(format!("the host runs the line {line}, not {}", release.name)));
    }
    if release.serial < banks.floor {
        let (serial, floor) = (release.serial, banks.floor);
        return Err(Refusal::firm(format!(
            "release {release} has serial {serial}; this host takes {floor} and above"
        )));
    }
    if banks.failed.contains(&release.digest) && !retry {
        return Err(Refusal::firm(format!(
            "release {release} failed on this host before; order a retry if that cause is gone"
        )));
    }
    Ok(())
}

/// An order to write a bank.
#[derive(Debug)]
pub(super) struct InstallOrder<'a> {
    pub(super) release: &'a Offered,
    pub(super) bank: Bank,
    pub(super) active: Bank,
    pub(super) retry: bool,
    /// The disk fails after so many bytes.
    pub(super) fails_at: Option<u64>,
    /// The agent does not look at what it overwrites; banks on disks look all the same.
    pub(super) unguarded: bool,
}

/// The banks of one host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HostBanks {
    /// Values in `sim.json`.
    Values(ValueBanks),
    /// On the host's own disk.
    Disk(DiskBanks),
}

impl HostBanks {
    /// Both banks as a controller sees them, and the releases that failed here.
    pub(super) fn views(&self) -> ([BankView; 2], Vec<Sha256Hex>) {
        match self {
            Self::Values(banks) => banks.views(),
            Self::Disk(banks) => banks.views(),
        }
    }

    /// Whether `release` could be installed while `active` runs.
    pub(super) fn check(&self, release: &ReleaseRef, active: Bank, retry: bool) -> Result<(), Refusal> {
        match self {
            Self::Values(banks) => banks.check(release, active, retry),
            Self::Disk(banks) => banks.check(release, active, retry),
        }
    }

    /// Writes a bank. `now` is in unix seconds.
    pub(super) fn install(
        &mut self,
        order: &InstallOrder<'_>,
        trust: Option<&TrustStore>,
        now: u64,
    ) -> Result<(), Refusal> {
        match self {
            Self::Values(banks) => banks.install(order),
            Self::Disk(banks) => {
                let trust = trust.ok_or_else(|| Refusal::firm("the pool trusts no key"))?;
                banks.install(order, trust, now)
            }
        }
    }

    /// Puts a bank on trial: it boots once.
    pub(super) fn activate(&mut self, bank: Bank) -> Result<(), Refusal> {
        match self {
            Self::Values(banks) => banks.activate(bank),
            Self::Disk(banks) => banks.activate(bank),
        }
    }

    /// Puts a bank on trial whatever the other one holds; banks on disks look all the same.
    pub(super) fn activate_unguarded(&mut self, bank: Bank) -> Result<(), Refusal> {
        match self {
            Self::Values(banks) => {
                banks.activate_unguarded(bank);
                Ok(())
            }
            Self::Disk(banks) => banks.activate(bank),
        }
    }

    /// Lowest serial that may be installed.
    pub(super) fn floor(&self) -> u64 {
        match self {
            Self::Values(banks) => banks.floor(),
            Self::Disk(banks) => banks.floor(),
        }
    }

    /// What is damaged in a bank by its own bytes; values have none.
    pub(super) fn damage(&self, bank: Bank) -> Vec<String> {
        match self {
            Self::Values(_) => Vec::new(),
            Self::Disk(banks) => banks.damage(bank),
        }
    }

    /// Firmware runs; `number` counts the boots, so that a boot that was done is not done again.
    pub(super) fn boot(&mut self, number: u32) -> Result<Booted, Refusal> {
        match self {
            Self::Values(banks) => banks.boot(number),
            Self::Disk(banks) => banks.boot(number),
        }
    }

    /// The bank that is on trial.
    pub(super) fn trial(&self) -> Option<Bank> {
        let (views, _) = self.views();
        Bank::BOTH
            .into_iter()
            .zip(views)
            .find(|(_, view)| view.state == BankState::Trying)
            .map(|(bank, _)| bank)
    }

    /// One bank as a controller sees it.
    fn view(&self, bank: Bank) -> BankView {
        let ([a, b], _) = self.views();
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }

    /// What is known of the content of `bank`.
    pub(super) fn state(&self, bank: Bank) -> BankState {
        self.view(bank).state
    }

    /// Whether `bank` holds something that may be tried.
    pub(super) fn is_bootable(&self, bank: Bank) -> bool {
        matches!(self.state(bank), BankState::Upgraded | BankState::Trying)
    }

    /// Whether `bank` holds `release`, written and verified.
    pub(super) fn holds(&self, bank: Bank, release: &ReleaseRef) -> bool {
        let view = self.view(bank);
        view.state == BankState::Upgraded && view.digest == Some(release.digest)
    }

    /// The running bank passed its health checks.
    pub(super) fn bless(&mut self, running: Bank) -> Result<(), Refusal> {
        match self {
            Self::Values(banks) => {
                banks.bless(running);
                Ok(())
            }
            Self::Disk(banks) => banks.bless(running),
        }
    }

    /// A bank was tried in vain.
    pub(super) fn fail(&mut self, bank: Bank, reason: &str) -> Result<(), Refusal> {
        match self {
            Self::Values(banks) => {
                banks.fail(bank, reason);
                Ok(())
            }
            Self::Disk(banks) => banks.fail(bank, reason),
        }
    }
}
