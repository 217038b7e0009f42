//! A read-only reader of volumes that anybody may have written.

mod chain;
mod dir;
mod header;

use std::io;

use lifeboat_model::io::ReadAt;
use thiserror::Error;

use self::dir::Found;
use self::header::Header;

/// Deepest path that is followed.
const MAX_DEPTH: usize = 16;

/// A FAT12, FAT16 or FAT32 volume inside a disk.
#[derive(Clone)]
pub struct FatVolume<'a> {
    disk: &'a dyn ReadAt,
    base: u64,
    header: Header,
}

/// A run of bytes on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First byte on the disk (not on the volume).
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// Where a file lies: its bytes in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpan {
    /// Bytes of the file.
    pub len: u64,
    /// Runs that together have `len` bytes.
    pub extents: Vec<Extent>,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FatEntry {
    /// Long name if there is one, else the 8.3 name.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes of a file; 0 for a directory.
    pub len: u64,
}

/// Why a volume or a file on it could not be read.
#[derive(Debug, Error)]
pub enum FatReadError {
    /// The disk failed.
    #[error("reading the FAT volume at byte {offset} of the disk")]
    Io {
        /// Where.
        offset: u64,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// The first sector is not that of a usable FAT volume.
    #[error("no FAT volume: {reason}")]
    NotFat {
        /// What is wrong with it.
        reason: String,
    },
    /// No such file.
    #[error("no file {path:?} on the FAT volume")]
    NotFound {
        /// The path asked for.
        path: String,
    },
    /// A directory was asked for as a file, or a file as a directory.
    #[error("{path:?} on the FAT volume is {is}")]
    WrongKind {
        /// The path.
        path: String,
        /// What it is.
        is: &'static str,
    },
    /// The file is larger than the reader of it allows.
    #[error("{path:?} on the FAT volume has {len} bytes; at most {limit} are read")]
    TooLarge {
        /// The path.
        path: String,
        /// Its size by the directory.
        len: u64,
        /// The reader's limit.
        limit: u64,
    },
    /// The structures of the volume contradict each other.
    #[error("the FAT volume is damaged: {reason}")]
    Damaged {
        /// What does not fit.
        reason: String,
    },
}

impl std::fmt::Debug for FatVolume<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FatVolume")
            .field("base", &self.base)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl<'a> FatVolume<'a> {
    /// Opens the volume of `len` bytes that begins at byte `base` of `disk`.
    pub fn open(disk: &'a dyn ReadAt, base: u64, len: u64) -> Result<Self, FatReadError> {
        let mut sector = [0_u8; 512];
        disk.read_at(base, &mut sector).map_err(|source| FatReadError::Io { offset: base, source })?;
        let header = Header::parse(&sector, len).map_err(|reason| FatReadError::NotFat { reason })?;
        Ok(Self { disk, base, header })
    }

    /// Where the file at `path` lies. Parts of the path are divided by `/` or `\`; case does not matter. The chain
    /// has to be exactly as long as the file's size says.
    pub fn locate(&self, path: &str, limit: u64) -> Result<FileSpan, FatReadError> {
        let found = self.walk(path)?;
        if found.is_dir {
            return Err(FatReadError::WrongKind { path: path.to_owned(), is: "a directory" });
        }
        let len = u64::from(found.len);
        if len > limit {
            return Err(FatReadError::TooLarge { path: path.to_owned(), len, limit });
        }
        Ok(FileSpan { len, extents: self.file_extents(found.cluster, len)? })
    }

    /// The whole file at `path`, if it has at most `limit` bytes.
    pub fn read_file(&self, path: &str, limit: u64) -> Result<Vec<u8>, FatReadError> {
        let span = self.locate(path, limit)?;
        let damaged = || FatReadError::Damaged { reason: format!("{path:?} does not fit into memory") };
        let mut out = vec![0_u8; usize::try_from(span.len).map_err(|_| damaged())?];
        let mut rest = out.as_mut_slice();
        for Extent { offset, len } in span.extents {
            let len = usize::try_from(len).map_err(|_| damaged())?;
            let (part, after) = rest.split_at_mut_checked(len).ok_or_else(damaged)?;
            self.disk.read_at(offset, part).map_err(|source| FatReadError::Io { offset, source })?;
            rest = after;
        }
        Ok(out)
    }

    /// The entries of the directory at `path`; the empty path is the root.
    pub fn list(&self, path: &str) -> Result<Vec<FatEntry>, FatReadError> {
        let found = self.walk(path)?;
        if !found.is_dir {
            return Err(FatReadError::WrongKind { path: path.to_owned(), is: "a file" });
        }
        let entries = self.read_dir(found.cluster)?;
        Ok(entries
            .into_iter()
            .filter(|entry| !matches!(entry.short.as_str(), "." | ".."))
            .map(|entry| FatEntry {
                len: if entry.is_dir { 0 } else { u64::from(entry.len) },
                is_dir: entry.is_dir,
                name: entry.long.unwrap_or(entry.short),
            })
            .collect())
    }

    fn walk(&self, path: &str) -> Result<Found, FatReadError> {
        let parts: Vec<&str> = path.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
        let not_found = || FatReadError::NotFound { path: path.to_owned() };
        if parts.len() > MAX_DEPTH {
            return Err(not_found());
        }
        let mut at = Found::root();
        for part in parts {
            if !at.is_dir {
                return Err(not_found());
            }
            let entries = self.read_dir(at.cluster)?;
            at = entries.into_iter().find(|entry| entry.is_named(part)).ok_or_else(not_found)?;
        }
        Ok(at)
    }
}
