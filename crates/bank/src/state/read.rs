//! Reading an archive: hostile until its digest was right.

use std::collections::BTreeMap;
use std::io::{self, Read};

use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};

use super::archive::{ARCHIVE_VERSION, DIRECTORY, END, FILE, HEADER_LIMIT, LINK, MAGIC};
use super::{Header, Meta, StateError, check_path};

/// The most that is taken from an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of all files and links.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 65_536, bytes: 1 << 30 }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file; its bytes follow.
    File {
        /// How many.
        len: u64,
    },
    /// A symbolic link.
    Link {
        /// Where it points; it may point anywhere, and is never followed.
        target: Vec<u8>,
    },
}

/// One entry. Its parent directory came before it, and is a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the tree.
    pub path: Vec<u8>,
    /// Owner and mode; permission bits only.
    pub meta: Meta,
    /// What it is.
    pub kind: Kind,
}

/// Takes what is read. Everything that it took is worth nothing unless [`read_archive`] returned without an error.
pub trait Sink {
    /// An entry begins.
    ///
    /// # Errors
    /// When it cannot be taken; the reading ends then.
    fn entry(&mut self, entry: &Entry) -> io::Result<()>;

    /// The next bytes of the file that began last.
    ///
    /// # Errors
    /// As [`Sink::entry`].
    fn data(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Takes nothing: for checking only.
impl Sink for () {
    fn entry(&mut self, _: &Entry) -> io::Result<()> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

struct Source<'a> {
    input: &'a mut dyn Read,
    hasher: Sha256,
    at: u64,
}

impl Source<'_> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<(), StateError> {
        let at = self.at;
        self.input.read_exact(bytes).map_err(|source| StateError::Read { at, source })?;
        self.hasher.update(&*bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let mut bytes = [0_u8; N];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    fn header(&mut self) -> Result<Header, StateError> {
        if self.array::<8>()? != *MAGIC {
            return Err(StateError::NotAnArchive);
        }
        let version = u32::from_le_bytes(self.array()?);
        if version != ARCHIVE_VERSION {
            return Err(StateError::Newer { found: version, known: ARCHIVE_VERSION });
        }
        let len = u32::from_le_bytes(self.array()?);
        if len > HEADER_LIMIT {
            return Err(StateError::TooLarge { what: "bytes of header", limit: u64::from(HEADER_LIMIT) });
        }
        let mut json = vec![0_u8; len as usize];
        self.take(&mut json)?;
        serde_json::from_slice(&json)
            .map_err(|source| StateError::Json { what: "the header of the saved state", source })
    }
}

/// The header alone, **unverified**: to look which archive this is before it is read whole.
pub fn read_header(input: &mut dyn Read) -> Result<Header, StateError> {
    Source { input, hasher: Sha256::new(), at: 0 }.header()
}

/// Reads an archive to its end, hands every entry to `sink`, and checks its digest, which is returned with the header.
/// Time and memory are bounded by `limits`; on an error the sink's part is to be thrown away.
pub fn read_archive(
    input: &mut dyn Read,
    limits: Limits,
    sink: &mut dyn Sink,
) -> Result<(Header, Sha256Hex), StateError> {
    let mut source = Source { input, hasher: Sha256::new(), at: 0 };
    let header = source.header()?;
    // Path and whether it is a directory.
    let mut seen: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    let mut left = limits.bytes;
    let mut piece = vec![0_u8; 1 << 16];
    loop {
        let [kind] = source.array()?;
        if kind == END {
            break;
        }
        if seen.len() as u64 >= limits.entries {
            return Err(StateError::TooLarge { what: "entries", limit: limits.entries });
        }
        let at = source.at - 1;
        let (entry, len) = read_entry(&mut source, kind, &mut left, limits.bytes)?;
        check_place(&entry, at, &mut seen)?;
        let unpack =
            |source| StateError::Unpack { path: String::from_utf8_lossy(&entry.path).into_owned(), source };
        sink.entry(&entry).map_err(unpack)?;
        let mut rest = len;
        while rest > 0 {
            let want = usize::try_from(rest).unwrap_or(usize::MAX).min(piece.len());
            let part = piece.get_mut(..want).unwrap_or_default();
            source.take(part)?;
            sink.data(part).map_err(unpack)?;
            rest -= want as u64;
        }
    }
    let digest: [u8; 32] = source.hasher.clone().finalize().into();
    let stored: [u8; 32] = source.array()?;
    if digest != stored {
        return Err(StateError::Damaged { reason: "its digest is wrong".to_owned() });
    }
    let at = source.at;
    match source.input.read(&mut [0]) {
        Ok(0) => Ok((header, Sha256Hex(digest))),
        Ok(_) => Err(StateError::Damaged { reason: format!("something follows its end at byte {at}") }),
        Err(error) => Err(StateError::Read { at, source: error }),
    }
}

/// The fields of an entry, and how many bytes of data follow.
fn read_entry(
    source: &mut Source<'_>,
    kind: u8,
    left: &mut u64,
    limit: u64,
) -> Result<(Entry, u64), StateError> {
    let at = source.at - 1;
    let path_len = u16::from_le_bytes(source.array()?);
    let [mode, uid, gid] =
        [source.array::<4>()?, source.array::<4>()?, source.array::<4>()?].map(u32::from_le_bytes);
    let len = u64::from_le_bytes(source.array()?);
    let mut path = vec![0_u8; usize::from(path_len)];
    source.take(&mut path)?;
    check_path(&path)?;
    *left = left.checked_sub(len).ok_or(StateError::TooLarge { what: "bytes", limit })?;
    let damaged = |reason: &str| StateError::Damaged { reason: format!("the entry at byte {at} {reason}") };
    if mode & !0o7777 != 0 {
        return Err(damaged("has a mode that is none"));
    }
    let meta = Meta { mode, uid, gid };
    match kind {
        DIRECTORY if len == 0 => Ok((Entry { path, meta, kind: Kind::Directory }, 0)),
        DIRECTORY => Err(damaged("is a directory with data")),
        FILE => Ok((Entry { path, meta, kind: Kind::File { len } }, len)),
        LINK if (1..=4095).contains(&len) => {
            let mut target = vec![0_u8; usize::try_from(len).unwrap_or(0)];
            source.take(&mut target)?;
            if target.contains(&0) {
                return Err(damaged("is a link whose target holds a NUL"));
            }
            Ok((Entry { path, meta, kind: Kind::Link { target } }, 0))
        }
        LINK => Err(damaged("is a link with an impossible target")),
        _ => Err(damaged("is of no known kind")),
    }
}

/// An entry is new, and lies in a directory of this archive: so nothing can be unpacked through a link.
fn check_place(entry: &Entry, at: u64, seen: &mut BTreeMap<Vec<u8>, bool>) -> Result<(), StateError> {
    let damaged = |reason: &str| {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        Err(StateError::Damaged { reason: format!("the entry {path:?} at byte {at} {reason}") })
    };
    if let Some(slash) = entry.path.iter().rposition(|&byte| byte == b'/') {
        let parent = entry.path.get(..slash).unwrap_or_default();
        if seen.get(parent) != Some(&true) {
            return damaged("lies in no directory that came before it");
        }
    }
    if seen.insert(entry.path.clone(), entry.kind == Kind::Directory).is_some() {
        return damaged("is there twice");
    }
    Ok(())
}
