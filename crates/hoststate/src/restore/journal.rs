//! The journal of a restore: one line for each thing that must not be forgotten.
//!
//! Form: `docs/formats/host-state.md`. A line is 16 digits of the SHA-256 of its JSON, a space, the JSON. A line that was cut
//! is the last one, and did not happen.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};

use super::RestoreError;
use crate::form::{FileMaker, FormError, Made};
use crate::root::Section;

/// Longest journal.
const LIMIT: u64 = 1 << 20;
/// Its form.
const SCHEMA: u32 = 1;

/// Which way a restore goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To the state of the backup.
    Forward,
    /// To the state before.
    Back,
}

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// The state of the backup is there.
    Restored,
    /// The state before is there again.
    Undone,
}

/// The first line: what is going to be done. Both files are whole and durable when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Form of the journal.
    pub schema: u32,
    /// Name of this restore.
    pub id: String,
    /// When, and by what program.
    pub made: Made,
    /// The backup.
    pub backup: String,
    /// Its digest.
    pub backup_sha256: Sha256Hex,
    /// Sections.
    pub sections: Vec<Section>,
    /// Digest of the file with what is written.
    pub redo_sha256: Sha256Hex,
    /// Digest of the file with what was there.
    pub undo_sha256: Sha256Hex,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Begun(Box<Begun>),
    Turned(Way),
    Ended(Ended),
}

/// Where a restore stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What was begun.
    pub begun: Begun,
    /// Which way it goes.
    pub way: Way,
    /// How it ended; none if it did not.
    pub ended: Option<Ended>,
}

/// A journal that is written to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

impl Begun {
    pub(super) const fn schema() -> u32 {
        SCHEMA
    }
}

impl Journal {
    /// Begins a journal, in the place of one that ended.
    pub(super) fn begin(path: &Path, begun: &Begun) -> Result<Self, RestoreError> {
        let (maker, mut file) = FileMaker::begin(path)?;
        let line = line(&Line::Begun(Box::new(begun.clone())), path)?;
        file.write_all(line.as_bytes()).map_err(FormError::io("writing", path))?;
        maker.name(&file)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Opens a journal to go on. A line that was cut is cut off.
    pub(super) fn go_on(path: &Path) -> Result<Self, RestoreError> {
        let text = read(path)?.unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let file = OpenOptions::new().append(true).open(path).map_err(FormError::io("opening", path))?;
        file.set_len(whole as u64).map_err(FormError::io("cutting", path))?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub(super) fn turned(&mut self, way: Way) -> Result<(), RestoreError> {
        self.append(&Line::Turned(way))
    }

    pub(super) fn ended(&mut self, ended: Ended) -> Result<(), RestoreError> {
        self.append(&Line::Ended(ended))
    }

    fn append(&mut self, what: &Line) -> Result<(), RestoreError> {
        let line = line(what, &self.path)?;
        let write = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_all());
        Ok(write.map_err(FormError::io("writing", &self.path))?)
    }
}

fn line(what: &Line, path: &Path) -> Result<String, FormError> {
    let json = serde_json::to_string(what).map_err(|source| FormError::Json {
        what: "a line".to_owned(),
        path: path.to_owned(),
        source,
    })?;
    let mut digest = Sha256Hex::of(json.as_bytes()).to_string();
    digest.truncate(16);
    Ok(format!("{digest} {json}\n"))
}

fn read(path: &Path) -> Result<Option<String>, FormError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(metadata) if metadata.len() > LIMIT => {
            return Err(FormError::TooLarge { what: "bytes of journal", limit: LIMIT });
        }
        Ok(_) | Err(_) => {}
    }
    fs::read_to_string(path).map(Some).map_err(FormError::io("reading", path))
}

/// Reads where a restore stands; none if there was none.
pub(super) fn read_standing(path: &Path) -> Result<Option<Standing>, RestoreError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let mut standing: Option<Standing> = None;
    let damaged = |line| RestoreError::Journal { path: path.to_owned(), line };
    for (i, whole) in text.split_inclusive('\n').enumerate() {
        let Some(line) = whole.strip_suffix('\n') else { break };
        let (digest, json) = line.split_once(' ').ok_or_else(|| damaged(i + 1))?;
        if !Sha256Hex::of(json.as_bytes()).to_string().starts_with(digest) || digest.len() != 16 {
            return Err(damaged(i + 1));
        }
        let line: Line = serde_json::from_str(json).map_err(|_| damaged(i + 1))?;
        match (line, &mut standing) {
            (Line::Begun(begun), None) if begun.schema == SCHEMA => {
                standing = Some(Standing { begun: *begun, way: Way::Forward, ended: None });
            }
            (Line::Turned(way), Some(standing)) => {
                standing.way = way;
                standing.ended = None;
            }
            (Line::Ended(ended), Some(standing)) => standing.ended = Some(ended),
            _ => return Err(damaged(i + 1)),
        }
    }
    Ok(standing)
}
