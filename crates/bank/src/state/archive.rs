//! Writing an archive. Form: `docs/formats/saved-state.md`.

use std::io::{self, Read, Write};

use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{StateError, check_path};

/// First bytes of an archive.
pub(super) const MAGIC: &[u8; 8] = b"LFSTATE1";
/// The form that is written.
pub const ARCHIVE_VERSION: u32 = 1;
/// Longest header in bytes.
pub(super) const HEADER_LIMIT: u32 = 1 << 16;
/// Numbers of the kinds of entries.
pub(super) const END: u8 = 0;
pub(super) const DIRECTORY: u8 = 1;
pub(super) const FILE: u8 = 2;
pub(super) const LINK: u8 = 3;

/// What an archive is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The bank whose state it is.
    pub from: Bank,
    /// The release that ran in it.
    pub release: Option<ReleaseRef>,
    /// Version of the state, as that release declared it.
    pub version: u32,
    /// The release that it was carried for; another one does not take it.
    pub carried_for: Sha256Hex,
}

/// Owner and mode of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Writes an archive entry by entry; a directory comes before what lies in it.
pub struct ArchiveWriter<W> {
    out: W,
    hasher: Sha256,
}

impl<W> std::fmt::Debug for ArchiveWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveWriter").finish_non_exhaustive()
    }
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    pub fn new(out: W, header: &Header) -> Result<Self, StateError> {
        let json = serde_json::to_vec(header)
            .map_err(|source| StateError::Json { what: "the header of the saved state", source })?;
        let len = u32::try_from(json.len()).unwrap_or(u32::MAX);
        if len > HEADER_LIMIT {
            return Err(StateError::TooLarge { what: "bytes of header", limit: u64::from(HEADER_LIMIT) });
        }
        let mut writer = Self { out, hasher: Sha256::new() };
        writer.put(MAGIC)?;
        writer.put(&ARCHIVE_VERSION.to_le_bytes())?;
        writer.put(&len.to_le_bytes())?;
        writer.put(&json)?;
        Ok(writer)
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &[u8], meta: Meta) -> Result<(), StateError> {
        self.entry(DIRECTORY, path, meta, 0)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &[u8], meta: Meta, target: &[u8]) -> Result<(), StateError> {
        self.entry(LINK, path, meta, target.len() as u64)?;
        self.put(target)
    }

    /// Adds a file of exactly `len` bytes; a source with fewer or more is an error, since it changes while it is read.
    pub fn file(
        &mut self,
        path: &[u8],
        meta: Meta,
        len: u64,
        source: &mut dyn Read,
    ) -> Result<(), StateError> {
        self.entry(FILE, path, meta, len)?;
        let mut left = len;
        let mut piece = vec![0_u8; 1 << 16];
        let changed = || StateError::Write {
            source: io::Error::other(format!(
                "{} changed while it was read; try again",
                String::from_utf8_lossy(path)
            )),
        };
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let part = piece.get_mut(..want).unwrap_or_default();
            source.read_exact(part).map_err(|_| changed())?;
            self.put_bytes(want, &piece)?;
            left -= want as u64;
        }
        match source.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(changed()),
            Err(source) => Err(StateError::Write { source }),
        }
    }

    /// Ends the archive: its digest goes behind it. The caller makes it durable.
    pub fn finish(mut self) -> Result<(W, Sha256Hex), StateError> {
        self.put(&[END])?;
        let digest: [u8; 32] = self.hasher.finalize().into();
        self.out
            .write_all(&digest)
            .and_then(|()| self.out.flush())
            .map_err(|source| StateError::Write { source })?;
        Ok((self.out, Sha256Hex(digest)))
    }

    fn entry(&mut self, kind: u8, path: &[u8], meta: Meta, len: u64) -> Result<(), StateError> {
        check_path(path)?;
        let path_len = u16::try_from(path.len()).unwrap_or(u16::MAX);
        self.put(&[kind])?;
        self.put(&path_len.to_le_bytes())?;
        for number in [meta.mode, meta.uid, meta.gid] {
            self.put(&number.to_le_bytes())?;
        }
        self.put(&len.to_le_bytes())?;
        self.put(path)
    }

    fn put_bytes(&mut self, len: usize, piece: &[u8]) -> Result<(), StateError> {
        self.put(piece.get(..len).unwrap_or_default())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        self.hasher.update(bytes);
        self.out.write_all(bytes).map_err(|source| StateError::Write { source })
    }
}
