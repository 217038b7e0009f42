//! What was noticed on a disk although the work could go on.

use serde::Serialize;

/// Something a person should know about a boot disk. Findings never stop anything; errors do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stable word for programs, for example `gpt-primary-bad`.
    pub code: &'static str,
    /// What was seen, where, and what follows from it.
    pub text: String,
}

impl Finding {
    /// A finding with a stable code and its text.
    #[must_use]
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}
