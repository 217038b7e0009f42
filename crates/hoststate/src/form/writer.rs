//! Writing a backup: packed sections one after another, then the index, then the preamble that makes it one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lifeboat_model::Sha256Hex;
use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;

use super::stream::{
    DOCUMENT_LIMIT, ENTRY_LIMIT, FILE_LIMIT, INDEX_LIMIT, MAGIC, PIECE_LIMIT, PREAMBLE, SECTION_LIMIT, kind,
};
use super::{Entry, FORM, FormError, Index, Kind, SectionInfo};

/// [`PREAMBLE`] as a length in memory.
const HEAD: usize = 64;
/// Level of compression: above it, the processor costs more than the disk gives.
const LEVEL: i32 = 3;

/// A file that gets its name when it is whole.
#[derive(Debug)]
pub struct FileMaker {
    beside: PathBuf,
    path: PathBuf,
}

impl FileMaker {
    /// Begins a file that nobody but its owner may read, since state holds secrets. A file of this name is replaced in the
    /// end.
    pub fn begin(path: &Path) -> Result<(Self, File), FormError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        // One that a killed run left behind, or a link that somebody put there.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FormError::io("removing", &beside)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&beside);
        let file = file.map_err(FormError::io("creating", &beside))?;
        Ok((Self { beside, path: path.to_owned() }, file))
    }

    /// Makes the file durable, names it, and makes the name durable.
    pub fn name(self, file: &File) -> Result<(), FormError> {
        file.sync_all().map_err(FormError::io("flushing", &self.beside))?;
        fs::rename(&self.beside, &self.path).map_err(FormError::io("naming", &self.path))?;
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let sync = File::open(folder).and_then(|folder| folder.sync_all());
        sync.map_err(FormError::io("flushing the folder", folder))
    }

    /// Throws the file away.
    pub fn discard(self) {
        // What cannot be removed has no name that anybody reads.
        drop(fs::remove_file(&self.beside));
    }
}

/// Writes a backup, section by section.
#[derive(Debug)]
pub struct BackupWriter {
    file: File,
    path: PathBuf,
    at: u64,
    sections: Vec<SectionInfo>,
}

impl BackupWriter {
    /// Begins a backup in an empty file; `path` is its name in errors.
    pub fn new(mut file: File, path: &Path) -> Result<Self, FormError> {
        // Zeros are no backup: it becomes one with its last write.
        file.write_all(&[0; HEAD]).map_err(FormError::io("writing", path))?;
        Ok(Self { file, path: path.to_owned(), at: PREAMBLE, sections: Vec::new() })
    }

    /// Begins a section.
    pub fn section(self, name: &str) -> Result<SectionWriter, FormError> {
        if self.sections.len() >= SECTION_LIMIT {
            return Err(FormError::TooLarge { what: "sections", limit: SECTION_LIMIT as u64 });
        }
        let io = FormError::io("packing for", &self.path);
        let path = self.path.clone();
        let info = SectionInfo {
            name: name.to_owned(),
            offset: self.at,
            stored: 0,
            sha256: Sha256Hex([0; 32]),
            unpacked: 0,
            entries: 0,
            documents: 0,
            content: 0,
        };
        let packed = Packed { writer: self, hasher: Sha256::new(), stored: 0 };
        let out = Encoder::new(packed, LEVEL).map_err(io)?;
        Ok(SectionWriter { out, path, info, file: None })
    }

    /// Writes the index, with its sections filled in, and then the preamble; both are durable. Gives the file back.
    pub fn finish(mut self, mut index: Index) -> Result<(File, Index), FormError> {
        index.sections = std::mem::take(&mut self.sections);
        let json = serde_json::to_vec(&index).map_err(|source| FormError::Json {
            what: "the index".to_owned(),
            path: self.path.clone(),
            source,
        })?;
        if json.len() as u64 > INDEX_LIMIT {
            return Err(FormError::TooLarge { what: "bytes of index", limit: INDEX_LIMIT });
        }
        let mut head = Vec::with_capacity(HEAD);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&FORM.to_le_bytes());
        head.extend_from_slice(&0_u32.to_le_bytes());
        head.extend_from_slice(&self.at.to_le_bytes());
        head.extend_from_slice(&(json.len() as u64).to_le_bytes());
        head.extend_from_slice(&Sha256Hex::of(&json).0);
        let mut write = || {
            self.file.write_all(&json)?;
            self.file.sync_all()?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&head)?;
            self.file.sync_all()
        };
        write().map_err(FormError::io("writing", &self.path))?;
        Ok((self.file, index))
    }
}

/// What the compressor writes into: counts and hashes.
struct Packed {
    writer: BackupWriter,
    hasher: Sha256,
    stored: u64,
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.writer.file.write(bytes)?;
        self.hasher.update(bytes.get(..n).unwrap_or_default());
        self.stored += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.file.flush()
    }
}

/// Writes one section: documents and entries, a folder before what lies in it.
pub struct SectionWriter {
    out: Encoder<'static, Packed>,
    path: PathBuf,
    info: SectionInfo,
    file: Option<Open>,
}

/// The file whose content is being written.
struct Open {
    len: u64,
    at: u64,
    hasher: Sha256,
}

impl std::fmt::Debug for SectionWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SectionWriter").field("section", &self.info.name).finish_non_exhaustive()
    }
}

