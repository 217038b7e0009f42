//! The faults that are ordered, and the questions that effects ask of them.

use lifeboat_model::{Effect, GuestId, HostId};
use serde::{Deserialize, Serialize};

use super::fault::{Fault, FaultStep};

/// All faults, in the order in which they were ordered.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// Adds one; a fault that is ordered twice is there once.
    pub(super) fn add(&mut self, fault: Fault) {
        if !self.0.contains(&fault) {
            self.0.push(fault);
        }
    }

    /// Ends one; says whether it was there.
    pub(super) fn end(&mut self, fault: &Fault) -> bool {
        let before = self.0.len();
        self.0.retain(|there| there != fault);
        self.0.len() != before
    }

    pub(super) fn end_all(&mut self) {
        self.0.clear();
    }

    fn of<'a>(&'a self, host: &'a HostId) -> impl Iterator<Item = &'a Fault> {
        self.0.iter().filter(move |fault| fault.host() == Some(host))
    }

    /// How many times as long everything on a host takes.
    pub(super) fn slow(&self, host: &HostId) -> u64 {
        let factor = |fault: &Fault| {
            if let Fault::Slow { factor, .. } = fault { Some(u64::from(*factor)) } else { None }
        };
        self.of(host).find_map(factor).unwrap_or(1)
    }

    /// After how many bytes writing fails on a host.
    pub(super) fn disk_error(&self, host: &HostId) -> Option<u64> {
        let at =
            |fault: &Fault| if let Fault::DiskError { at_byte, .. } = fault { Some(*at_byte) } else { None };
        self.of(host).find_map(at)
    }

    /// Whether an effect begins and does not end.
    pub(super) fn never_ends(&self, effect: &Effect) -> bool {
        effect.host().is_some_and(|host| {
            self.of(host).any(|fault| {
                matches!(fault, Fault::NeverEnds { step, .. } if FaultStep::of(effect) == Some(*step))
            })
        })
    }

    /// Whether a release on trial panics on a host.
    pub(super) fn no_boot(&self, host: &HostId) -> bool {
        self.of(host).any(|fault| matches!(fault, Fault::NoBoot { .. }))
    }

    /// Whether installs on a host write nothing.
    pub(super) fn nothing_installed(&self, host: &HostId) -> bool {
        self.of(host).any(|fault| matches!(fault, Fault::NothingInstalled { .. }))
    }

    /// Whether a host does not come back from a reboot.
    pub(super) fn never_returns(&self, host: &HostId, is_coordinator: bool) -> bool {
        self.0.iter().any(|fault| match fault {
            Fault::NeverReturns { host: bad } => bad == host,
            Fault::CoordinatorLost { forever } => *forever && is_coordinator,
            Fault::NoBoot { .. }
            | Fault::MigrationFails { .. }
            | Fault::DiskError { .. }
            | Fault::NeverEnds { .. }
            | Fault::NothingInstalled { .. }
            | Fault::Slow { .. } => false,
        })
    }

    /// Whether nothing can be ordered while the coordinator is down.
    pub(super) fn coordinator_lost(&self) -> bool {
        self.0.iter().any(|fault| matches!(fault, Fault::CoordinatorLost { .. }))
    }

    /// Whether a migration of a guest breaks off now; a fault that counts is used up by one.
    pub(super) fn strikes_migration(&mut self, guest: &GuestId) -> bool {
        let mut ours = self.0.iter_mut().filter(|fault| fault.guest() == Some(guest));
        match ours.next() {
            Some(Fault::MigrationFails { times: Some(0), .. }) | None => false,
            Some(Fault::MigrationFails { times: Some(times), .. }) => {
                *times -= 1;
                true
            }
            Some(_) => true,
        }
    }
}
