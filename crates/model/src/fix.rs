//! A change that a check offers as a remedy.
//!
//! Owns: the kinds of remedies that a program can carry out, and what takes each back. Promises: carried out twice, a
//! fix is done once. Does not: decide whether it is wise; a person orders it (`check run --fix`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bank, GuestId, HostId};

/// One remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fix", rename_all = "kebab-case")]
pub enum Fix {
    /// Disconnect a CD image from a guest. Undone by connecting it again.
    EjectMedia {
        /// The guest.
        guest: GuestId,
        /// The image.
        image: String,
    },
    /// Remove files that the bank's own manifest does not name. A copy is kept on the controller's side of the driver;
    /// undone by putting them back.
    CleanBank {
        /// The host.
        host: HostId,
        /// The bank.
        bank: Bank,
        /// Paths within the bank.
        files: Vec<String>,
    },
    /// Make the alternate bank anew from the active one. Cannot be undone: what was there was damaged.
    RebuildBank {
        /// The host.
        host: HostId,
        /// The bank that is made anew; never the active one.
        bank: Bank,
    },
    /// Set a host's clock by this controller's. Cannot be undone.
    SetClock {
        /// The host.
        host: HostId,
        /// Its clock less the controller's, in milliseconds, when it was looked at.
        offset_ms: i64,
    },
    /// Plug a storage's missing paths in again. Undone by nothing: it was so before.
    RescanStorage {
        /// The host.
        host: HostId,
        /// The storage.
        storage: String,
    },
}

impl Fix {
    /// Name of the remedy in journal and listings: the same remedy has the same name.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::EjectMedia { guest, .. } => format!("eject-media/{guest}"),
            Self::CleanBank { host, bank, .. } => format!("clean-bank/{host}/{bank}"),
            Self::RebuildBank { host, bank } => format!("rebuild-bank/{host}/{bank}"),
            Self::SetClock { host, .. } => format!("set-clock/{host}"),
            Self::RescanStorage { host, storage } => format!("rescan-storage/{host}/{storage}"),
        }
    }

    /// Whether the fix can be taken back.
    #[must_use]
    pub fn can_be_undone(&self) -> bool {
        match self {
            Self::EjectMedia { .. } | Self::CleanBank { .. } => true,
            Self::RebuildBank { .. } | Self::SetClock { .. } | Self::RescanStorage { .. } => false,
        }
    }

    /// Whether it is taken back by itself when the roll that it was made for has ended.
    #[must_use]
    pub fn ends_with_roll(&self) -> bool {
        match self {
            Self::EjectMedia { .. } => true,
            Self::CleanBank { .. }
            | Self::RebuildBank { .. }
            | Self::SetClock { .. }
            | Self::RescanStorage { .. } => false,
        }
    }
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EjectMedia { guest, image } => write!(f, "disconnect {image} from guest {guest}"),
            Self::CleanBank { host, bank, files } => {
                let s = if files.len() == 1 { "" } else { "s" };
                write!(f, "remove {} foreign file{s} from bank {bank} of {host}", files.len())
            }
            Self::RebuildBank { host, bank } => {
                write!(f, "rebuild bank {bank} of {host} from bank {}", bank.other())
            }
            Self::SetClock { host, .. } => write!(f, "set the clock of {host}"),
            Self::RescanStorage { host, storage } => write!(f, "plug {storage} of {host} in again"),
        }
    }
}
