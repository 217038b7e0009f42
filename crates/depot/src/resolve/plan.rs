//! Request and answer.
//!
//! Promises: the same depot, host and request give the same answer; everything that stands in the way is told at
//! once. Does not: change anything.

use std::collections::BTreeMap;

use lifeboat_model::{Finding, Severity};
use serde::Serialize;
use thiserror::Error;

use super::fit::{BankShape, Fit, measure};
use super::needs::{Need, look};
use super::relations::check;
use super::select::select;
use crate::depot::Depot;
use crate::descriptor::Platform;
use crate::finding::Code;
use crate::host::Host;
use crate::level::Level;
use crate::version::VibVersion;
use crate::vibid::VibId;

/// Which command of the host the answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// `vib update`: only what is installed, only up.
    VibUpdate,
    /// `vib install`: everything in the depot; may go down.
    VibInstall,
    /// `profile update`: everything in the profile, only up; nothing is removed.
    ProfileUpdate,
    /// `profile install`: exactly the profile; may go down and remove.
    ProfileInstall,
}

impl Mode {
    /// Whether it takes a profile.
    #[must_use]
    pub const fn of_profile(self) -> bool {
        match self {
            Self::VibUpdate | Self::VibInstall => false,
            Self::ProfileUpdate | Self::ProfileInstall => true,
        }
    }

    /// The host's words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::VibUpdate => "vib update",
            Self::VibInstall => "vib install",
            Self::ProfileUpdate => "profile update",
            Self::ProfileInstall => "profile install",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// How.
    pub mode: Mode,
    /// Name of the profile; needed if the depot has several.
    pub profile: Option<String>,
    /// Only these VIBs: `name`, `name:version`, `vendor:name` or `vendor:name:version`; all if empty.
    pub only: Vec<String>,
    /// VIBs may go down.
    pub allow_downgrades: bool,
    /// VIBs may go without a successor.
    pub ok_to_remove: bool,
    /// The lowest level that the host accepts.
    pub host_level: Option<Level>,
    /// Levels that signatures have proved; a claim counts where none is here.
    pub proved: BTreeMap<VibId, Level>,
    /// The host's hardware.
    pub hardware: Option<Platform>,
    /// The bank that the result must fit.
    pub bank: Option<BankShape>,
}

impl Request {
    /// This mode, and nothing else said.
    #[must_use]
    pub const fn new(mode: Mode) -> Self {
        Self {
            mode,
            profile: None,
            only: Vec::new(),
            allow_downgrades: false,
            ok_to_remove: false,
            host_level: None,
            proved: BTreeMap::new(),
            hardware: None,
            bank: None,
        }
    }
}

/// What cannot be asked.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveError {
    /// No profile.
    #[error("the depot holds no image profile, and the mode {mode:?} needs one")]
    NoProfile {
        /// The mode.
        mode: &'static str,
    },
    /// Several profiles.
    #[error("the depot holds {} image profiles: {}", .names.len(), .names.join(", "))]
    WhichProfile {
        /// Their names.
        names: Vec<String>,
    },
    /// Another name.
    #[error("the depot holds no image profile {name:?}; it holds: {}", .names.join(", "))]
    UnknownProfile {
        /// What was asked.
        name: String,
        /// What there is.
        names: Vec<String>,
    },
}

/// How a VIB comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Nothing of its name is there.
    New,
    /// An older one of its name is there.
    Upgrade,
    /// A newer one of its name is there.
    Downgrade,
    /// It replaces one of another name.
    Renamed,
    /// The same version of another vendor is there.
    OtherVendor,
}

/// A VIB that would come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its id.
    pub id: VibId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: VibVersion,
    /// How.
    pub kind: ChangeKind,
    /// What it takes the place of.
    pub instead_of: Vec<VibId>,
    /// Bytes of its payloads, if the descriptor tells all of them.
    pub size: Option<u64>,
    /// Where it lies.
    pub place: String,
}

/// Why a VIB would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum GoneWhy {
    /// Another version of it comes.
    Successor {
        /// Which.
        by: VibId,
    },
    /// A VIB of another name replaces it.
    Replaced {
        /// Which.
        by: VibId,
    },
    /// The profile does not hold it.
    NotInProfile,
}

/// A VIB of the host that would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// Its id.
    pub id: VibId,
    /// Why.
    pub reason: GoneWhy,
}

/// Why a VIB of the depot would be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum SkipWhy {
    /// The host has it.
    Same,
    /// The host has a newer one.
    Newer {
        /// Its version.
        installed: VibVersion,
    },
    /// The host has none of its name, and the mode only updates.
    NotInstalled,
    /// A VIB of the host or of the result replaces it.
    Replaced {
        /// Which.
        by: VibId,
    },
}

/// A VIB of the depot that would be left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// Its id.
    pub id: VibId,
    /// Why.
    pub reason: SkipWhy,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolution {
    /// How.
    pub mode: Mode,
    /// The profile, if the mode takes one.
    pub profile: Option<String>,
    /// VIBs that would come, by name.
    pub installed: Vec<Change>,
    /// VIBs that would go, by name.
    pub removed: Vec<Gone>,
    /// VIBs of the depot that would be left out, by name.
    pub skipped: Vec<Skip>,
    /// VIBs of the host that would stay as they are.
    pub kept: Vec<VibId>,
    /// Whether the host must reboot.
    pub reboot: Need,
    /// Whether the host must be in maintenance mode.
    pub maintenance: Need,
    /// Whether the result fits the bank.
    pub fit: Fit,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
}

impl Resolution {
    /// Whether something stands in the way.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Blocker)
    }

    /// Whether nothing would change.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.installed.is_empty() && self.removed.is_empty()
    }
}

/// Tells what `request` would do to `host`.
///
/// # Errors
/// See [`ResolveError`]; everything else is a finding.
pub fn resolve(depot: &Depot, host: &Host, request: &Request) -> Result<Resolution, ResolveError> {
    let selected = select(depot, host, request)?;
    let mut findings = selected.findings;
    for finding in &depot.findings {
        // Of the depot's own findings, those that would make the answer wrong.
        if finding.code == Code::SameIdOtherPayload.word() {
            findings.push(finding.clone());
        }
    }
    findings.extend(check(&selected.set));
    let (reboot, maintenance, more) =
        look(&selected.set, &selected.installed, &selected.removed, host, request);
    findings.extend(more);
    let (fit, more) = measure(&selected.set, request.bank.as_ref());
    findings.extend(more);
    findings.sort_by(|a, b| {
        b.severity.cmp(&a.severity).then_with(|| a.code.cmp(&b.code)).then_with(|| a.subject.cmp(&b.subject))
    });
    Ok(Resolution {
        mode: request.mode,
        profile: selected.profile,
        installed: selected.installed,
        removed: selected.removed,
        skipped: selected.skipped,
        kept: selected.kept,
        reboot,
        maintenance,
        fit,
        findings,
    })
}
