//! A backup that was read and found whole.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lifeboat_model::Sha256Hex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::stream::{INDEX_LIMIT, MAGIC, PREAMBLE, SECTION_LIMIT, WINDOW_LOG};
use super::{FORM, FormError, Index, Kind, Record, SCHEMA, SectionInfo, SectionReader};
use crate::path::RelPath;

/// A backup of which every byte was verified, by digest and by form.
#[derive(Debug)]
pub struct Backup {
    file: Arc<File>,
    path: PathBuf,
    index: Index,
    sha256: Sha256Hex,
}

/// One path of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathLine {
    /// The section.
    pub section: String,
    /// The path.
    pub path: RelPath,
    /// What it is.
    pub what: &'static str,
    /// Bytes of a file.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Reader of a section.
pub(crate) type Section = SectionReader<Decoder<'static, BufReader<Range>>>;

impl Backup {
    /// Opens a file and verifies it to its last byte.
    pub fn open(path: &Path) -> Result<Self, FormError> {
        let file = File::open(path).map_err(FormError::io("opening", path))?;
        Self::verify(file, path)
    }

    /// Verifies an open file to its last byte; `path` is its name in errors.
    pub fn verify(file: File, path: &Path) -> Result<Self, FormError> {
        let metadata = file.metadata().map_err(FormError::io("looking at", path))?;
        if !metadata.is_file() {
            return Err(FormError::NotABackup { path: path.to_owned() });
        }
        let file = Arc::new(file);
        let index = read_index(&file, path, metadata.len())?;
        let backup = Self { file, path: path.to_owned(), index, sha256: Sha256Hex([0; 32]) };
        let sha256 = backup.check_digests(metadata.len())?;
        for section in &backup.index.sections {
            let mut reader = backup.read(section)?;
            while reader.next()?.is_some() {}
        }
        Ok(Self { sha256, ..backup })
    }

    /// What it is, of which host, and its sections.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the whole file.
    pub fn sha256(&self) -> Sha256Hex {
        self.sha256
    }

    /// Where its sections end and its index begins.
    fn end_of_sections(&self) -> u64 {
        self.index.sections.last().map_or(PREAMBLE, |last| last.offset + last.stored)
    }

    /// Reads a section from its beginning; none if the backup does not have it.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Section>, FormError> {
        self.index.section(name).map(|section| self.read(section)).transpose()
    }

    /// A document of a section; none if it does not have it.
    pub fn document<T: DeserializeOwned>(
        &self,
        section: &str,
        document: &str,
    ) -> Result<Option<T>, FormError> {
        let Some(mut reader) = self.section(section)? else { return Ok(None) };
        while let Some(Record::Document { name, bytes }) = reader.next()? {
            if name == document {
                let parsed = serde_json::from_slice(&bytes).map_err(|source| FormError::Json {
                    what: format!("document {document}"),
                    path: self.path.clone(),
                    source,
                })?;
                return Ok(Some(parsed));
            }
        }
        Ok(None)
    }

    /// Every path, section by section, without folders that only lead to others.
    pub fn paths(&self) -> Result<Vec<PathLine>, FormError> {
        let mut lines = Vec::new();
        for section in &self.index.sections {
            let mut reader = self.read(section)?;
            while let Some(record) = reader.next()? {
                let Record::Entry(entry) = record else { continue };
                if entry.kind == Kind::OnTheWay {
                    continue;
                }
                lines.push(PathLine {
                    section: section.name.clone(),
                    what: entry.kind.word(),
                    bytes: if let Kind::File { len } = entry.kind { len } else { 0 },
                    mode: entry.meta.mode,
                    uid: entry.meta.uid,
                    gid: entry.meta.gid,
                    path: entry.path,
                });
            }
        }
        Ok(lines)
    }

    fn read(&self, section: &SectionInfo) -> Result<Section, FormError> {
        let range = Range { file: Arc::clone(&self.file), at: section.offset, left: section.stored };
        let unpack = || {
            let mut decoder = Decoder::new(range)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Ok(decoder)
        };
        let decoder = unpack().map_err(FormError::io("unpacking", &self.path))?;
        Ok(SectionReader::new(decoder, self.path.clone(), section.name.clone(), section.unpacked))
    }

    fn check_digests(&self, len: u64) -> Result<Sha256Hex, FormError> {
        let mut whole = Sha256::new();
        let mut hash = |offset, stored, mut inner: Option<&mut Sha256>| -> Result<(), FormError> {
            let mut range = Range { file: Arc::clone(&self.file), at: offset, left: stored };
            let mut piece = vec![0; 1 << 17];
            loop {
                let n = range.read(&mut piece).map_err(FormError::io("reading", &self.path))?;
                let bytes = piece.get(..n).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                whole.update(bytes);
                if let Some(inner) = &mut inner {
                    inner.update(bytes);
                }
            }
        };
        hash(0, PREAMBLE, None)?;
        for section in &self.index.sections {
            let mut hasher = Sha256::new();
            hash(section.offset, section.stored, Some(&mut hasher))?;
            if Sha256Hex(hasher.finalize().into()) != section.sha256 {
                return Err(damaged(&self.path, format!("section {} has another digest", section.name)));
            }
        }
        let end = self.end_of_sections();
        hash(end, len.saturating_sub(end), None)?;
        Ok(Sha256Hex(whole.finalize().into()))
    }
}

