//! The file `controller.journal`.
//!
//! Owns: the magic `LFCTJRN1`, a version (u32 LE), then records of a length (u32 LE), the CRC-32 of the payload (u32
//! LE) and the payload, JSON: the form of the agent's journal. Promises: a record that a crash cut off at the end is
//! dropped, since nobody was told of it; damage anywhere else is an error with its place, since what is lost there
//! might be a token that was used or a host that was revoked. Does not: know what the entries mean.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::Entry;

const MAGIC: &[u8; 8] = b"LFCTJRN1";
const VERSION: u32 = 1;
const HEAD: usize = 12;
/// What every payload begins with.
const START: &[u8] = br#"{"kind":"#;
/// Longest payload that is believed.
const RECORD_LIMIT: usize = 64 << 20;

/// Why the ledger cannot be used.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The file failed.
    #[error("{doing} the ledger {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is no ledger, or one of a newer version.
    #[error("{} is not a ledger that this lifeboatd knows ({why}); it was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// A record in its middle is damaged.
    #[error(
        "the ledger {} is damaged at byte {at}, and {behind} bytes lie behind it: put the folder back from a backup; to \
         go on with what is before the damage, cut the file there (truncate -s {at}) and revoke what is in doubt",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
        /// Bytes behind it.
        behind: usize,
    },
    /// A record of a newer version.
    #[error("the ledger {} has an entry at byte {at} that this lifeboatd does not know: use the newer one", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
        /// What it is.
        #[source]
        source: serde_json::Error,
    },
    /// An entry is too long.
    #[error("an entry of the ledger would have {bytes} bytes; {RECORD_LIMIT} are allowed")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// An earlier failure could not be taken back.
    #[error("the ledger failed before and is not written any more: restart lifeboatd")]
    Broken,
}

/// An open file that only grows.
#[derive(Debug)]
pub(crate) struct LedgerFile {
    path: PathBuf,
    file: File,
    len: u64,
    broken: bool,
}

impl LedgerFile {
    /// Opens the file at `path`, or makes one; and what it holds.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry>), LedgerError> {
        let failed = |doing| move |source| LedgerError::File { doing, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(failed("opening"))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed("reading"))?;
        if bytes.len() < HEAD {
            // Also one whose head was cut by a crash: nothing was answered before it was whole.
            bytes = head();
            file.set_len(0).map_err(failed("cutting"))?;
            file.seek(SeekFrom::Start(0)).map_err(failed("writing"))?;
            file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed("writing"))?;
            sync_folder(path).map_err(failed("flushing"))?;
        }
        let foreign = |why: &str| LedgerError::Foreign { path: path.to_owned(), why: why.to_owned() };
        if bytes.get(..8) != Some(MAGIC) {
            return Err(foreign("it does not begin with LFCTJRN1"));
        }
        if le_u32(&bytes, 8) != Some(VERSION) {
            return Err(foreign("its version is another one"));
        }
        let (entries, good) = scan(path, &bytes)?;
        let len = good as u64;
        file.set_len(len).map_err(failed("cutting"))?;
        file.seek(SeekFrom::Start(len)).map_err(failed("reading"))?;
        Ok((Self { path: path.to_owned(), file, len, broken: false }, entries))
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds entries, all or none, and returns when they are on stable storage.
    pub(crate) fn append(&mut self, entries: &[&Entry]) -> Result<(), LedgerError> {
        if self.broken {
            return Err(LedgerError::Broken);
        }
        let mut bytes = Vec::new();
        for entry in entries {
            encode(entry, &mut bytes)?;
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // What came half way must not stand before what comes next.
            let back = self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
            self.broken = back.and_then(|_| self.file.sync_data()).is_err();
            return Err(LedgerError::File { doing: "writing", path: self.path.clone(), source });
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Takes the place of the file with these entries.
    pub(crate) fn rewrite(&mut self, entries: &[Entry]) -> Result<(), LedgerError> {
        let beside = self.path.with_extension("journal.new");
        let mut bytes = head();
        for entry in entries {
            encode(entry, &mut bytes)?;
        }
        let failed = |doing| {
            let path = beside.clone();
            move |source| LedgerError::File { doing, path, source }
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&beside).map_err(failed("creating"))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed("writing"))?;
        std::fs::rename(&beside, &self.path).map_err(failed("renaming"))?;
        self.file = file;
        self.len = bytes.len() as u64;
        // Until the folder is flushed a power cut could bring the old file back.
        let flushed = sync_folder(&self.path);
        self.broken = flushed.is_err();
        flushed.map_err(failed("flushing the folder of"))
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn head() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes
}

fn encode(entry: &Entry, bytes: &mut Vec<u8>) -> Result<(), LedgerError> {
    let payload = serde_json::to_vec(entry).unwrap_or_default();
    let too_long = || LedgerError::TooLong { bytes: payload.len() };
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= RECORD_LIMIT);
    bytes.extend_from_slice(&length.ok_or_else(too_long)?.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(())
}

/// Entries, and where the good ones end.
fn scan(path: &Path, bytes: &[u8]) -> Result<(Vec<Entry>, usize), LedgerError> {
    let mut entries = Vec::new();
    let mut at = HEAD;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let length = le_u32(rest, 0).and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| length.checked_add(8)).unwrap_or(usize::MAX);
        let payload = rest.get(8..end);
        let whole = payload.filter(|payload| Some(crc32fast::hash(payload)) == le_u32(rest, 4) && end > 8);
        let Some(payload) = whole else {
            // Cut off: it reaches to the end or beyond, or the file system gave back zeros.
            let cut = end >= rest.len() && !holds_record(rest.get(1..).unwrap_or_default());
            if cut || rest.iter().all(|byte| *byte == 0) {
                return Ok((entries, at));
            }
            return Err(LedgerError::Damaged { path: path.to_owned(), at, behind: rest.len() });
        };
        let entry = serde_json::from_slice(payload);
        entries.push(entry.map_err(|source| LedgerError::Newer { path: path.to_owned(), at, source })?);
        at += end;
    }
    Ok((entries, at))
}

