//! A disk as a block device or an image file.
//!
//! Owns: opening, locking, positioned I/O, flushing. Promises: a writer is alone; after a failed flush nothing is
//! written any more, because the kernel reports such an error once and then forgets it. Does not: grow a disk.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use lifeboat_bank::layout::{BankVolumes, Layout, Partition, RECORD_BYTES};
use lifeboat_model::Bank;
use lifeboat_model::io::{ReadAt, WriteAt};
use rustix::fs::{Advice, FallocateFlags, OFlags};

use crate::busy::{SystemRoots, Use, uses_of, uses_within};
use crate::lock::lock_patiently;

/// Zeros are written in pieces of this many bytes where the file system cannot reserve space.
const PIECE: usize = 1 << 20;

/// Whether a disk in use is written to all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Refuse.
    No,
    /// The caller knows better: only another Lifeboat that writes to it is refused.
    Yes,
}

/// Which bytes of a disk may be written while the system runs from other parts of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteScope {
    /// Byte ranges whose partitions nobody may use: the volumes of the alternate bank.
    pub exclusive: Vec<Range<u64>>,
    /// Byte ranges that may lie in a partition in use: the copy of the bank record behind the running root.
    pub shared: Vec<Range<u64>>,
}

impl WriteScope {
    /// What upgrades of a running host write: the volumes of the bank that does not run, and both copies of the bank
    /// record, of which one lies behind the root that runs.
    #[must_use]
    pub fn beside(layout: &Layout, running: Bank) -> Self {
        let BankVolumes { boot, root } = layout.volumes(running.other());
        let volume = |part: &Partition| part.offset()..part.offset() + part.bytes();
        let record = layout.volumes(running).record_offset();
        let record = record..record + RECORD_BYTES;
        Self { exclusive: vec![volume(boot), volume(root)], shared: vec![record] }
    }

    fn allows(&self, start: u64, end: u64) -> bool {
        let mut ranges = self.exclusive.iter().chain(&self.shared);
        ranges.any(|range| range.start <= start && end <= range.end)
    }
}

/// Why a disk cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// A system call failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Disk.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Neither a block device nor a file.
    #[error("{} is neither a block device nor a file; name a whole disk or an image", path.display())]
    NotADisk {
        /// What was named.
        path: PathBuf,
    },
    /// The system uses it.
    #[error("{} is in use: {}; release it first, or force the write if you are sure", path.display(), list(uses))]
    InUse {
        /// Disk.
        path: PathBuf,
        /// By what.
        uses: Vec<Use>,
    },
    /// Another program holds the lock.
    #[error("{} is being written by another program, which holds its lock; wait until it is done", path.display())]
    Locked {
        /// Disk.
        path: PathBuf,
    },
    /// There is something already.
    #[error("{} exists; remove it first or take another name", path.display())]
    Exists {
        /// File.
        path: PathBuf,
    },
}

