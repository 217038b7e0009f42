//! What a roll can order to be done to the world.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bank, FeatureKind, Fix, GuestId, HookStage, HostId, ReleaseRef};

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
    /// Reboot a host into the bank that runs, since something on it waits for that. Never with a guest on it.
    Restart {
        /// The host.
        host: HostId,
        /// Identity of the boot that ends. If the host has another one already, the reboot was done.
        boot_id_before: String,
    },
    /// Shut a guest down, cleanly; it stays on its host.
    StopGuest {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        host: HostId,
    },
    /// Start a guest that was shut down by this roll, where it is.
    StartGuest {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        host: HostId,
    },
    /// Move a running guest after the last host, for the policy's placement.
    Place {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        from: HostId,
        /// Where it goes.
        to: HostId,
    },
    /// Run a command of the policy for a host. The executor does it, not the driver.
    RunHook {
        /// Its name in the policy.
        hook: String,
        /// At which stage.
        stage: HookStage,
        /// For which host.
        host: HostId,
    },
    /// Run a command of the policy after a wave. The executor does it, not the driver.
    RunGate {
        /// Its name in the policy.
        gate: String,
        /// The wave that it stands after.
        wave: u32,
    },
    /// Carry out a remedy. Ordered by a person, never by a roll.
    Mend {
        /// Which.
        fix: Fix,
    },
    /// Take a remedy back.
    Unmend {
        /// Which.
        fix: Fix,
    },
}

impl Effect {
    /// The host that the effect is about; a migration belongs to the host that is drained.
    #[must_use]
    pub fn host(&self) -> Option<&HostId> {
        match self {
            Self::SuspendFeature { .. }
            | Self::RestoreFeature { .. }
            | Self::Place { .. }
            | Self::RunGate { .. }
            | Self::Mend { .. }
            | Self::Unmend { .. } => None,
            Self::CheckHost { host, .. }
            | Self::SaveState { host }
            | Self::EnterMaintenance { host }
            | Self::LeaveMaintenance { host }
            | Self::Stage { host, .. }
            | Self::Install { host, .. }
            | Self::RebootInto { host, .. }
            | Self::Restart { host, .. }
            | Self::StopGuest { host, .. }
            | Self::StartGuest { host, .. }
            | Self::RunHook { host, .. }
            | Self::Migrate { from: host, .. } => Some(host),
        }
    }

    /// The guest that is moved, from where and to where, if it is a migration.
    #[must_use]
    pub fn migration(&self) -> Option<(&GuestId, &HostId, &HostId)> {
        match self {
            Self::Migrate { guest, from, to } | Self::Place { guest, from, to } => Some((guest, from, to)),
            Self::SuspendFeature { .. }
            | Self::RestoreFeature { .. }
            | Self::CheckHost { .. }
            | Self::SaveState { .. }
            | Self::EnterMaintenance { .. }
            | Self::LeaveMaintenance { .. }
            | Self::Stage { .. }
            | Self::Install { .. }
            | Self::RebootInto { .. }
            | Self::Restart { .. }
            | Self::StopGuest { .. }
            | Self::StartGuest { .. }
            | Self::RunHook { .. }
            | Self::RunGate { .. }
            | Self::Mend { .. }
            | Self::Unmend { .. } => None,
        }
    }

    /// The lowest number of an event form that has this effect.
    pub(crate) fn form(&self) -> u32 {
        match self {
            Self::SuspendFeature { .. }
            | Self::RestoreFeature { .. }
            | Self::CheckHost { .. }
            | Self::SaveState { .. }
            | Self::EnterMaintenance { .. }
            | Self::LeaveMaintenance { .. }
            | Self::Migrate { .. }
            | Self::Stage { .. }
            | Self::Install { .. }
            | Self::RebootInto { .. } => 1,
            Self::Restart { .. }
            | Self::StopGuest { .. }
            | Self::StartGuest { .. }
            | Self::Place { .. }
            | Self::RunHook { .. }
            | Self::RunGate { .. }
            | Self::Mend { .. }
            | Self::Unmend { .. } => 2,
        }
    }

    /// Whether the executor does it itself, by running a command of the policy.
    #[must_use]
    pub fn is_command(&self) -> bool {
        matches!(self, Self::RunHook { .. } | Self::RunGate { .. })
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
            Self::Restart { host, .. } => format!("{host}/restart"),
            Self::StopGuest { guest, host } => format!("{host}/stop/{guest}"),
            Self::StartGuest { guest, host } => format!("{host}/start/{guest}"),
            Self::Place { guest, .. } => format!("pool/place/{guest}"),
            Self::RunHook { hook, stage, host } => format!("{host}/hook/{stage}/{hook}"),
            Self::RunGate { gate, wave } => format!("pool/gate/{wave}/{gate}"),
            Self::Mend { fix } => format!("pool/mend/{}", fix.key()),
            Self::Unmend { fix } => format!("pool/unmend/{}", fix.key()),
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
            Self::Restart { host, .. } => write!(f, "reboot {host} as it is"),
            Self::StopGuest { guest, host } => write!(f, "shut {guest} down on {host}"),
            Self::StartGuest { guest, host } => write!(f, "start {guest} on {host}"),
            Self::Place { guest, from, to } => write!(f, "place {guest}, now on {from}, on {to}"),
            Self::RunHook { hook, stage, host } => write!(f, "{stage} hook {hook} for {host}"),
            Self::RunGate { gate, wave } => write!(f, "gate {gate} after wave {wave}"),
            Self::Mend { fix } => write!(f, "{fix}"),
            Self::Unmend { fix } => write!(f, "take back: {fix}"),
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
