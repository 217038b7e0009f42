//! Reading one section, record by record.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::PathBuf;

use lifeboat_model::Sha256Hex;
use sha2::{Digest as _, Sha256};

use super::stream::{
    DOCUMENT_LIMIT, ENTRY_LIMIT, FILE_LIMIT, PIECE_LIMIT, TARGET_LIMIT, XATTR_LIMIT, XATTR_VALUE_LIMIT, kind,
};
use super::writer::hash_hole;
use super::{Entry, FormError, Kind, Meta, Xattr};
use crate::path::RelPath;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A document about the host.
    Document {
        /// Its name.
        name: String,
        /// Its bytes, JSON.
        bytes: Vec<u8>,
    },
    /// An entry. A file's content is read by [`SectionReader::part`].
    Entry(Entry),
}

/// What comes next of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilePart {
    /// Bytes, now in the buffer, that begin at this offset.
    Piece {
        /// Where in the file.
        offset: u64,
    },
    /// The content is complete, and has this digest.
    End {
        /// SHA-256, holes as zeros.
        sha256: Sha256Hex,
    },
}

/// Reads one section. What it gives out was checked: order, folders, bounds, digests of files.
pub struct SectionReader<R> {
    source: R,
    path: PathBuf,
    section: String,
    /// Bytes that may still come.
    left: u64,
    entries: u64,
    last: Option<RelPath>,
    folders: HashSet<RelPath>,
    files: HashSet<RelPath>,
    open: Option<Open>,
    ended: bool,
}

struct Open {
    len: u64,
    at: u64,
    hasher: Sha256,
}

impl<R> std::fmt::Debug for SectionReader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SectionReader").field("section", &self.section).finish_non_exhaustive()
    }
}

impl<R: Read> SectionReader<R> {
    /// A reader of a section's unpacked stream of `unpacked` bytes.
    pub(super) fn new(source: R, path: PathBuf, section: String, unpacked: u64) -> Self {
        Self {
            source,
            path,
            section,
            left: unpacked,
            entries: 0,
            last: None,
            folders: HashSet::new(),
            files: HashSet::new(),
            open: None,
            ended: false,
        }
    }

    /// The next record; none at the end. Content of a file that was not read is passed over, and checked all the same.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend the content of files")]
    pub fn next(&mut self) -> Result<Option<Record>, FormError> {
        let mut unread = Vec::new();
        while self.open.is_some() {
            self.part(&mut unread)?;
        }
        if self.ended {
            return Ok(None);
        }
        let [code] = self.array()?;
        match code {
            kind::END => {
                self.ended = true;
                if self.left > 0
                    || self.source.read(&mut [0]).map_err(FormError::io("unpacking", &self.path))? > 0
                {
                    return Err(self.refused("something comes behind its end"));
                }
                Ok(None)
            }
            kind::DOCUMENT => self.document().map(Some),
            _ => self.entry(code).map(|entry| Some(Record::Entry(entry))),
        }
    }

    /// The next part of the content of the file whose entry came last; `buffer` holds its bytes.
    pub fn part(&mut self, buffer: &mut Vec<u8>) -> Result<FilePart, FormError> {
        let offset = u64::from_le_bytes(self.array()?);
        let len = u32::from_le_bytes(self.array()?) as usize;
        let Some(mut open) = self.open.take() else { return Err(self.refused("content belongs to no file")) };
        if len == 0 {
            if offset != open.len {
                return Err(self.refused("a file ends before its end"));
            }
            hash_hole(&mut open.hasher, open.len - open.at);
            let sha256 = Sha256Hex(open.hasher.finalize().into());
            if self.array::<32>()? != sha256.0 {
                return Err(self.refused("the content of a file has another digest"));
            }
            return Ok(FilePart::End { sha256 });
        }
        let end = offset.saturating_add(len as u64);
        if len > PIECE_LIMIT || offset < open.at || end > open.len {
            return Err(self.refused("content lies outside of its file"));
        }
        self.bytes(len, buffer)?;
        hash_hole(&mut open.hasher, offset - open.at);
        open.hasher.update(&*buffer);
        open.at = end;
        self.open = Some(open);
        Ok(FilePart::Piece { offset })
    }

    fn document(&mut self) -> Result<Record, FormError> {
        let name_len = usize::from(u16::from_le_bytes(self.array()?));
        let len = u64::from_le_bytes(self.array()?);
        if self.last.is_some() || len > DOCUMENT_LIMIT {
            return Err(self.refused("a document is too long, or stands between entries"));
        }
        let mut name = Vec::new();
        self.bytes(name_len, &mut name)?;
        let name = String::from_utf8(name).map_err(|_| self.refused("the name of a document is not text"))?;
        let mut bytes = Vec::new();
        self.bytes(usize::try_from(len).unwrap_or(usize::MAX), &mut bytes)?;
        Ok(Record::Document { name, bytes })
    }

