//! Where saved state lies on the state partition.
//!
//! `saved/A.7/` is a live state of bank A: `marker.json` and `tree/`; the one with the highest number counts.
//! `saved/B.carried` is an archive for the next first boot of bank B. `saved/kept/V.state` is the last archive of
//! version V, for a release that knows no newer one.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lifeboat_bank::state::{Declaration, parse_declaration};
use lifeboat_model::{Bank, Sha256Hex};
use serde::{Deserialize, Serialize};

use super::KeepError;

/// `marker.json` of a live state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// 1.
    pub schema: u32,
    /// Version of the state.
    pub version: u32,
    /// The release that it was made for.
    pub release: Sha256Hex,
    /// Digest of the archive that it was made from; none if it began with the defaults.
    pub carried: Option<Sha256Hex>,
    /// What a person should know.
    pub note: String,
}

/// A live state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) number: u64,
    pub(super) folder: PathBuf,
    pub(super) marker: Marker,
}

impl Live {
    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }
}

pub(super) fn saved(state: &Path) -> PathBuf {
    state.join("saved")
}

pub(super) fn carried(state: &Path, bank: Bank) -> PathBuf {
    saved(state).join(format!("{bank}.carried"))
}

pub(super) fn kept(state: &Path, version: u32) -> PathBuf {
    saved(state).join(format!("kept/{version}.state"))
}

/// What the release in this root declares; none if it keeps nothing.
pub(super) fn declaration(etc: &Path) -> Result<Option<Declaration>, KeepError> {
    let path = etc.join("state.json");
    match fs::read(&path) {
        Ok(text) => parse_declaration(&text).map(Some).map_err(KeepError::state(&path)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeepError::File { doing: "reading", path, source }),
    }
}

/// Numbers of the folders `BANK.N`, complete or not.
pub(super) fn numbers(state: &Path, bank: Bank) -> Result<Vec<u64>, KeepError> {
    let folder = saved(state);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(KeepError::File { doing: "reading", path: folder, source }),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(KeepError::file("reading", &folder))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix(&format!("{bank}.")).and_then(|rest| rest.parse::<u64>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The live state of a bank. A folder has its name only when it is complete, so a marker that cannot be read is damage,
/// and the one before it is not taken in silence.
pub(super) fn live(state: &Path, bank: Bank) -> Result<Option<Live>, KeepError> {
    let Some(number) = numbers(state, bank)?.pop() else { return Ok(None) };
    let folder = saved(state).join(format!("{bank}.{number}"));
    let path = folder.join("marker.json");
    let text = fs::read(&path).map_err(KeepError::file("reading", &path))?;
    let marker = serde_json::from_slice(&text).map_err(|error| KeepError::File {
        doing: "reading",
        path: path.clone(),
        source: std::io::Error::other(error),
    })?;
    Ok(Some(Live { number, folder, marker }))
}

/// Brings a folder's names to stable storage.
pub(super) fn sync_folder(folder: &Path) -> Result<(), KeepError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(KeepError::file("flushing", folder))
}

/// Writes a small file that is on stable storage when this returns.
pub(super) fn write_durable(path: &Path, bytes: &[u8]) -> Result<(), KeepError> {
    let mut file = File::create(path).map_err(KeepError::file("creating", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(KeepError::file("writing", path))
}
