//! The phases of one host in a roll, and which may follow which.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a host stands in a roll.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Its turn has not come.
    Pending,
    /// Its turn has come; it is being checked.
    Admitted,
    /// It may be upgraded.
    Checked,
    /// Its own state is saved.
    StateSaved,
    /// It takes no new guests and none runs on it.
    Drained,
    /// The release is on the host and verified.
    Staged,
    /// The alternate bank is written and verified byte for byte.
    Installed,
    /// It was told to reboot into the alternate bank: the point of no return.
    Rebooted,
    /// It runs the release from the expected bank, and its health checks passed.
    Verified,
    /// It serves again. The end that everybody wants.
    Committed,
    /// It is being given back to the pool before it takes the phase named here.
    Leaving {
        /// The phase that follows; never `Leaving` itself.
        exit: Box<Phase>,
    },
    /// It tried the release and is back in its old bank, serving.
    RolledBack {
        /// Why the new bank was left.
        reason: String,
    },
    /// A step failed before the point of no return; it serves in its old bank.
    Failed {
        /// Which step, and why.
        reason: String,
    },
    /// Nothing was done to it.
    Skipped {
        /// Why not.
        reason: String,
    },
    /// Lifeboat cannot judge or mend it; it is left as it is.
    NeedsYou {
        /// What is wrong, and what to do.
        reason: String,
    },
}

/// A transition that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a host cannot go from {from} to {to}")]
pub struct IllegalPhase {
    /// Where it stood.
    pub from: &'static str,
    /// Where it was to go.
    pub to: &'static str,
}

impl Phase {
    /// The word that people read.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Admitted => "admitted",
            Self::Checked => "checked",
            Self::StateSaved => "state saved",
            Self::Drained => "drained",
            Self::Staged => "staged",
            Self::Installed => "installed",
            Self::Rebooted => "rebooted",
            Self::Verified => "verified",
            Self::Committed => "committed",
            Self::Leaving { .. } => "leaving",
            Self::RolledBack { .. } => "rolled back",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
            Self::NeedsYou { .. } => "needs you",
        }
    }

    /// Why the host left the way, if it did.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::RolledBack { reason }
            | Self::Failed { reason }
            | Self::Skipped { reason }
            | Self::NeedsYou { reason } => Some(reason),
            Self::Leaving { exit } => exit.reason(),
            Self::Pending
            | Self::Admitted
            | Self::Checked
            | Self::StateSaved
            | Self::Drained
            | Self::Staged
            | Self::Installed
            | Self::Rebooted
            | Self::Verified
            | Self::Committed => None,
        }
    }

    /// Position on the way from 0 (pending) to 9 (committed); `None` off the way.
    #[must_use]
    pub fn step(&self) -> Option<u8> {
        match self {
            Self::Pending => Some(0),
            Self::Admitted => Some(1),
            Self::Checked => Some(2),
            Self::StateSaved => Some(3),
            Self::Drained => Some(4),
            Self::Staged => Some(5),
            Self::Installed => Some(6),
            Self::Rebooted => Some(7),
            Self::Verified => Some(8),
            Self::Committed => Some(9),
            Self::Leaving { .. }
            | Self::RolledBack { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::NeedsYou { .. } => None,
        }
    }

    /// The host is out of service or about to be: it counts against the limit of hosts in flight.
    #[must_use]
    pub fn in_flight(&self) -> bool {
        match self {
            Self::Admitted
            | Self::Checked
            | Self::StateSaved
            | Self::Drained
            | Self::Staged
            | Self::Installed
            | Self::Rebooted
            | Self::Verified
            | Self::Leaving { .. } => true,
            Self::Pending
            | Self::Committed
            | Self::RolledBack { .. }
            | Self::Failed { .. }
            | Self::Skipped { .. }
            | Self::NeedsYou { .. } => false,
        }
    }

    /// An end that counts as a failure for the policy `on-failure`.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::RolledBack { .. } | Self::Failed { .. } | Self::NeedsYou { .. })
    }

    /// The transition table.
    ///
    /// # Errors
    /// [`IllegalPhase`] if `to` may not follow.
    pub fn check_next(&self, to: &Self) -> Result<(), IllegalPhase> {
        let on_the_way = match (self.step(), to.step()) {
            (Some(from), Some(to)) => to == from + 1,
            (Some(_) | None, Some(_) | None) => false,
        };
        let legal = on_the_way
            || match self {
                // A host that has nothing to do, or that was excluded, never starts.
                Self::Pending => {
                    matches!(to, Self::Skipped { .. } | Self::NeedsYou { .. } | Self::Failed { .. })
                }
                Self::Admitted
                | Self::Checked
                | Self::StateSaved
                | Self::Drained
                | Self::Staged
                | Self::Installed => {
                    matches!(to, Self::Leaving { .. } | Self::NeedsYou { .. })
                }
                Self::Rebooted | Self::Verified => matches!(to, Self::Leaving { .. } | Self::NeedsYou { .. }),
                Self::Leaving { exit } => to == exit.as_ref() || matches!(to, Self::NeedsYou { .. }),
                // A person may order another try.
                Self::RolledBack { .. }
                | Self::Failed { .. }
                | Self::Skipped { .. }
                | Self::NeedsYou { .. } => {
                    matches!(to, Self::Pending | Self::Skipped { .. })
                }
                Self::Committed => false,
            };
        if legal { Ok(()) } else { Err(IllegalPhase { from: self.word(), to: to.word() }) }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason() -> String {
        "test".to_owned()
    }

    #[test]
    fn the_way_cannot_be_cut_short() {
        let way = [
            Phase::Pending,
            Phase::Admitted,
            Phase::Checked,
            Phase::StateSaved,
            Phase::Drained,
            Phase::Staged,
            Phase::Installed,
            Phase::Rebooted,
            Phase::Verified,
            Phase::Committed,
        ];
        for (at, from) in way.iter().enumerate() {
            for (to_at, to) in way.iter().enumerate() {
                assert_eq!(from.check_next(to).is_ok(), to_at == at + 1, "{from} to {to}");
            }
        }
    }

    #[test]
    fn a_host_past_the_point_of_no_return_is_never_just_forgotten() {
        assert!(Phase::Rebooted.check_next(&Phase::Skipped { reason: reason() }).is_err());
        assert!(Phase::Rebooted.check_next(&Phase::Pending).is_err());
        let back = Phase::Leaving { exit: Box::new(Phase::RolledBack { reason: reason() }) };
        assert_eq!(Phase::Rebooted.check_next(&back), Ok(()));
        assert_eq!(back.check_next(&Phase::RolledBack { reason: reason() }), Ok(()));
        assert!(back.check_next(&Phase::Committed).is_err());
        assert!(Phase::Committed.check_next(&Phase::Pending).is_err());
    }
}