impl SectionWriter {
    /// Adds a document; documents come before entries.
    pub fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), FormError> {
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Err(FormError::TooLarge { what: "bytes of document", limit: DOCUMENT_LIMIT });
        }
        self.info.documents += 1;
        self.put(&[kind::DOCUMENT])?;
        self.put(&short(name.len(), "bytes of a document's name")?.to_le_bytes())?;
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(name.as_bytes())?;
        self.put(bytes)
    }

    /// Adds an entry. For a file, its content follows: [`SectionWriter::piece`] and [`SectionWriter::end_file`].
    pub fn entry(&mut self, entry: &Entry) -> Result<(), FormError> {
        self.info.entries += 1;
        if self.info.entries > ENTRY_LIMIT {
            return Err(FormError::TooLarge { what: "entries", limit: ENTRY_LIMIT });
        }
        let pair = |major: u32, minor: u32| (u64::from(major) << 32) | u64::from(minor);
        let (code, size, tail): (u8, u64, &[u8]) = match &entry.kind {
            Kind::Directory => (kind::DIRECTORY, 0, &[]),
            Kind::OnTheWay => (kind::ON_THE_WAY, 0, &[]),
            Kind::File { len } => (kind::FILE, *len, &[]),
            Kind::Link { target } => (kind::LINK, target.len() as u64, target),
            Kind::HardLink { first } => (kind::HARD_LINK, first.as_bytes().len() as u64, first.as_bytes()),
            Kind::Fifo => (kind::FIFO, 0, &[]),
            Kind::CharDevice { major, minor } => (kind::CHAR_DEVICE, pair(*major, *minor), &[]),
            Kind::BlockDevice { major, minor } => (kind::BLOCK_DEVICE, pair(*major, *minor), &[]),
        };
        if code == kind::FILE && size > FILE_LIMIT {
            return Err(FormError::TooLarge { what: "bytes of a file", limit: FILE_LIMIT });
        }
        let path = entry.path.as_bytes();
        let meta = entry.meta;
        self.put(&[code])?;
        self.put(&short(path.len(), "bytes of a path")?.to_le_bytes())?;
        for number in [meta.mode, meta.uid, meta.gid] {
            self.put(&number.to_le_bytes())?;
        }
        self.put(&meta.seconds.to_le_bytes())?;
        self.put(&meta.nanos.to_le_bytes())?;
        self.put(&short(entry.xattrs.len(), "extended attributes")?.to_le_bytes())?;
        self.put(&size.to_le_bytes())?;
        self.put(path)?;
        for xattr in &entry.xattrs {
            self.put(&short(xattr.name.len(), "bytes of an attribute's name")?.to_le_bytes())?;
            let len = u32::try_from(xattr.value.len());
            let len =
                len.map_err(|_| FormError::TooLarge { what: "bytes of an attribute", limit: 1 << 16 })?;
            self.put(&len.to_le_bytes())?;
            self.put(&xattr.name)?;
            self.put(&xattr.value)?;
        }
        self.put(tail)?;
        self.file = (code == kind::FILE).then(|| Open { len: size, at: 0, hasher: Sha256::new() });
        Ok(())
    }

    /// Adds content of the file at `offset`; what lies between pieces is a hole.
    pub fn piece(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormError> {
        let mut at = offset;
        for part in bytes.chunks(PIECE_LIMIT) {
            let Some(open) = &mut self.file else { return Err(self.misused("content without a file")) };
            let end = at.saturating_add(part.len() as u64);
            if at < open.at || end > open.len {
                return Err(self.misused("content outside of the file"));
            }
            hash_hole(&mut open.hasher, at - open.at);
            open.hasher.update(part);
            open.at = end;
            self.info.content += part.len() as u64;
            let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.put(&at.to_le_bytes())?;
            self.put(&len.to_le_bytes())?;
            self.put(part)?;
            at = end;
        }
        Ok(())
    }

    /// Ends the content of the file. Gives its digest, holes as zeros.
    pub fn end_file(&mut self) -> Result<Sha256Hex, FormError> {
        let Some(mut open) = self.file.take() else { return Err(self.misused("the end without a file")) };
        hash_hole(&mut open.hasher, open.len - open.at);
        let digest = Sha256Hex(open.hasher.finalize().into());
        self.put(&open.len.to_le_bytes())?;
        self.put(&0_u32.to_le_bytes())?;
        self.put(&digest.0)?;
        Ok(digest)
    }

    /// Ends the section.
    pub fn finish(mut self) -> Result<BackupWriter, FormError> {
        self.put(&[kind::END])?;
        let io = FormError::io("packing for", &self.path);
        let packed = self.out.finish().map_err(io)?;
        let mut writer = packed.writer;
        writer.at += packed.stored;
        writer.sections.push(SectionInfo {
            stored: packed.stored,
            sha256: Sha256Hex(packed.hasher.finalize().into()),
            ..self.info
        });
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), FormError> {
        self.info.unpacked += bytes.len() as u64;
        self.out.write_all(bytes).map_err(FormError::io("writing", &self.path))
    }

    fn misused(&self, what: &str) -> FormError {
        FormError::Refused {
            path: self.path.clone(),
            section: self.info.name.clone(),
            what: format!("{what} was to be written"),
        }
    }
}

fn short(len: usize, what: &'static str) -> Result<u16, FormError> {
    u16::try_from(len).map_err(|_| FormError::TooLarge { what, limit: u64::from(u16::MAX) })
}

/// Hashes a hole as the zeros that a reader of the file sees.
pub(super) fn hash_hole(hasher: &mut Sha256, mut len: u64) {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    while len > 0 {
        let n = usize::try_from(len).unwrap_or(usize::MAX).min(ZEROS.len());
        hasher.update(ZEROS.get(..n).unwrap_or_default());
        len -= n as u64;
    }
}
