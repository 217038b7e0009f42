//! Acceptance levels.
//!
//! Owns: [`Level`], in the words of descriptors and of command outputs. Promises: a higher level compares greater.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who stands for a VIB. The level in a descriptor is only a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nobody: `CommunitySupported`.
    Community,
    /// A partner: `PartnerSupported`.
    Partner,
    /// A partner, tested: `VMwareAccepted`.
    Accepted,
    /// Tested by the product's maker: `VMwareCertified`.
    Certified,
}

impl Level {
    /// As a descriptor writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Community => "community",
            Self::Partner => "partner",
            Self::Accepted => "accepted",
            Self::Certified => "certified",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Level {
    type Err = String;

    /// Both spellings, without regard to case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "community" | "communitysupported" => Ok(Self::Community),
            "partner" | "partnersupported" => Ok(Self::Partner),
            "accepted" | "vmwareaccepted" => Ok(Self::Accepted),
            "certified" | "vmwarecertified" => Ok(Self::Certified),
            _ => Err(format!(
                "{text:?} is not an acceptance level; there are community, partner, accepted, certified"
            )),
        }
    }
}