    fn entry(&mut self, code: u8) -> Result<Entry, FormError> {
        self.entries += 1;
        if self.entries > ENTRY_LIMIT {
            return Err(FormError::TooLarge { what: "entries", limit: ENTRY_LIMIT });
        }
        let path_len = usize::from(u16::from_le_bytes(self.array()?));
        let mode = u32::from_le_bytes(self.array()?);
        let uid = u32::from_le_bytes(self.array()?);
        let gid = u32::from_le_bytes(self.array()?);
        let seconds = i64::from_le_bytes(self.array()?);
        let nanos = u32::from_le_bytes(self.array()?);
        let xattrs = usize::from(u16::from_le_bytes(self.array()?));
        let size = u64::from_le_bytes(self.array()?);
        let mut bytes = Vec::new();
        self.bytes(path_len, &mut bytes)?;
        let path = RelPath::new(&bytes)?;
        if mode > 0o7777 || nanos >= 1_000_000_000 || xattrs > XATTR_LIMIT {
            return Err(self.refused(&format!("{path} has impossible metadata")));
        }
        let xattrs = self.xattrs(xattrs, &path)?;
        let meta = Meta { mode, uid, gid, seconds, nanos };
        let kind = self.kind(code, size, &path)?;
        self.in_order(&path)?;
        match &kind {
            Kind::Directory | Kind::OnTheWay => drop(self.folders.insert(path.clone())),
            Kind::File { len } => {
                self.files.insert(path.clone());
                self.open = Some(Open { len: *len, at: 0, hasher: Sha256::new() });
            }
            _ => {}
        }
        self.last = Some(path.clone());
        Ok(Entry { path, kind, meta, xattrs })
    }

    fn kind(&mut self, code: u8, size: u64, path: &RelPath) -> Result<Kind, FormError> {
        let pair =
            || (u32::try_from(size >> 32).unwrap_or(0), u32::try_from(size & 0xffff_ffff).unwrap_or(0));
        let kind = match code {
            kind::DIRECTORY if size == 0 => Kind::Directory,
            kind::ON_THE_WAY if size == 0 => Kind::OnTheWay,
            kind::FIFO if size == 0 => Kind::Fifo,
            kind::FILE if size <= FILE_LIMIT => Kind::File { len: size },
            kind::LINK if (1..=TARGET_LIMIT).contains(&size) => {
                let mut target = Vec::new();
                self.bytes(usize::try_from(size).unwrap_or(0), &mut target)?;
                if target.contains(&0) {
                    return Err(self.refused(&format!("{path} is a link with a NUL")));
                }
                Kind::Link { target }
            }
            kind::HARD_LINK if size <= TARGET_LIMIT => {
                let mut first = Vec::new();
                self.bytes(usize::try_from(size).unwrap_or(0), &mut first)?;
                let first = RelPath::new(&first)?;
                if !self.files.contains(&first) {
                    return Err(self
                        .refused(&format!("{path} is another name of {first}, which is no file before it")));
                }
                Kind::HardLink { first }
            }
            kind::CHAR_DEVICE => Kind::CharDevice { major: pair().0, minor: pair().1 },
            kind::BLOCK_DEVICE => Kind::BlockDevice { major: pair().0, minor: pair().1 },
            _ => return Err(self.refused(&format!("{path} is of a kind that is not known, or too long"))),
        };
        Ok(kind)
    }

    fn xattrs(&mut self, count: usize, path: &RelPath) -> Result<Vec<Xattr>, FormError> {
        let mut list: Vec<Xattr> = Vec::new();
        for _ in 0..count {
            let name_len = usize::from(u16::from_le_bytes(self.array()?));
            let value_len = u32::from_le_bytes(self.array()?) as usize;
            if !(1..=255).contains(&name_len) || value_len > XATTR_VALUE_LIMIT {
                return Err(self.refused(&format!("{path} has an attribute that is too long")));
            }
            let (mut name, mut value) = (Vec::new(), Vec::new());
            self.bytes(name_len, &mut name)?;
            self.bytes(value_len, &mut value)?;
            if name.contains(&0) || list.last().is_some_and(|last| last.name >= name) {
                return Err(self.refused(&format!("{path} has attributes that are not in order")));
            }
            list.push(Xattr { name, value });
        }
        Ok(list)
    }

    /// A path comes once, and after the folder in which it lies: nothing can be written through a link.
    fn in_order(&self, path: &RelPath) -> Result<(), FormError> {
        if self.last.as_ref().is_some_and(|last| last >= path) {
            return Err(self.refused(&format!("{path} comes twice, or not in order")));
        }
        match path.parent() {
            Some(parent) if !self.folders.contains(&parent) => {
                Err(self.refused(&format!("{path} lies in {parent}, which is no folder of the section")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormError> {
        let mut bytes = [0; N];
        self.take(N as u64)?;
        self.source.read_exact(&mut bytes).map_err(|error| self.cut(error))?;
        Ok(bytes)
    }

    /// Memory grows with what really comes, not with what a length promises.
    fn bytes(&mut self, len: usize, buffer: &mut Vec<u8>) -> Result<(), FormError> {
        self.take(len as u64)?;
        buffer.clear();
        let n = self.source.by_ref().take(len as u64).read_to_end(buffer);
        let n = n.map_err(FormError::io("unpacking", &self.path))?;
        if n < len { Err(self.cut(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
    }

    fn take(&mut self, len: u64) -> Result<(), FormError> {
        match self.left.checked_sub(len) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.refused("it is longer than its index says")),
        }
    }

    fn cut(&self, error: io::Error) -> FormError {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            self.refused("it ends in the middle of an entry")
        } else {
            FormError::io("unpacking", &self.path)(error)
        }
    }

    fn refused(&self, what: &str) -> FormError {
        FormError::Refused { path: self.path.clone(), section: self.section.clone(), what: what.to_owned() }
    }
}
