//! Automatisms of a pool that must be suspended during a roll and restored after it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which automatism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureKind {
    /// High availability: guests of a lost host are started elsewhere.
    Ha,
    /// Admission control of HA: keeps room free, and so keeps a host from entering maintenance (I-01).
    HaAdmissionControl,
    /// Power management: switches idle hosts off (I-02).
    PowerManagement,
    /// Moves guests by load.
    LoadBalancer,
    /// A second copy of a guest in lock step.
    FaultTolerance,
    /// Backups that start by the clock.
    BackupSchedules,
    /// Starts guests with their host.
    AutoPowerOn,
}

impl FeatureKind {
    /// The word that people read; the same as in files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ha => "ha",
            Self::HaAdmissionControl => "ha-admission-control",
            Self::PowerManagement => "power-management",
            Self::LoadBalancer => "load-balancer",
            Self::FaultTolerance => "fault-tolerance",
            Self::BackupSchedules => "backup-schedules",
            Self::AutoPowerOn => "auto-power-on",
        }
    }
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A feature as the pool has it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureView {
    /// Which one.
    pub kind: FeatureKind,
    /// Its setting in the driver's own words; [`FeatureView::OFF`] when it is not active.
    pub value: String,
}

impl FeatureView {
    /// The value of a feature that is not active.
    pub const OFF: &'static str = "off";

    /// Whether the feature would interfere with a roll.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.value != Self::OFF
    }
}
