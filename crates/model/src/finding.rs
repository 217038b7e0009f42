//! What a check found.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Fix;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The roll can go on; something will be worse than it need be.
    Warning,
    /// Nothing is started before this is mended.
    Blocker,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Blocker => "blocker",
        })
    }
}

/// One result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, documented code, for example `guest-without-target`.
    pub code: String,
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about: a host, a guest, a bank, a file.
    pub subject: String,
    /// What was seen, with the figures.
    pub evidence: String,
    /// What a person can do.
    pub remedy: String,
    /// The remedy as something that `check run --fix` can carry out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What takes the remedy back, and when; none if nothing does or nothing needs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {}: {}. {}", self.severity, self.code, self.subject, self.evidence, self.remedy)
    }
}
