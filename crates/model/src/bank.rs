//! Words for the two system images of a host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identity of a bank. Which of the two is *active* is a role, and is said beside the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Bank {
    /// The first bank.
    A,
    /// The second bank.
    B,
}

impl Bank {
    /// Both banks in the order of their identity.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The bank that this one is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 0 for A, 1 for B: position in records that hold both.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

impl FromStr for Bank {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "A" | "a" => Ok(Self::A),
            "B" | "b" => Ok(Self::B),
            other => Err(format!("{other:?} is not a bank; a bank is A or B")),
        }
    }
}

/// What is known about the content of a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BankState {
    /// Nothing was ever installed.
    Empty,
    /// A write began and did not end, or the content is known to be damaged. Never booted.
    Invalid,
    /// Written and verified byte for byte, not yet booted.
    Upgraded,
    /// The one-shot boot into it was set; the outcome is open.
    Trying,
    /// It booted, passed its health checks and was blessed.
    Good,
    /// It was tried and did not come to its end, or failed its health checks.
    Failed,
}

impl BankState {
    /// The word that people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Invalid => "invalid",
            Self::Upgraded => "upgraded",
            Self::Trying => "trying",
            Self::Good => "good",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for BankState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
