//! Who left a foreign file there.

use serde::Serialize;

/// Whose kind of file it is, by its name. Only for words: that it is foreign was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaver {
    /// A Mac that mounted the volume.
    Macos,
    /// A Windows machine that mounted the volume.
    Windows,
    /// A Linux desktop that mounted the volume.
    Linux,
    /// A repair program that put lost clusters into a file.
    Repair,
    /// A save of the host's state that did not come to its end.
    Save,
    /// Nobody who is known.
    Unknown,
}

impl Leaver {
    /// Judges by the first part of a path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let first = path.split('/').next().unwrap_or_default().to_ascii_lowercase();
        let begins = |front: &str| first.starts_with(front);
        let extension = first.rsplit_once('.').map_or("", |(_, extension)| extension);
        match first.as_str() {
            ".spotlight-v100"
            | ".trashes"
            | ".fseventsd"
            | ".ds_store"
            | ".temporaryitems"
            | ".apdisk"
            | ".documentrevisions-v100"
            | ".volumeicon.icns"
            | ".metadata_never_index" => Self::Macos,
            _ if begins("._") => Self::Macos,
            "system volume information"
            | "$recycle.bin"
            | "recycler"
            | "thumbs.db"
            | "desktop.ini"
            | "autorun.inf"
            | "wpsettings.dat" => Self::Windows,
            "lost+found" => Self::Linux,
            _ if begins(".trash-") => Self::Linux,
            _ if begins("found.") || (begins("fsck") && extension == "rec") => Self::Repair,
            _ if begins("file") && extension == "chk" => Self::Repair,
            _ if begins("state.") || begins("local.tgz") => Self::Save,
            _ => Self::Unknown,
        }
    }

    /// A clause for a sentence about the file; empty when nothing is known.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Macos => ", left by a Mac that mounted the volume",
            Self::Windows => ", left by a Windows machine that mounted the volume",
            Self::Linux => ", left by a Linux desktop that mounted the volume",
            Self::Repair => ", made by a repair program out of lost clusters",
            Self::Save => ", left by a save of the host's state that did not come to its end",
            Self::Unknown => "",
        }
    }
}
