//! Faults that can be ordered.

use std::fmt;
use std::str::FromStr;

use lifeboat_model::{Effect, GuestId, HostId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A step of a host's turn that a fault can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultStep {
    /// [`Effect::CheckHost`].
    Check,
    /// [`Effect::SaveState`].
    SaveState,
    /// [`Effect::EnterMaintenance`].
    EnterMaintenance,
    /// [`Effect::LeaveMaintenance`].
    LeaveMaintenance,
    /// [`Effect::Migrate`] away from the host.
    Migrate,
    /// [`Effect::Stage`].
    Stage,
    /// [`Effect::Install`].
    Install,
}

impl FaultStep {
    const ALL: [Self; 7] = [
        Self::Check,
        Self::SaveState,
        Self::EnterMaintenance,
        Self::LeaveMaintenance,
        Self::Migrate,
        Self::Stage,
        Self::Install,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::SaveState => "save-state",
            Self::EnterMaintenance => "enter-maintenance",
            Self::LeaveMaintenance => "leave-maintenance",
            Self::Migrate => "migrate",
            Self::Stage => "stage",
            Self::Install => "install",
        }
    }

    /// The step that an effect is, if a fault can name it.
    pub(super) fn of(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::CheckHost { .. } => Some(Self::Check),
            Effect::SaveState { .. } => Some(Self::SaveState),
            Effect::EnterMaintenance { .. } => Some(Self::EnterMaintenance),
            Effect::LeaveMaintenance { .. } => Some(Self::LeaveMaintenance),
            Effect::Migrate { .. } => Some(Self::Migrate),
            Effect::Stage { .. } => Some(Self::Stage),
            Effect::Install { .. } => Some(Self::Install),
            // A reboot that never ends is `never-returns`.
            Effect::RebootInto { .. }
            | Effect::SuspendFeature { .. }
            | Effect::RestoreFeature { .. }
            | Effect::Restart { .. }
            | Effect::StopGuest { .. }
            | Effect::StartGuest { .. }
            | Effect::Place { .. }
            | Effect::RunHook { .. }
            | Effect::RunGate { .. }
            | Effect::Mend { .. }
            | Effect::Unmend { .. } => None,
        }
    }
}

/// Something that goes wrong in a simulated pool. Its text is the form of the command line and of `sim.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Fault {
    /// `no-boot:HOST`: a release on trial panics on this host, whatever it does elsewhere.
    NoBoot {
        /// The host.
        host: HostId,
    },
    /// `migration-fails:GUEST[:TIMES]`: migrations of the guest fail so many times, or always.
    MigrationFails {
        /// The guest.
        guest: GuestId,
        /// How often; always if none.
        times: Option<u32>,
    },
    /// `never-returns:HOST`: the host does not come back from its next reboot.
    NeverReturns {
        /// The host.
        host: HostId,
    },
    /// `coordinator-lost[:forever]`: while the coordinator is down no host takes an order; with `forever` the
    /// coordinator does not come back from its reboot.
    CoordinatorLost {
        /// Whether it stays lost.
        forever: bool,
    },
    /// `disk-error:HOST:BYTE`: writing the alternate bank fails when so many bytes have been written.
    DiskError {
        /// The host.
        host: HostId,
        /// Bytes that are still written.
        at_byte: u64,
    },
    /// `never-ends:HOST:STEP`: the step begins and does not end.
    NeverEnds {
        /// The host.
        host: HostId,
        /// The step.
        step: FaultStep,
    },
    /// `nothing-installed:HOST`: an install says that it is done, but nothing was written; a reboot ends in the bank
    /// that ran before (I-24).
    NothingInstalled {
        /// The host.
        host: HostId,
    },
    /// `slow:HOST:FACTOR`: everything on the host takes so many times as long.
    Slow {
        /// The host.
        host: HostId,
        /// How many times as long.
        factor: u32,
    },
}

/// Why a text is no fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a fault: {reason}; faults are no-boot:HOST, migration-fails:GUEST[:TIMES], never-returns:HOST, \
     coordinator-lost[:forever], disk-error:HOST:BYTE, never-ends:HOST:STEP, \
     nothing-installed:HOST, slow:HOST:FACTOR"
)]
pub struct FaultError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The kinds of faults, by the first word of their text.
const KINDS: [&str; 8] = [
    "no-boot",
    "migration-fails",
    "never-returns",
    "coordinator-lost",
    "disk-error",
    "never-ends",
    "nothing-installed",
    "slow",
];

