//! Undo files: where they lie, and how the one that fits a disk is found.
//!
//! Promises: a change begins only after its undo file is whole on stable storage under its name. Does not: remove any;
//! they hold the only copy of what was overwritten.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lifeboat_bank::esx::undo::{UndoError, UndoFile, UndoSink};
use lifeboat_model::io::ReadAt;

use crate::error::{CliError, Kind, file_error};
use crate::files::{FileAt, sync_parent};
use crate::state::StateDir;

/// How the names of undo files end.
const ENDING: &str = "lfundo";

/// An undo file that is being written: it has its name only when it is whole.
pub(super) struct NewUndo {
    file: Option<File>,
    part: PathBuf,
    path: PathBuf,
    whole: Option<FileAt>,
}

impl NewUndo {
    /// At the place that a person gave, or under a new name in the state directory's folder `undo`.
    pub(super) fn create(state: &StateDir, given: Option<&Path>, what: &str) -> Result<Self, CliError> {
        let path = if let Some(path) = given {
            path.to_owned()
        } else {
            let folder = folder(state);
            StateDir::make_dir(&folder)?;
            fresh(&folder, what)
        };
        if path.exists() {
            return Err(taken(&path));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(|source| file_error("writing the undo file", &part, source))?;
        Ok(Self { file: Some(file), part, path, whole: None })
    }

    /// Whether a file could be made at the place that a person gave: for a rehearsal.
    pub(super) fn rehearse(given: Option<&Path>) -> Result<(), CliError> {
        let Some(path) = given else { return Ok(()) };
        if path.exists() {
            return Err(taken(path));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::metadata(folder)
            .map(drop)
            .map_err(|source| file_error("writing the undo file", path, source))
    }

    /// Where it lies when it is whole.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is whole.
    pub(super) fn is_sealed(&self) -> bool {
        self.file.is_none()
    }
}

impl Drop for NewUndo {
    fn drop(&mut self) {
        if self.file.is_some() {
            // It belongs to a change that never began.
            drop(std::fs::remove_file(&self.part));
        }
    }
}

impl UndoSink for NewUndo {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or(io::ErrorKind::InvalidInput)?.write_all(bytes)
    }

    fn seal(&mut self) -> io::Result<()> {
        let file = self.file.take().ok_or(io::ErrorKind::InvalidInput)?;
        file.sync_all()?;
        std::fs::rename(&self.part, &self.path)?;
        sync_parent(&self.path)?;
        self.whole = Some(FileAt::of(file)?);
        Ok(())
    }

    fn reader(&self) -> Option<&dyn ReadAt> {
        self.whole.as_ref().map(|whole| whole as &dyn ReadAt)
    }
}

fn taken(path: &Path) -> CliError {
    CliError::new(Kind::Conflict, format!("{} is there already", path.display()))
        .remedy("give another name; an undo file is never overwritten")
}

fn fresh(folder: &Path, what: &str) -> PathBuf {
    let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
    let name = |number: u32| match number {
        1 => folder.join(format!("{stamp}-{what}.{ENDING}")),
        more => folder.join(format!("{stamp}-{what}-{more}.{ENDING}")),
    };
    (1..=u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(1))
}

/// Where undo files lie unless a person says otherwise.
pub(super) fn folder(state: &StateDir) -> PathBuf {
    state.root().join("undo")
}

/// The undo files of the state directory, the newest first.
pub(super) fn all(state: &StateDir) -> Result<Vec<PathBuf>, CliError> {
    let folder = folder(state);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(file_error("reading", &folder, source)),
    };
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
        .collect();
    // By the time of writing: names have seconds only.
    files.sort_by_key(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok());
    files.reverse();
    Ok(files)
}

/// Opens an undo file; it has to be whole.
pub(super) fn open<'f>(path: &Path, file: &'f FileAt) -> Result<UndoFile<'f>, CliError> {
    UndoFile::open(file).map_err(|cause| undo_error(path, cause))
}

/// What an error of an undo file means for the exit code and for a person.
pub(super) fn undo_error(path: &Path, cause: UndoError) -> CliError {
    let (kind, remedy) = match &cause {
        UndoError::Io { .. } | UndoError::ReadBack { .. } => (
            Kind::Failed,
            "look at the disk's health (dmesg, smartctl); the undo file is kept, undo goes on where it stopped",
        ),
        UndoError::File { .. } => {
            (Kind::Failed, "look at the place where undo files are kept; nothing was written")
        }
        UndoError::NotUndo => (Kind::Usage, "see which there are: lifeboat bank undo --list"),
        UndoError::Newer { .. } => (Kind::Failed, "use the lifeboat that wrote it, or a newer one"),
        UndoError::Damaged { .. } => (Kind::Verification, "use another copy of the file"),
        UndoError::TooLarge { .. } | UndoError::NoTable => {
            (Kind::Failed, "copy the disk whole before you change it")
        }
        UndoError::NoPlace { .. } => {
            (Kind::Conflict, "put the partition table back as it was, for example from your own copy of it")
        }
        UndoError::OtherDisk { .. } => (Kind::Conflict, "name the disk that it belongs to"),
        UndoError::Changed { .. } => (
            Kind::Conflict,
            "look at the bank first (lifeboat bank check); add --force if what was there before the change is wanted",
        ),
    };
    CliError::new(kind, format!("the undo file {}", path.display())).because(cause).remedy(remedy)
}