/// Whether a whole record lies somewhere in `bytes`: then what is before it was not cut off, but damaged.
fn holds_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| {
        let rest = bytes.get(at..).unwrap_or_default();
        if !rest.get(8..).is_some_and(|payload| payload.starts_with(START)) {
            return false;
        }
        let length = le_u32(rest, 0).and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        let payload = length.checked_add(8).and_then(|end| rest.get(8..end));
        payload.is_some_and(|payload| Some(crc32fast::hash(payload)) == le_u32(rest, 4))
    })
}

fn le_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..)?.get(..4)?.try_into().ok()?;
    Some(u32::from_le_bytes(four))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn entry(number: u64) -> Entry {
        Entry::Fence { pool: "pool".to_owned(), number }
    }

    #[test]
    fn a_record_that_a_crash_cut_off_is_dropped_and_those_before_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("controller.journal");
        let (mut file, _) = LedgerFile::open(&path).unwrap();
        file.append(&[&entry(1)]).unwrap();
        let first = usize::try_from(file.len()).unwrap();
        file.append(&[&entry(2)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in first..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let (mut file, entries) = LedgerFile::open(&path).unwrap();
            assert_eq!(entries.len(), if length == whole.len() { 2 } else { 1 }, "cut to {length}");
            file.append(&[&entry(3)]).unwrap();
            assert_eq!(LedgerFile::open(&path).unwrap().1.last(), Some(&entry(3)), "cut to {length}");
        }
        let zeros = [&whole[..], &[0; 100]].concat();
        std::fs::write(&path, zeros).unwrap();
        assert_eq!(LedgerFile::open(&path).unwrap().1.len(), 2);
    }

    #[test]
    fn damage_before_the_last_record_is_an_error_with_its_place_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("controller.journal");
        let (mut file, _) = LedgerFile::open(&path).unwrap();
        file.append(&[&entry(1)]).unwrap();
        let end = usize::try_from(file.len()).unwrap();
        file.append(&[&entry(2)]).unwrap();
        file.append(&[&entry(3)]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..end * 8 {
            let mut bytes = whole.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            std::fs::write(&path, &bytes).unwrap();
            // Also a length that reaches beyond the end is damage, and no record that was cut off.
            let error = LedgerFile::open(&path).unwrap_err().to_string();
            assert!(error.contains("damaged at byte 12") || at < 96, "bit {at}: {error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        }
    }

    #[test]
    fn a_rewritten_file_holds_what_it_was_given_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("controller.journal");
        let (mut file, _) = LedgerFile::open(&path).unwrap();
        for number in 0..100 {
            file.append(&[&entry(number)]).unwrap();
        }
        let before = file.len();
        file.rewrite(&[entry(99)]).unwrap();
        file.append(&[&entry(100)]).unwrap();
        assert!(file.len() < before);
        assert_eq!(LedgerFile::open(&path).unwrap().1, [entry(99), entry(100)]);
    }
}