fn damaged(path: &Path, what: impl Into<String>) -> FormError {
    FormError::Damaged { path: path.to_owned(), what: what.into() }
}

fn read_index(file: &Arc<File>, path: &Path, len: u64) -> Result<Index, FormError> {
    let mut head = Vec::new();
    let mut range = Range { file: Arc::clone(file), at: 0, left: PREAMBLE };
    range.read_to_end(&mut head).map_err(FormError::io("reading", path))?;
    let (magic, rest) = head.split_at_checked(8).unwrap_or((&[], &[]));
    if magic != MAGIC {
        return Err(FormError::NotABackup { path: path.to_owned() });
    }
    let cut = || damaged(path, "it ends within its first 64 bytes");
    let (form, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let form = u32::from_le_bytes(*form);
    if form > FORM {
        return Err(FormError::Newer { path: path.to_owned(), found: form, known: FORM });
    }
    let (zero, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let (at, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    let (size, rest) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
    let digest = rest.first_chunk::<32>().ok_or_else(cut)?;
    let (at, size) = (u64::from_le_bytes(*at), u64::from_le_bytes(*size));
    if form == 0 || *zero != [0; 4] {
        return Err(damaged(path, "its form is not one"));
    }
    if size > INDEX_LIMIT || at < PREAMBLE || at.checked_add(size) != Some(len) {
        return Err(damaged(
            path,
            format!("its index should end it, and it has {len} bytes: it was cut or added to"),
        ));
    }
    let mut json = Vec::new();
    let mut range = Range { file: Arc::clone(file), at, left: size };
    range.read_to_end(&mut json).map_err(FormError::io("reading", path))?;
    if Sha256Hex::of(&json).0 != *digest {
        return Err(damaged(path, "its index has another digest"));
    }
    let index: Index = serde_json::from_slice(&json).map_err(|source| FormError::Json {
        what: "the index".to_owned(),
        path: path.to_owned(),
        source,
    })?;
    check_index(&index, path, at)?;
    Ok(index)
}

/// The sections lie one behind the other, without a gap in which something could hide.
fn check_index(index: &Index, path: &Path, end: u64) -> Result<(), FormError> {
    if index.schema != SCHEMA {
        return Err(damaged(path, format!("its index has schema {:?}, not {SCHEMA}", index.schema)));
    }
    if index.sections.len() > SECTION_LIMIT {
        return Err(FormError::TooLarge { what: "sections", limit: SECTION_LIMIT as u64 });
    }
    let mut at = PREAMBLE;
    for (i, section) in index.sections.iter().enumerate() {
        if section.offset != at || index.sections.iter().take(i).any(|other| other.name == section.name) {
            return Err(damaged(path, format!("section {} does not lie where it should", section.name)));
        }
        at = at.checked_add(section.stored).ok_or_else(|| damaged(path, "a section has no end"))?;
    }
    if at == end { Ok(()) } else { Err(damaged(path, "its sections do not reach to its index")) }
}

/// Some bytes of a file, read without moving anybody else's place in it.
#[derive(Debug)]
pub(crate) struct Range {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(buffer.get_mut(..want).unwrap_or_default(), self.at)?;
        self.at += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}
