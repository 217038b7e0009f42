//! The record: which generation runs, and how far the next one is.
//!
//! Owns: the record's words and its changes. Promises: a change is a pure step from one record to the next; the word
//! "bank" means the parity of a generation. Does not: read or write.

use lifeboat_model::agent::BankReport;
use lifeboat_model::{Bank, BankState, ReleaseRef, Sha256Hex};
use serde::{Deserialize, Serialize};

/// Number of the record's form.
pub const GENERATIONS_SCHEMA: u32 = 1;
/// Most failed releases that are remembered; the oldest goes first.
const FAILED_LIMIT: usize = 16;
/// Longest reason that is kept, in characters.
const REASON_LIMIT: usize = 500;

/// What is known of a host's packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// [`GENERATIONS_SCHEMA`].
    pub schema: u32,
    /// Number of the generation that is proven. Grows by one with every release that passed its trial.
    pub generation: u64,
    /// The release that it is; none before the first one.
    pub release: Option<ReleaseRef>,
    /// Counter of installs at which it was installed.
    pub updated: u32,
    /// Counter of installs on this host.
    pub installs: u32,
    /// How far the next generation is.
    pub next: Next,
    /// Lowest serial that may be installed. Raised by passed trials, never lowered.
    pub floor: u64,
    /// Releases that failed here, oldest first; refused without an explicit retry.
    pub failed: Vec<FailedPackages>,
}

/// The generation behind the one that is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Next {
    /// There is none.
    Empty,
    /// A transaction towards it may have begun. If nobody works on it, it was interrupted.
    Installing {
        /// What is installed.
        release: ReleaseRef,
        /// The last transaction that had ended before: any other one is this one.
        before: Option<String>,
    },
    /// Its packages are installed, and what ran before still runs.
    Upgraded {
        /// What was installed.
        release: ReleaseRef,
        /// The transaction that did it; none if nothing had to be changed.
        transaction: Option<String>,
        /// The boot in which it was done: every other one is a trial.
        boot_id: String,
    },
    /// The reboot into it was ordered; the outcome is open.
    Trying {
        /// What is tried.
        release: ReleaseRef,
        /// The transaction that installed it.
        transaction: Option<String>,
        /// The boot that ends by the order.
        boot_id_before: String,
        /// The boot that is the trial, as soon as it is there.
        boot_id: Option<String>,
        /// How often the agent began to judge that boot.
        starts: u32,
    },
    /// It failed, and the versions before it are being brought back.
    GoingBack {
        /// What failed.
        release: ReleaseRef,
        /// The transaction that installed it.
        transaction: Option<String>,
        /// Why.
        reason: String,
        /// The boot that it failed in, which has to end; none if it never ran.
        boot_id: Option<String>,
        /// Whether it failed; otherwise it is merely taken back, and then forgotten.
        blamed: bool,
    },
    /// It failed, and the versions before it are there again.
    Failed {
        /// What failed.
        release: ReleaseRef,
        /// Why.
        reason: String,
        /// The boot that it failed in, which has to end; none if it never ran.
        boot_id: Option<String>,
    },
}

/// A release that failed on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedPackages {
    /// Identity of the release.
    pub digest: Sha256Hex,
    /// What happened, for people.
    pub reason: String,
}

/// The bank that a generation counts as: A for even numbers, B for odd ones.
pub fn bank_of(generation: u64) -> Bank {
    if generation.is_multiple_of(2) { Bank::A } else { Bank::B }
}

impl Next {
    /// The release, if there is one.
    pub fn release(&self) -> Option<&ReleaseRef> {
        match self {
            Self::Empty => None,
            Self::Installing { release, .. }
            | Self::Upgraded { release, .. }
            | Self::Trying { release, .. }
            | Self::GoingBack { release, .. }
            | Self::Failed { release, .. } => Some(release),
        }
    }

    /// Whether it is what runs in boot `boot_id`.
    pub fn runs_in(&self, boot_id: &str) -> bool {
        match self {
            Self::Empty | Self::Installing { .. } => false,
            Self::Upgraded { boot_id: installed, .. } => installed != boot_id,
            Self::Trying { boot_id_before, .. } => boot_id_before != boot_id,
            Self::GoingBack { boot_id: trial, .. } | Self::Failed { boot_id: trial, .. } => {
                trial.as_deref() == Some(boot_id)
            }
        }
    }

