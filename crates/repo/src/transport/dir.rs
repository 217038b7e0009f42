//! A repository in a directory.
//!
//! Owns: files under a root. Promises: a file appears whole under its name, after its bytes were flushed
//! (temporary file, fsync, link or rename, fsync of the directory). Does not: follow symbolic links out of the root
//! when it lists; lock others out (see `publish`).

use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::{Body, Key, Put, PutMode, Transport, TransportError};

/// A directory.
#[derive(Debug, Clone)]
pub struct DirTransport {
    root: PathBuf,
}

impl DirTransport {
    /// The directory `root`; it is made by the first put.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn open(&self, key: &Key) -> Result<File, TransportError> {
        let path = self.path(key);
        File::open(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => TransportError::NotFound { at: path.display().to_string() },
            _ => TransportError::Local { doing: "opening", path, source },
        })
    }
}

/// Flushes a directory's names.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Transport for DirTransport {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, TransportError> {
        let mut bytes = Vec::new();
        self.stream(key, limit, &mut bytes)?;
        Ok(bytes)
    }

    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<(), TransportError> {
        self.open(key)?.read_exact_at(buf, offset).map_err(TransportError::local("reading", self.path(key)))
    }

    fn stream(&self, key: &Key, limit: u64, sink: &mut dyn Write) -> Result<u64, TransportError> {
        let file = self.open(key)?;
        let doing = "reading";
        let len = io::copy(&mut file.take(limit.saturating_add(1)), sink)
            .map_err(TransportError::local(doing, self.path(key)))?;
        if len > limit {
            return Err(TransportError::TooLong { at: self.path(key).display().to_string(), limit });
        }
        Ok(len)
    }

    fn put(&self, key: &Key, body: &Body<'_>, mode: PutMode) -> Result<Put, TransportError> {
        let path = self.path(key);
        let dir = path.parent().unwrap_or(&self.root).to_owned();
        let doing = "writing";
        let failed = |source| TransportError::Local { doing, path: path.clone(), source };
        if mode == PutMode::IfAbsent && path.symlink_metadata().is_ok() {
            return Ok(Put::Existed);
        }
        fs::create_dir_all(&dir).map_err(TransportError::local("making the directory", dir.clone()))?;
        // The name begins with a dot: it is no key, and no listing shows it.
        let mut scratch = tempfile::Builder::new().prefix(".put-").tempfile_in(&dir).map_err(failed)?;
        io::copy(&mut body.reader(), scratch.as_file_mut()).map_err(failed)?;
        readable(scratch.as_file()).map_err(failed)?;
        scratch.as_file().sync_all().map_err(failed)?;
        let put = match mode {
            PutMode::Replace => scratch.persist(&path).map(|_| Put::Stored),
            PutMode::IfAbsent => match scratch.persist_noclobber(&path) {
                Ok(_) => Ok(Put::Stored),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Existed),
                Err(error) => Err(error),
            },
        };
        let put = put.map_err(|error| failed(error.error))?;
        sync_dir(&dir).map_err(failed)?;
        Ok(put)
    }

    fn stat(&self, key: &Key) -> Result<Option<u64>, TransportError> {
        match fs::metadata(self.path(key)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TransportError::Local { doing: "looking at", path: self.path(key), source }),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Key>, TransportError> {
        let mut keys = Vec::new();
        let mut todo = vec![String::new()];
        while let Some(below) = todo.pop() {
            let path = self.root.join(&below);
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(source) if source.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(TransportError::Local { doing: "listing", path, source }),
            };
            for entry in entries {
                let entry = entry.map_err(TransportError::local("listing", path.clone()))?;
                let kind = entry.file_type().map_err(TransportError::local("looking at", entry.path()))?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let full = if below.is_empty() { name } else { format!("{below}/{name}") };
                if kind.is_dir() && (full.starts_with(prefix) || prefix.starts_with(&full)) {
                    todo.push(full);
                } else if kind.is_file()
                    && full.starts_with(prefix)
                    && let Ok(key) = Key::new(full)
                {
                    keys.push(key);
                }
            }
        }
        keys.sort();
        Ok(keys)
    }

    fn delete(&self, key: &Key) -> Result<(), TransportError> {
        match fs::remove_file(self.path(key)) {
            Ok(()) => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(TransportError::Local { doing: "removing", path: self.path(key), source }),
        }
    }
}

/// Scratch files are private; what a web server shall give out is not.
fn readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}