fn list(uses: &[Use]) -> String {
    uses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A disk that is open.
#[derive(Debug)]
pub struct BlockFile {
    file: File,
    path: PathBuf,
    size: u64,
    writable: bool,
    /// Bytes outside are refused; `None` allows all.
    scope: Option<WriteScope>,
    /// Set by the first failed flush.
    lost_writes: bool,
}

impl BlockFile {
    /// Opens a disk for reading. It may be in use: what is read then may change meanwhile.
    pub fn open_read(path: &Path) -> Result<Self, DeviceError> {
        check_kind(path)?;
        let file = File::open(path).map_err(io_error("open", path))?;
        Self::from_file(file, path, false)
    }

    /// Opens a disk for reading and writing, alone. Takes the lock that other programs of this kind respect
    /// (flock(2)); for block devices without force also the kernel's own claim (`O_EXCL`).
    pub fn open_write(path: &Path, force: Force) -> Result<Self, DeviceError> {
        Self::open_write_among(path, force, &SystemRoots::default())
    }

    /// As [`BlockFile::open_write`], with the folders where the system's own lists are read.
    pub fn open_write_among(path: &Path, force: Force, roots: &SystemRoots) -> Result<Self, DeviceError> {
        let meta = check_kind(path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        match force {
            Force::Yes => {}
            Force::No => {
                let uses = uses_of(&meta, roots).map_err(io_error("find out what uses", path))?;
                if !uses.is_empty() {
                    return Err(DeviceError::InUse { path: path.to_owned(), uses });
                }
                if meta.file_type().is_block_device() {
                    options.custom_flags(OFlags::EXCL.bits().cast_signed());
                }
            }
        }
        let file = options.open(path).map_err(|source| match source.raw_os_error() {
            Some(code) if code == rustix::io::Errno::BUSY.raw_os_error() => {
                DeviceError::InUse { path: path.to_owned(), uses: vec![Use::Kernel] }
            }
            _ => io_error("open for writing", path)(source),
        })?;
        let disk = Self::from_file(file, path, true)?;
        disk.lock()?;
        Ok(disk)
    }

    /// Opens the disk from which the system runs, to write only inside `scope`: every other write is refused, whoever
    /// asks for it. Refused at once is a scope whose exclusive ranges share a byte with a partition in use, and a
    /// disk that is in use as a whole.
    pub fn open_write_within(
        path: &Path,
        scope: WriteScope,
        roots: &SystemRoots,
    ) -> Result<Self, DeviceError> {
        let meta = check_kind(path)?;
        let uses =
            uses_within(&meta, &scope.exclusive, roots).map_err(io_error("find out what uses", path))?;
        if !uses.is_empty() {
            return Err(DeviceError::InUse { path: path.to_owned(), uses });
        }
        let mut disk = Self::open_write_among(path, Force::Yes, roots)?;
        disk.scope = Some(scope);
        Ok(disk)
    }

    /// Makes an image file of `size` zero bytes whose space is reserved, so that a full file system is an error
    /// now and not in the middle of an installation. A file that exists is refused; one that cannot be filled is
    /// removed again.
    pub fn create_image(path: &Path, size: u64) -> Result<Self, DeviceError> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).open(path).map_err(|source| {
                if source.kind() == io::ErrorKind::AlreadyExists {
                    DeviceError::Exists { path: path.to_owned() }
                } else {
                    io_error("create", path)(source)
                }
            })?;
        let filled =
            reserve_or_fill(&file, size).and_then(|()| file.sync_all()).and_then(|()| sync_parent(path));
        if let Err(source) = filled {
            // The first error is the one to tell; a file that cannot be removed is seen by the next attempt.
            let _ = std::fs::remove_file(path);
            return Err(io_error("reserve the space of", path)(source));
        }
        let disk = Self::from_file(file, path, true)?;
        disk.lock()?;
        Ok(disk)
    }

    /// Reserves the space of an image file that has holes. Its content stays; a block device needs nothing.
    pub fn reserve(&mut self) -> Result<(), DeviceError> {
        let meta = self.file.metadata().map_err(io_error("look at", &self.path))?;
        if meta.file_type().is_block_device() || self.size == 0 {
            return Ok(());
        }
        let reserved = rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, self.size);
        reserved.map_err(|source| io_error("reserve the space of", &self.path)(source.into()))
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn from_file(mut file: File, path: &Path, writable: bool) -> Result<Self, DeviceError> {
        // The end of a block device is where seeking ends; its metadata say 0.
        let size = file.seek(SeekFrom::End(0)).map_err(io_error("measure", path))?;
        Ok(Self { file, path: path.to_owned(), size, writable, scope: None, lost_writes: false })
    }

    fn lock(&self) -> Result<(), DeviceError> {
        lock_patiently(&self.file).map_err(|error| match error {
            TryLockError::WouldBlock => DeviceError::Locked { path: self.path.clone() },
            TryLockError::Error(source) => io_error("lock", &self.path)(source),
        })
    }

    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{len} bytes from {offset} leave {} of {} bytes", self.path.display(), self.size),
            )),
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        if !self.writable {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("{} is open for reading only", self.path.display()),
            ));
        }
        if self.lost_writes {
            return Err(io::Error::other(format!(
                "an earlier flush of {} failed; what was written since the last good one is lost",
                self.path.display()
            )));
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.file.sync_data();
        self.lost_writes |= synced.is_err();
        synced
    }
}

impl ReadAt for BlockFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.check(offset, buf.len())?;
        self.file.read_exact_at(buf, offset)
    }
}

impl WriteAt for BlockFile {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        self.check(offset, data.len())?;
        let end = offset + data.len() as u64;
        if self.scope.as_ref().is_some_and(|scope| !scope.allows(offset, end)) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "bytes {offset}..{end} of {} are outside of what may be written",
                    self.path.display()
                ),
            ));
        }
        self.file.write_all_at(data, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check_writable()?;
        self.sync()
    }

    fn drop_cache(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let Some(length) = NonZeroU64::new(len) else { return Ok(()) };
        if self.writable {
            // Dirty pages are not dropped.
            self.check_writable()?;
            self.sync()?;
        }
        rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed)?;
        Ok(())
    }
}

/// Looks before opening: to open another kind of device may act (a watchdog is armed by it) or wait for ever (a pipe).
fn check_kind(path: &Path) -> Result<Metadata, DeviceError> {
    let meta = std::fs::metadata(path).map_err(io_error("look at", path))?;
    let kind = meta.file_type();
    let disk = kind.is_file() || kind.is_block_device();
    if disk { Ok(meta) } else { Err(DeviceError::NotADisk { path: path.to_owned() }) }
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeviceError + use<> {
    let path = path.to_owned();
    move |source| DeviceError::Io { doing, path, source }
}

fn reserve_or_fill(file: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(file, size),
        Err(other) => Err(other.into()),
    }
}

fn fill(file: &File, size: u64) -> io::Result<()> {
    let zeros = vec![0_u8; PIECE];
    let mut at = 0;
    while at < size {
        let len = (size - at).min(PIECE as u64);
        file.write_all_at(zeros.get(..usize::try_from(len).unwrap_or(PIECE)).unwrap_or_default(), at)?;
        at += len;
    }
    Ok(())
}

/// A new name is on stable storage only when its folder is.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn after_a_failed_flush_nothing_is_written_and_no_later_flush_succeeds() {
        let folder = tempfile::tempdir().unwrap();
        let mut disk = BlockFile::create_image(&folder.path().join("disk"), 512).unwrap();
        disk.lost_writes = true;
        assert!(disk.write_at(0, &[1]).is_err());
        assert!(disk.flush().unwrap_err().to_string().starts_with("an earlier flush of"));
        assert!(disk.drop_cache(0, 512).is_err());
        let mut byte = [9];
        disk.read_at(0, &mut byte).unwrap();
        assert_eq!(byte, [0]);
    }
}
