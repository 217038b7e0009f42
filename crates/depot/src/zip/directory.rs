//! The central directory (APPNOTE 4.3.12, 4.3.14 to 4.3.16) and the local headers that it leads to.
//!
//! Promises: bounded memory; the directory is where its end record says; members neither overlap nor leave the file;
//! no name stands twice.

use std::collections::BTreeSet;
use std::io;

use lifeboat_model::io::ReadAt;
use thiserror::Error;

use super::member::MemberReader;
use crate::limits::Limits;

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;

/// Largest directory that is read: 65,536 members with long names.
const DIRECTORY_BYTES: u64 = 64 << 20;

/// What is wrong with a zip archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ZipError {
    /// The source failed.
    #[error("reading the zip archive")]
    Read(#[source] io::Error),
    /// No end record.
    #[error("not a zip archive, or its end is missing: there is no end record in the last 64 KiB")]
    NoEnd,
    /// A record that contradicts the file or another record.
    #[error("the {record} at byte {at} is damaged: {what}")]
    Record {
        /// Which kind.
        record: &'static str,
        /// Place.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Several disks.
    #[error("the archive is one of several parts; all parts must be put together first")]
    Parts,
    /// Too many members.
    #[error("the archive says it has {members} members; more than {limit} are not read")]
    TooMany {
        /// What it says.
        members: u64,
        /// The bound.
        limit: usize,
    },
    /// Two members of one name.
    #[error("two members are named {name:?}; which one counts cannot be told")]
    Twice {
        /// The name.
        name: String,
    },
    /// Members that share bytes.
    #[error("member {name:?} overlaps another one, as in archives that are made to unpack without end")]
    Overlap {
        /// The later one.
        name: String,
    },
    /// Something that a bundle has no use for.
    #[error("member {name:?} {what}")]
    Unsupported {
        /// Its name.
        name: String,
        /// Why it cannot be read.
        what: &'static str,
    },
    /// Too long to be held in memory.
    #[error("member {name:?} says it has {size} bytes; more than {limit} are not read")]
    TooLong {
        /// Its name.
        name: String,
        /// What it says.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// No such member.
    #[error("there is no member {name:?}")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The bytes of a member.
    #[error("reading member {name:?}")]
    Member {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// One member, as directory and local header agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, bytes that are not UTF-8 replaced.
    pub name: String,
    /// Bytes as stored.
    pub packed: u64,
    /// Bytes as unpacked.
    pub size: u64,
    pub(super) crc: u32,
    /// 0: stored, 8: deflate.
    pub(super) method: u16,
    pub(super) encrypted: bool,
    header: u64,
    pub(super) data: u64,
}

impl Entry {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// An archive whose directory was read.
#[derive(Debug)]
pub struct Archive<R> {
    pub(super) source: R,
    entries: Vec<Entry>,
}

impl<R: ReadAt> Archive<R> {
    /// Reads the directory and every local header.
    ///
    /// # Errors
    /// See [`ZipError`].
    pub fn open(source: R, limits: &Limits) -> Result<Self, ZipError> {
        let end = find_end(&source)?;
        if end.members > limits.zip_members as u64 {
            return Err(ZipError::TooMany { members: end.members, limit: limits.zip_members });
        }
        let wrong = |what| ZipError::Record { record: "end record", at: end.at, what };
        if end.size > DIRECTORY_BYTES {
            return Err(wrong("the directory is too long"));
        }
        if end.start.checked_add(end.size) != Some(end.at) {
            return Err(wrong("the directory does not end where the end record begins"));
        }
        let bytes = read(&source, end.start, usize::try_from(end.size).unwrap_or(0))?;
        let mut entries = central(&bytes, &end)?;
        let mut names = BTreeSet::new();
        for entry in &entries {
            if !names.insert(entry.name.trim_end_matches('/')) {
                return Err(ZipError::Twice { name: entry.name.clone() });
            }
        }
        for entry in &mut entries {
            entry.data = local(&source, entry, end.start)?;
        }
        let mut by_place: Vec<&Entry> = entries.iter().collect();
        by_place.sort_by_key(|entry| entry.header);
        let mut reached = 0;
        for entry in by_place {
            if entry.header < reached {
                return Err(ZipError::Overlap { name: entry.name.clone() });
            }
            reached = entry.data + entry.packed;
        }
        Ok(Self { source, entries })
    }

    /// The members, in the order of the directory.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The member of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// A member's bytes as a stream, which fails at its end if size or sum are not those of the directory.
    ///
    /// # Errors
    /// [`ZipError::Unsupported`].
    pub fn reader(&self, entry: &Entry) -> Result<MemberReader<&R>, ZipError> {
        MemberReader::new(&self.source, entry)
    }

    /// All bytes of a member.
    ///
    /// # Errors
    /// [`ZipError::TooLong`], [`ZipError::Missing`], or what reading gives.
    pub fn bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>, ZipError> {
        let entry = self.find(name).ok_or_else(|| ZipError::Missing { name: name.to_owned() })?;
        if entry.size > limit {
            return Err(ZipError::TooLong { name: name.to_owned(), size: entry.size, limit });
        }
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut self.reader(entry)?, &mut bytes)
            .map_err(|source| ZipError::Member { name: name.to_owned(), source })?;
        Ok(bytes)
    }
}

struct End {
    at: u64,
    members: u64,
    size: u64,
    start: u64,
}

fn read(source: &impl ReadAt, at: u64, len: usize) -> Result<Vec<u8>, ZipError> {
    let mut bytes = vec![0; len];
    source.read_at(at, &mut bytes).map_err(ZipError::Read)?;
    Ok(bytes)
}

fn le(bytes: &[u8], at: usize, len: usize) -> u64 {
    let field = bytes.get(at..at + len).unwrap_or_default();
    field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn find_end(source: &impl ReadAt) -> Result<End, ZipError> {
    let size = source.size();
    let len = usize::try_from(size.min(22 + 65_535)).unwrap_or(0);
    let tail = read(source, size - len as u64, len)?;
    let is_end = |at: &usize| {
        le(&tail, *at, 4) == u64::from(END)
            && tail.len() - at >= 22
            && at + 22 + usize::try_from(le(&tail, at + 20, 2)).unwrap_or(0) == tail.len()
    };
    let found = (0..tail.len().saturating_sub(21)).rev().find(is_end).ok_or(ZipError::NoEnd)?;
    let at = size - (tail.len() - found) as u64;
    let record = tail.get(found..).unwrap_or_default();
    if le(record, 4, 2) != le(record, 6, 2) || le(record, 8, 2) != le(record, 10, 2) {
        return Err(ZipError::Parts);
    }
    let end = End { at, members: le(record, 10, 2), size: le(record, 12, 4), start: le(record, 16, 4) };
    let large = end.members == 0xffff || end.size == 0xffff_ffff || end.start == 0xffff_ffff;
    match (large, at.checked_sub(20)) {
        (true, Some(locator)) => end64(source, locator, end),
        (true, None) | (false, _) => Ok(end),
    }
}

/// The record for large archives, if there is one; small archives may have full fields by chance.
fn end64(source: &impl ReadAt, locator: u64, end: End) -> Result<End, ZipError> {
    let bytes = read(source, locator, 20)?;
    if le(&bytes, 0, 4) != u64::from(LOCATOR64) {
        return Ok(end);
    }
    let at = le(&bytes, 8, 8);
    let wrong = |what| ZipError::Record { record: "end record of a large archive", at, what };
    if at.checked_add(56).is_none_or(|behind| behind > locator) {
        return Err(wrong("it is not where its locator says"));
    }
    let record = read(source, at, 56)?;
    if le(&record, 0, 4) != u64::from(END64) {
        return Err(wrong("its mark is missing"));
    }
    if le(&record, 16, 4) != le(&record, 20, 4) || le(&record, 24, 8) != le(&record, 32, 8) {
        return Err(ZipError::Parts);
    }
    Ok(End { at, members: le(&record, 32, 8), size: le(&record, 40, 8), start: le(&record, 48, 8) })
}

fn central(bytes: &[u8], end: &End) -> Result<Vec<Entry>, ZipError> {
    let mut entries = Vec::new();
    let mut at = 0;
    for _ in 0..end.members {
        let place = end.start + at as u64;
        let wrong = |what| ZipError::Record { record: "directory entry", at: place, what };
        let head = bytes.get(at..at + 46).ok_or(wrong("the directory ends within it"))?;
        if le(head, 0, 4) != u64::from(CENTRAL) {
            return Err(wrong("its mark is missing"));
        }
        let len = |field: usize| usize::try_from(le(head, field, 2)).unwrap_or(0);
        let (name, extra, comment) = (len(28), len(30), len(32));
        let rest = bytes.get(at + 46..).unwrap_or_default();
        let name_bytes = rest.get(..name).ok_or(wrong("the directory ends within it"))?;
        let extra_bytes = rest.get(name..name + extra).ok_or(wrong("the directory ends within it"))?;
        let mut entry = Entry {
            name: String::from_utf8_lossy(name_bytes).into_owned(),
            packed: le(head, 20, 4),
            size: le(head, 24, 4),
            crc: u32::try_from(le(head, 16, 4)).unwrap_or(0),
            method: u16::try_from(le(head, 10, 2)).unwrap_or(u16::MAX),
            encrypted: le(head, 8, 2) & 1 != 0,
            header: le(head, 42, 4),
            data: 0,
        };
        if entry.name.is_empty() {
            return Err(wrong("it has no name"));
        }
        large_fields(&mut entry, extra_bytes).ok_or(wrong("its fields for large members are cut"))?;
        entries.push(entry);
        at += 46 + name + extra + comment;
    }
    if at == bytes.len() {
        Ok(entries)
    } else {
        let what = "the directory has another length than its entries";
        Err(ZipError::Record { record: "end record", at: end.at, what })
    }
}

/// Fields of 64 bits (APPNOTE 4.5.3), for those that are full.
fn large_fields(entry: &mut Entry, mut extra: &[u8]) -> Option<()> {
    const FULL: u64 = 0xffff_ffff;
    if entry.size != FULL && entry.packed != FULL && entry.header != FULL {
        return Some(());
    }
    while extra.len() >= 4 {
        let len = usize::try_from(le(extra, 2, 2)).ok()?;
        let body = extra.get(4..4 + len)?;
        if le(extra, 0, 2) == 1 {
            let mut at = 0;
            for field in [&mut entry.size, &mut entry.packed, &mut entry.header] {
                if *field == FULL {
                    *field = (body.len() >= at + 8).then(|| le(body, at, 8))?;
                    at += 8;
                }
            }
            return Some(());
        }
        extra = extra.get(4 + len..)?;
    }
    Some(())
}

/// Where a member's bytes begin; its local header must name the same file.
fn local(source: &impl ReadAt, entry: &Entry, directory: u64) -> Result<u64, ZipError> {
    let wrong = |what| ZipError::Record { record: "local header", at: entry.header, what };
    if entry.header.checked_add(30).is_none_or(|behind| behind > directory) {
        return Err(wrong("it is not within the archive"));
    }
    let head = read(source, entry.header, 30)?;
    if le(&head, 0, 4) != u64::from(LOCAL) {
        return Err(wrong("its mark is missing"));
    }
    let (name, extra) = (le(&head, 26, 2), le(&head, 28, 2));
    let data = entry.header + 30 + name + extra;
    if data.checked_add(entry.packed).is_none_or(|behind| behind > directory) {
        return Err(wrong("its member leaves the archive"));
    }
    let name = read(source, entry.header + 30, usize::try_from(name).unwrap_or(0))?;
    if String::from_utf8_lossy(&name) != entry.name {
        return Err(wrong("it names another member than the directory does"));
    }
    Ok(data)
}