impl Fault {
    /// Whether a text is meant to be a fault, by its first word.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        KINDS.contains(&text.split(':').next().unwrap_or_default())
    }

    /// The host that it strikes, if it strikes one.
    pub(super) fn host(&self) -> Option<&HostId> {
        match self {
            Self::NoBoot { host }
            | Self::NeverReturns { host }
            | Self::DiskError { host, .. }
            | Self::NeverEnds { host, .. }
            | Self::NothingInstalled { host }
            | Self::Slow { host, .. } => Some(host),
            Self::MigrationFails { .. } | Self::CoordinatorLost { .. } => None,
        }
    }

    /// The guest that it strikes, if it strikes one.
    pub(super) fn guest(&self) -> Option<&GuestId> {
        if let Self::MigrationFails { guest, .. } = self { Some(guest) } else { None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBoot { host } => write!(f, "no-boot:{host}"),
            Self::MigrationFails { guest, times: None } => write!(f, "migration-fails:{guest}"),
            Self::MigrationFails { guest, times: Some(times) } => {
                write!(f, "migration-fails:{guest}:{times}")
            }
            Self::NeverReturns { host } => write!(f, "never-returns:{host}"),
            Self::CoordinatorLost { forever: false } => f.write_str("coordinator-lost"),
            Self::CoordinatorLost { forever: true } => f.write_str("coordinator-lost:forever"),
            Self::DiskError { host, at_byte } => write!(f, "disk-error:{host}:{at_byte}"),
            Self::NeverEnds { host, step } => write!(f, "never-ends:{host}:{}", step.word()),
            Self::NothingInstalled { host } => write!(f, "nothing-installed:{host}"),
            Self::Slow { host, factor } => write!(f, "slow:{host}:{factor}"),
        }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let wrong = |reason: String| FaultError { text: text.to_owned(), reason };
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let host = |name: &str| HostId::new(name).map_err(|error| wrong(error.to_string()));
        // Names may hold colons, so the last part is split off from behind.
        let tail = || rest.rsplit_once(':').ok_or_else(|| wrong("a part is missing".to_owned()));
        let number = |text: &str| text.parse().map_err(|_| wrong(format!("{text:?} is not a number")));
        match word {
            "no-boot" => Ok(Self::NoBoot { host: host(rest)? }),
            "nothing-installed" => Ok(Self::NothingInstalled { host: host(rest)? }),
            "never-returns" => Ok(Self::NeverReturns { host: host(rest)? }),
            "coordinator-lost" if rest.is_empty() => Ok(Self::CoordinatorLost { forever: false }),
            "coordinator-lost" if rest == "forever" => Ok(Self::CoordinatorLost { forever: true }),
            "migration-fails" => {
                let (guest, times) = match rest.rsplit_once(':') {
                    Some((guest, times)) if times.parse::<u32>().is_ok() => (guest, times.parse().ok()),
                    Some(_) | None => (rest, None),
                };
                let guest = GuestId::new(guest).map_err(|error| wrong(error.to_string()))?;
                Ok(Self::MigrationFails { guest, times })
            }
            "disk-error" => {
                let (name, at) = tail()?;
                Ok(Self::DiskError { host: host(name)?, at_byte: number(at)? })
            }
            "never-ends" => {
                let (name, step) = tail()?;
                let known = FaultStep::ALL.into_iter().find(|known| known.word() == step);
                let step = known.ok_or_else(|| {
                    let words: Vec<_> = FaultStep::ALL.iter().map(|step| step.word()).collect();
                    wrong(format!("{step:?} is no step; steps are {}", words.join(", ")))
                })?;
                Ok(Self::NeverEnds { host: host(name)?, step })
            }
            "slow" => {
                let (name, factor) = tail()?;
                let factor = u32::try_from(number(factor)?).ok().filter(|factor| (1..=1000).contains(factor));
                let factor = factor.ok_or_else(|| wrong("a factor is from 1 to 1000".to_owned()))?;
                Ok(Self::Slow { host: host(name)?, factor })
            }
            other => Err(wrong(format!("the kind {other:?} is not known"))),
        }
    }
}

impl TryFrom<String> for Fault {
    type Error = FaultError;

    fn try_from(text: String) -> Result<Self, FaultError> {
        text.parse()
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        for text in [
            "no-boot:h04",
            "migration-fails:g007",
            "migration-fails:g007:2",
            "never-returns:rack:h04",
            "coordinator-lost",
            "coordinator-lost:forever",
            "disk-error:h02:1048576",
            "never-ends:h02:install",
            "nothing-installed:h02",
            "slow:h05:4",
        ] {
            assert_eq!(text.parse::<Fault>().map(|fault| fault.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_wrong_fault_is_refused_with_the_words_that_exist() {
        for text in
            ["", "no-boot", "boom:h1", "slow:h1:0", "never-ends:h1:dance", "disk-error:h1", "slow:h1:x"]
        {
            let error = text.parse::<Fault>().err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("no-boot:HOST"), "{text:?}: {error}");
        }
    }
}
