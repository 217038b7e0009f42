//! Reading and writing the files of a person.
//!
//! Promises: what is read has a limit; TOML errors name file, line and column; a file that is replaced has its
//! old content or its new one, also after a power cut. Does not: know what the files mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::{CliError, Kind, file_error};

/// Text of at most `limit` bytes.
pub(crate) fn read_text(path: &Path, what: &str, limit: u64) -> Result<String, CliError> {
    let fail = |source| file_error(&format!("reading {what}"), path, source);
    let mut text = String::new();
    let file = File::open(path).map_err(fail)?;
    file.take(limit + 1).read_to_string(&mut text).map_err(|source| {
        let error = file_error(&format!("reading {what}"), path, source);
        if error.kind() == Kind::Failed {
            error.remedy("give the right file; this one is not text")
        } else {
            error
        }
    })?;
    if text.len() as u64 > limit {
        return Err(CliError::new(Kind::Failed, format!("{} is larger than {limit} bytes", path.display()))
            .remedy(format!("give the right file; {what} is never so large")));
    }
    Ok(text)
}

/// Bytes of a file, at most `limit`.
pub(crate) fn read_bytes(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>, CliError> {
    let fail = |source| file_error(&format!("reading {what}"), path, source);
    let mut bytes = Vec::new();
    File::open(path).map_err(fail)?.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > limit {
        return Err(CliError::new(Kind::Failed, format!("{} is larger than {limit} bytes", path.display()))
            .remedy(format!("give the right file; {what} is never so large")));
    }
    Ok(bytes)
}

/// A plain file that is read at positions.
#[derive(Debug)]
pub(crate) struct FileAt {
    file: File,
    len: u64,
}

impl FileAt {
    /// Opens a file for reading.
    pub(crate) fn open(path: &Path, what: &str) -> Result<Self, CliError> {
        let fail = |source| file_error(&format!("reading {what}"), path, source);
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !metadata.is_file() {
            return Err(CliError::new(Kind::Failed, format!("{} is not a plain file", path.display()))
                .remedy(format!("give {what} as a file")));
        }
        Ok(Self { file, len: metadata.len() })
    }

    /// A file that is open for reading.
    pub(crate) fn of(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }

    /// The same file, read from its front on.
    pub(crate) fn into_reader(self) -> io::BufReader<File> {
        io::BufReader::new(self.file)
    }
}

impl lifeboat_model::io::ReadAt for FileAt {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }
}

/// A TOML file; an error names line and column.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path, what: &str) -> Result<T, CliError> {
    let text = read_text(path, &format!("the {what}"), 1 << 20)?;
    toml::from_str(&text).map_err(|error| {
        let place = error.span().map(|span| place_of(&text, span.start));
        let place = place.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"));
        CliError::new(
            Kind::Failed,
            format!("{}{place}: the {what} is wrong: {}", path.display(), error.message()),
        )
        .remedy(format!("mend the line, or write the {what} anew"))
    })
}

/// Line and column, from 1, of a byte.
fn place_of(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

/// Writes a file that must not be there yet, durably.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let fail = |source| file_error("writing", path, source);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(fail)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(source) = written {
        // The file is ours and useless; the error that counts is the one of the write.
        drop(std::fs::remove_file(path));
        return Err(fail(source));
    }
    sync_parent(path).map_err(fail)
}

/// Puts a file in the place of an older one: written under a temporary name, flushed, renamed.
pub(crate) fn replace<T, E: Into<ReplaceError>>(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, CliError> {
    let fail = |source| file_error("writing", path, source);
    let temporary = temporary_name(path).map_err(fail)?;
    let open =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(mode).open(&temporary);
    let mut file = open.map_err(fail)?;
    // Two writers of one file: the second one is told, instead of mixing both.
    if file.try_lock().is_err() {
        return Err(CliError::new(
            Kind::Conflict,
            format!("{} is being written by another process", path.display()),
        )
        .remedy("wait until it has ended"));
    }
    file.set_len(0).map_err(fail)?;
    let result = write(&mut file).map_err(|error| error.into().at(path)).and_then(|value| {
        file.sync_all().map_err(fail)?;
        std::fs::rename(&temporary, path).map_err(fail)?;
        sync_parent(path).map_err(fail)?;
        Ok(value)
    });
    if result.is_err() {
        // The temporary file is ours and useless; the error that counts is the first one.
        drop(std::fs::remove_file(&temporary));
    }
    result
}

/// What can fail inside [`replace`].
#[derive(Debug)]
pub(crate) enum ReplaceError {
    /// The file itself.
    Io(io::Error),
    /// What was to be written.
    Content(CliError),
}

impl ReplaceError {
    fn at(self, path: &Path) -> CliError {
        match self {
            Self::Io(source) => file_error("writing", path, source),
            Self::Content(error) => error,
        }
    }
}

impl From<io::Error> for ReplaceError {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

impl From<CliError> for ReplaceError {
    fn from(error: CliError) -> Self {
        Self::Content(error)
    }
}

/// `.NAME.part` beside the file.
fn temporary_name(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it is not a file name"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".part");
    Ok(path.with_file_name(hidden))
}

/// Makes a name durable.
/// Makes the name of a file in its folder durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_replacement_that_fails_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, 0o600, |file| file.write_all(b"old")).unwrap();
        let failed = replace(&path, 0o600, |file| {
            file.write_all(b"half")?;
            Err::<(), _>(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().kind(), Kind::Failed);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        std::fs::write(&path, "attempts = 3\nspill = \"x\"\n").unwrap();
        let error = read_toml::<lifeboat_model::Policy>(&path, "policy").unwrap_err();
        assert!(error.to_string().contains("p.toml:2:9:"), "{error}");
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new(&path, b"1", 0o600).unwrap();
        assert_eq!(write_new(&path, b"2", 0o600).unwrap_err().kind(), Kind::Conflict);
        assert_eq!(std::fs::read(&path).unwrap(), b"1");
    }
}
