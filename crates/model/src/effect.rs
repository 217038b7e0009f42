//! What a roll can order to be done to the world.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bank, FeatureKind, GuestId, HostId, ReleaseRef};

/// One change of the world. Every effect is idempotent: ordered twice, it is done once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Effect {
    /// Switch a feature off.
    SuspendFeature {
        /// Which one.
        feature: FeatureKind,
        /// The value it had when the intent was written, and will have again.
        original: String,
    },
    /// Give a feature the value it had.
    RestoreFeature {
        /// Which one.
        feature: FeatureKind,
        /// The value from the intent of the suspension.
        original: String,
    },
    /// Ask the host whether it can be upgraded: banks, space, agent.
    CheckHost {
        /// The host.
        host: HostId,
        /// What it shall run.
        release: ReleaseRef,
        /// A person ordered that a release that failed here before is tried again.
        retry: bool,
    },
    /// Save the host's own state.
    SaveState {
        /// The host.
        host: HostId,
    },
    /// Let the host take no new guests.
    EnterMaintenance {
        /// The host.
        host: HostId,
    },
    /// Let the host take guests again.
    LeaveMaintenance {
        /// The host.
        host: HostId,
    },
    /// Move a running guest.
    Migrate {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        from: HostId,
        /// Where it goes.
        to: HostId,
    },
    /// Bring the release to the host and verify it there.
    Stage {
        /// The host.
        host: HostId,
        /// The release.
        release: ReleaseRef,
    },
    /// Write the alternate bank, flush, read back, verify.
    Install {
        /// The host.
        host: HostId,
        /// The release.
        release: ReleaseRef,
        /// The bank that is written: never the active one.
        bank: Bank,
        /// A person ordered that a release that failed here before is tried again.
        retry: bool,
    },
    /// Arm the watchdog, set the one-shot boot, reboot.
    RebootInto {
        /// The host.
        host: HostId,
        /// The bank that is tried once.
        bank: Bank,
        /// Identity of the boot that ends. If the host has another one already, the reboot was done.
        boot_id_before: String,
    },
}

impl Effect {
    /// The host that the effect is about; a migration belongs to the host that is drained.
    #[must_use]
    pub fn host(&self) -> Option<&HostId> {
        match self {
            Self::SuspendFeature { .. } | Self::RestoreFeature { .. } => None,
            Self::CheckHost { host, .. }
            | Self::SaveState { host }
            | Self::EnterMaintenance { host }
            | Self::LeaveMaintenance { host }
            | Self::Stage { host, .. }
            | Self::Install { host, .. }
            | Self::RebootInto { host, .. }
            | Self::Migrate { from: host, .. } => Some(host),
        }
    }

    /// The name of this effect in the journal: the same effect has the same key, also after a crash.
    #[must_use]
    pub fn key(&self) -> EffectKey {
        EffectKey(match self {
            Self::SuspendFeature { feature, .. } => format!("pool/suspend/{feature}"),
            Self::RestoreFeature { feature, .. } => format!("pool/restore/{feature}"),
            Self::CheckHost { host, .. } => format!("{host}/check"),
            Self::SaveState { host } => format!("{host}/save-state"),
            Self::EnterMaintenance { host } => format!("{host}/enter-maintenance"),
            Self::LeaveMaintenance { host } => format!("{host}/leave-maintenance"),
            Self::Migrate { guest, from, .. } => format!("{from}/migrate/{guest}"),
            Self::Stage { host, .. } => format!("{host}/stage"),
            Self::Install { host, .. } => format!("{host}/install"),
            Self::RebootInto { host, .. } => format!("{host}/reboot"),
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SuspendFeature { feature, original } => write!(f, "suspend {feature} (was {original})"),
            Self::RestoreFeature { feature, original } => write!(f, "restore {feature} to {original}"),
            Self::CheckHost { host, .. } => write!(f, "check {host}"),
            Self::SaveState { host } => write!(f, "save the state of {host}"),
            Self::EnterMaintenance { host } => write!(f, "let {host} enter maintenance"),
            Self::LeaveMaintenance { host } => write!(f, "let {host} leave maintenance"),
            Self::Migrate { guest, from, to } => write!(f, "move {guest} from {from} to {to}"),
            Self::Stage { host, release } => write!(f, "stage {} on {host}", release.version),
            Self::Install { host, release, bank, .. } => {
                write!(f, "install {} into bank {bank} of {host}", release.version)
            }
            Self::RebootInto { host, bank, .. } => write!(f, "reboot {host} into bank {bank}"),
        }
    }
}

/// Name of an effect within one roll.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(pub String);

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How far an effect has come. May be dropped; nothing is decided by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}
