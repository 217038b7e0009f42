//! Banks as values: for pools of many thousands of hosts, where no disk is written.

use lifeboat_model::{Bank, BankState, BankView, ReleaseRef, Sha256Hex};
use serde::{Deserialize, Serialize};

use super::banks::{Booted, InstallOrder, Judged, Refusal, check_rules};
use super::kernel::SimKernel;

/// One bank.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ValueBank {
    state: BankState,
    release: Option<ReleaseRef>,
    updated: u32,
    note: Option<String>,
    kernel: SimKernel,
}

/// The banks of a host, what firmware would boot, and what was learnt about releases.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ValueBanks {
    banks: [ValueBank; 2],
    default: Bank,
    next: Option<Bank>,
    floor: u64,
    failed: Vec<Sha256Hex>,
    /// Number of the last boot and what it loaded.
    last_boot: (u32, Bank),
}

impl ValueBanks {
    /// `release` in bank A, good; bank B empty.
    pub(super) fn new(release: &ReleaseRef, kernel: SimKernel) -> Self {
        let floor = release.serial;
        let release = Some(release.clone());
        let a = ValueBank { state: BankState::Good, release, updated: 1, note: None, kernel };
        let kernel = SimKernel::default();
        let b = ValueBank { state: BankState::Empty, release: None, updated: 0, note: None, kernel };
        Self {
            banks: [a, b],
            default: Bank::A,
            next: None,
            floor,
            failed: Vec::new(),
            last_boot: (0, Bank::A),
        }
    }

    fn bank(&self, bank: Bank) -> &ValueBank {
        let [a, b] = &self.banks;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }

    fn bank_mut(&mut self, bank: Bank) -> &mut ValueBank {
        let [a, b] = &mut self.banks;
        match bank {
            Bank::A => a,
            Bank::B => b,
        }
    }

    pub(super) fn views(&self) -> ([BankView; 2], Vec<Sha256Hex>) {
        let view = |bank: &ValueBank| BankView {
            state: bank.state,
            version: bank.release.as_ref().map(|release| release.version.clone()),
            digest: bank.release.as_ref().map(|release| release.digest),
            updated: bank.updated,
            note: bank.note.clone(),
        };
        let [a, b] = &self.banks;
        ([view(a), view(b)], self.failed.clone())
    }

    pub(super) fn check(&self, release: &ReleaseRef, active: Bank, retry: bool) -> Result<(), Refusal> {
        let (views, failed) = self.views();
        let line = self.bank(active).release.as_ref().map(|release| release.name.clone());
        check_rules(&Judged { views, failed, floor: self.floor, line }, release, active, retry)
    }

    pub(super) fn install(&mut self, order: &InstallOrder<'_>) -> Result<(), Refusal> {
        let release = &order.release.release;
        if !order.unguarded {
            if order.bank == order.active {
                return Err(Refusal::firm(format!("bank {} runs; it is never written", order.bank)));
            }
            self.check(release, order.active, order.retry)?;
        }
        let kernel = order.release.kernel.clone().unwrap_or_default();
        let updated = self.bank(order.active).updated.max(self.bank(order.bank).updated) + 1;
        let bank = self.bank_mut(order.bank);
        let (state, release) = match order.fails_at {
            None => (BankState::Upgraded, Some(release.clone())),
            Some(_) => (BankState::Invalid, None),
        };
        let note = order.fails_at.map(|at| format!("the disk failed at byte {at}"));
        *bank = ValueBank { state, release, updated, note: note.clone(), kernel };
        note.map_or(Ok(()), |note| Err(Refusal::firm(format!("writing bank {}: {note}", order.bank))))
    }

    pub(super) fn activate(&mut self, bank: Bank) -> Result<(), Refusal> {
        let fallback = self.bank(bank.other()).state;
        if fallback != BankState::Good {
            let other = bank.other();
            return Err(Refusal::firm(format!(
                "bank {bank} is not tried: bank {other} is {fallback}, not good"
            )));
        }
        let target = self.bank_mut(bank);
        match target.state {
            BankState::Upgraded | BankState::Trying => target.state = BankState::Trying,
            BankState::Empty | BankState::Invalid | BankState::Good | BankState::Failed => {
                return Err(Refusal::firm(format!("bank {bank} is {} and is not booted", target.state)));
            }
        }
        self.next = Some(bank);
        Ok(())
    }

    /// The next boot is of this bank, whatever it and the other one hold.
    pub(super) fn activate_unguarded(&mut self, bank: Bank) {
        if self.bank(bank).release.is_some() {
            self.bank_mut(bank).state = BankState::Trying;
            self.next = Some(bank);
        }
    }

    /// Lowest serial that may be installed.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// Writes the running release into the other bank too.
    pub(super) fn rebuild(&mut self, bank: Bank) {
        let updated = self.bank(bank).updated.max(self.bank(bank.other()).updated) + 1;
        let copy = self.bank(bank.other()).clone();
        *self.bank_mut(bank) = ValueBank { state: BankState::Upgraded, updated, note: None, ..copy };
    }

    pub(super) fn boot(&mut self, number: u32) -> Result<Booted, Refusal> {
        if self.last_boot.0 != number {
            let first = self.next.take().unwrap_or(self.default);
            let candidates = [first, self.default, self.default.other()];
            let loads = |bank: &Bank| match self.bank(*bank).state {
                BankState::Upgraded | BankState::Trying | BankState::Good | BankState::Failed => true,
                BankState::Empty | BankState::Invalid => false,
            };
            let bank =
                candidates.into_iter().find(loads).ok_or_else(|| Refusal::firm("nothing is bootable"))?;
            self.last_boot = (number, bank);
        }
        let bank = self.last_boot.1;
        let ValueBank { release, kernel, .. } = self.bank(bank);
        let release = release.clone().ok_or_else(|| Refusal::firm("nothing is bootable"))?;
        Ok(Booted { bank, release, kernel: kernel.clone() })
    }

    pub(super) fn bless(&mut self, running: Bank) {
        let bank = self.bank_mut(running);
        bank.state = BankState::Good;
        bank.note = None;
        let blessed = bank.release.as_ref().map(|release| (release.serial, release.digest));
        if let Some((serial, digest)) = blessed {
            self.floor = self.floor.max(serial);
            self.failed.retain(|failed| *failed != digest);
        }
        self.default = running;
    }

    pub(super) fn fail(&mut self, bank: Bank, reason: &str) {
        let failed = self.bank_mut(bank);
        failed.state = BankState::Failed;
        failed.note = Some(reason.to_owned());
        let digest = failed.release.as_ref().map(|release| release.digest);
        if let Some(digest) = digest.filter(|digest| !self.failed.contains(digest)) {
            self.failed.push(digest);
        }
        self.next = None;
    }
}
