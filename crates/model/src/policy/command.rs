//! Commands that a roll runs: hooks around hosts, gates between waves.
//!
//! Owns: their words. Does not: run them; a hook or gate is named by an effect, and the executor runs it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::guests::matches_name;
use crate::{HostId, Millis};

/// Exit code of a hook that means "nothing to do here": the host is skipped with that reason.
pub const NOTHING_TO_DO: i32 = 70;

/// When a hook runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookStage {
    /// For every host of the plan, before anything is suspended or moved.
    Preflight,
    /// When a host's turn has come, before it enters maintenance.
    PreMaintenance,
    /// When it is in maintenance and empty, before the release is brought to it.
    Maintenance,
    /// When it runs the release and serves again.
    PostMaintenance,
}

impl HookStage {
    /// All stages in their order.
    pub const ALL: [Self; 4] =
        [Self::Preflight, Self::PreMaintenance, Self::Maintenance, Self::PostMaintenance];

    /// The word of the policy file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::PreMaintenance => "pre-maintenance",
            Self::Maintenance => "maintenance",
            Self::PostMaintenance => "post-maintenance",
        }
    }
}

impl fmt::Display for HookStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A command that runs for a host at one stage of its turn. It must be able to run twice: a controller that died
/// while it ran runs it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hook {
    /// Its name in plan and journal; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// When it runs.
    pub stage: HookStage,
    /// Program by its absolute path, and its arguments. No shell.
    pub command: Vec<String>,
    /// For these hosts; `*` and `?` as in guest rules. Empty: for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// It is ended after so long, and has failed.
    #[serde(default = "hook_timeout")]
    pub timeout: Millis,
    /// A warning is given after so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_after: Option<Millis>,
}

impl Hook {
    /// Whether the hook runs for this host.
    #[must_use]
    pub fn is_for(&self, host: &HostId) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|pattern| matches_name(pattern, host.as_str()))
    }
}

/// After which waves a gate stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// After the first host only.
    #[default]
    FirstWave,
    /// After every wave but the last.
    EveryWave,
}

/// A command that decides whether the next wave may begin: exit 0 lets it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Gate {
    /// Its name in plan and journal; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Program by its absolute path, and its arguments. No shell.
    pub command: Vec<String>,
    /// After which waves it stands.
    #[serde(default)]
    pub after: After,
    /// One try is ended after so long, and has failed.
    #[serde(default = "hook_timeout")]
    pub timeout: Millis,
    /// Tries in all, before the gate counts as closed.
    #[serde(default = "gate_attempts")]
    pub attempts: u32,
    /// Pause between two tries.
    #[serde(default = "gate_delay")]
    pub delay: Millis,
}

fn hook_timeout() -> Millis {
    Millis::from_secs(300)
}

fn gate_attempts() -> u32 {
    10
}

fn gate_delay() -> Millis {
    Millis::from_secs(30)
}