    /// What a bank in its place would be.
    pub fn state(&self) -> BankState {
        match self {
            Self::Empty => BankState::Empty,
            Self::Installing { .. } => BankState::Invalid,
            Self::Upgraded { .. } => BankState::Upgraded,
            Self::Trying { .. } => BankState::Trying,
            Self::GoingBack { .. } | Self::Failed { .. } => BankState::Failed,
        }
    }

    fn note(&self) -> Option<String> {
        match self {
            Self::Empty | Self::Upgraded { .. } | Self::Trying { .. } => None,
            Self::Installing { release, .. } => {
                Some(format!("the transaction towards {release} has not ended"))
            }
            Self::GoingBack { reason, .. } => {
                Some(format!("{reason}; the versions before it are not all back"))
            }
            Self::Failed { reason, .. } => {
                Some(format!("{reason}; the versions before it are installed again"))
            }
        }
    }
}

impl Generations {
    /// The record of a host that never got a release.
    pub fn first() -> Self {
        Self {
            schema: GENERATIONS_SCHEMA,
            generation: 0,
            release: None,
            updated: 0,
            installs: 0,
            next: Next::Empty,
            floor: 0,
            failed: Vec::new(),
        }
    }

    /// The bank that runs in boot `boot_id`.
    pub fn active(&self, boot_id: &str) -> Bank {
        let proven = bank_of(self.generation);
        if self.next.runs_in(boot_id) { proven.other() } else { proven }
    }

    /// The release that runs in boot `boot_id`.
    pub fn running(&self, boot_id: &str) -> Option<&ReleaseRef> {
        if self.next.runs_in(boot_id) { self.next.release() } else { self.release.as_ref() }
    }

    /// Whether boot `boot_id` is a trial that is not decided.
    pub fn on_trial(&self, boot_id: &str) -> bool {
        matches!(self.next, Next::Trying { .. } | Next::Upgraded { .. }) && self.next.runs_in(boot_id)
    }

    /// Both generations as banks, A first. The proven one is good as long as its packages are there.
    pub fn banks(&self) -> Vec<BankReport> {
        let proven = BankReport {
            bank: bank_of(self.generation),
            state: BankState::Good,
            release: self.release.clone(),
            updated: self.updated,
            note: None,
        };
        let next = BankReport {
            bank: bank_of(self.generation).other(),
            state: self.next.state(),
            release: self.next.release().cloned(),
            updated: self.next.release().map_or(0, |_| self.installs),
            note: self.next.note(),
        };
        let mut both = vec![proven, next];
        both.sort_by_key(|report| report.bank);
        both
    }

    /// Why this release failed here, if it did.
    pub fn failure_of(&self, digest: &Sha256Hex) -> Option<&FailedPackages> {
        self.failed.iter().find(|failed| failed.digest == *digest)
    }

    /// A transaction towards `release` begins; `before` is the last one that ended.
    #[must_use]
    pub fn with_begun(&self, release: &ReleaseRef, before: Option<String>) -> Self {
        let next = Next::Installing { release: release.clone(), before };
        Self { installs: self.installs.saturating_add(1), next, ..self.clone() }
    }

    /// The next generation passed its trial: it is the proven one.
    #[must_use]
    pub fn with_blessed(&self, release: &ReleaseRef) -> Self {
        let mut failed = self.failed.clone();
        failed.retain(|failed| failed.digest != release.digest);
        Self {
            schema: GENERATIONS_SCHEMA,
            generation: self.generation.saturating_add(1),
            release: Some(release.clone()),
            updated: self.installs,
            installs: self.installs,
            next: Next::Empty,
            floor: self.floor.max(release.serial),
            failed,
        }
    }

    /// The next generation is another one.
    #[must_use]
    pub fn with_next(&self, next: Next) -> Self {
        Self { next, ..self.clone() }
    }

    /// `release` failed, and is remembered for it before anything is brought back.
    #[must_use]
    pub fn with_failure(
        &self,
        release: &ReleaseRef,
        transaction: Option<String>,
        reason: &str,
        boot_id: Option<String>,
    ) -> Self {
        let reason: String = reason.chars().take(REASON_LIMIT).collect();
        let mut failed = self.failed.clone();
        failed.retain(|failed| failed.digest != release.digest);
        failed.push(FailedPackages { digest: release.digest, reason: reason.clone() });
        let surplus = failed.len().saturating_sub(FAILED_LIMIT);
        failed.drain(..surplus);
        let next = Next::GoingBack { release: release.clone(), transaction, reason, boot_id, blamed: true };
        Self { next, failed, ..self.clone() }
    }
}
