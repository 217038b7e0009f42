//! Looking at and reading what lies below a root.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, readlinkat, statat};
use rustix::io::Errno;

use super::RootError;
use crate::form::{Entry, Kind, Meta, Xattr};
use crate::path::RelPath;

/// Links are followed nowhere: a backup holds them as what they are.
const WITHIN: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The root of a host.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a look at a path told.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The entry; a further name of a file is a file here. None for sockets, which nobody keeps.
    pub entry: Option<Entry>,
    /// File system.
    pub dev: u64,
    /// Number of the file in it.
    pub ino: u64,
    /// Names of the file.
    pub names: u64,
    /// Space that its content takes.
    pub blocks: u64,
}

impl Root {
    /// Opens a folder as the root of a host.
    pub fn open(path: &Path) -> Result<Self, RootError> {
        let failed = |source: Errno| RootError::Open { path: path.to_owned(), source: source.into() };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        match openat2(&fd, ".", flags, Mode::empty(), WITHIN) {
            Err(Errno::NOSYS) => Err(RootError::OldKernel),
            Err(error) => Err(failed(error)),
            Ok(_) => Ok(Self { fd, path: path.to_owned() }),
        }
    }

    /// Where the root is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place of a path for people and for system calls that take no folder.
    pub fn place(&self, path: &RelPath) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        self.path.join(std::ffi::OsStr::from_bytes(path.as_bytes()))
    }

    pub(crate) fn error(
        &self,
        doing: &'static str,
        path: &RelPath,
    ) -> impl FnOnce(Errno) -> RootError + use<> {
        let (path, root) = (path.clone(), self.path.clone());
        move |source| match source {
            Errno::LOOP | Errno::XDEV => RootError::ThroughALink { path, root },
            source => RootError::At { doing, path, root, source: source.into() },
        }
    }

    pub(crate) fn io_error(
        &self,
        doing: &'static str,
        path: &RelPath,
    ) -> impl FnOnce(io::Error) -> RootError + use<> {
        let (path, root) = (path.clone(), self.path.clone());
        move |source| RootError::At { doing, path, root, source }
    }

    fn open_within(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let mut tries = 0;
        loop {
            let opened =
                openat2(&self.fd, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), WITHIN);
            match opened {
                // A rename elsewhere made the kernel unsure; it says so rather than guess.
                Err(Errno::AGAIN | Errno::INTR) if tries < 1000 => tries += 1,
                opened => return opened,
            }
        }
    }

    /// The folder in which a path lies.
    pub(crate) fn folder_of(&self, path: &RelPath) -> rustix::io::Result<OwnedFd> {
        let parent = path.parent();
        let bytes = parent.as_ref().map_or(&b"."[..], RelPath::as_bytes);
        self.open_within(bytes, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// A folder itself.
    pub(crate) fn folder(&self, path: &RelPath) -> rustix::io::Result<OwnedFd> {
        self.open_within(path.as_bytes(), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a file for reading.
    pub fn open_file(&self, path: &RelPath) -> Result<File, RootError> {
        // A pipe must not make the program wait.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let fd = self.open_within(path.as_bytes(), flags).map_err(self.error("opening", path))?;
        Ok(File::from(fd))
    }

    /// The bytes of a file, at most `limit`; none if there is no such file.
    pub fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, RootError> {
        use std::io::Read as _;
        let path = RelPath::new(path.as_bytes())?;
        let fd = match self.open_within(path.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK) {
            // A link is followed only within the root: `etc/os-release` is one.
            Err(Errno::LOOP) => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                openat2(&self.fd, path.as_bytes(), flags, Mode::empty(), resolve)
            }
            opened => opened,
        };
        let fd = match fd {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            fd => fd.map_err(self.error("opening", &path))?,
        };
        let mut bytes = Vec::new();
        let read = File::from(fd).take(limit).read_to_end(&mut bytes);
        match read {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => Ok(None),
            read => read.map(|_| Some(bytes)).map_err(self.io_error("reading", &path)),
        }
    }

    /// Text of a small file; none if there is none, or it is no text.
    pub fn text(&self, path: &str) -> Option<String> {
        self.read(path, 1 << 20).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok())
    }

    /// Names in a folder, sorted; none if there is no such folder.
    pub fn names(&self, path: &RelPath) -> Result<Option<Vec<Vec<u8>>>, RootError> {
        let fd = match self.folder(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            fd => fd.map_err(self.error("opening", path))?,
        };
        let mut names = Vec::new();
        for item in Dir::new(fd).map_err(self.error("listing", path))? {
            let name = item.map_err(self.error("listing", path))?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(Some(names))
    }

    /// The names in the root itself.
    pub fn top(&self) -> Result<Vec<Vec<u8>>, RootError> {
        let failed = |source: Errno| RootError::Open { path: self.path.clone(), source: source.into() };
        let fd = self.open_within(b".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
        let mut names = Vec::new();
        for item in Dir::new(fd).map_err(failed)? {
            let name = item.map_err(failed)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Makes the names in the root itself durable.
    pub(crate) fn flush_top(&self) -> Result<(), RootError> {
        let failed = |source: Errno| RootError::Open { path: self.path.clone(), source: source.into() };
        let fd = self.open_within(b".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
        rustix::fs::fsync(&fd).map_err(failed)
    }

    /// The state of a path, links not followed; none if there is nothing. A link on the way to it is an error.
    pub(crate) fn stat(&self, path: &RelPath) -> Result<Option<Stat>, RootError> {
        let folder = match self.folder_of(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            folder => folder.map_err(self.error("looking at", path))?,
        };
        match statat(&folder, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            stat => stat.map(Some).map_err(self.error("looking at", path)),
        }
    }

    /// What a path is, links not followed; none if there is nothing.
    pub fn look(&self, path: &RelPath) -> Result<Option<Seen>, RootError> {
        let Some(stat) = self.stat(path)? else { return Ok(None) };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Some(Kind::Directory),
            FileType::RegularFile => Some(Kind::File { len: u64::try_from(stat.st_size).unwrap_or(0) }),
            FileType::Symlink => {
                let folder = self.folder_of(path).map_err(self.error("reading", path))?;
                let target: CString =
                    readlinkat(&folder, path.name(), Vec::new()).map_err(self.error("reading", path))?;
                Some(Kind::Link { target: target.into_bytes() })
            }
            FileType::Fifo => Some(Kind::Fifo),
            FileType::CharacterDevice => Some(Kind::CharDevice {
                major: rustix::fs::major(stat.st_rdev),
                minor: rustix::fs::minor(stat.st_rdev),
            }),
            FileType::BlockDevice => Some(Kind::BlockDevice {
                major: rustix::fs::major(stat.st_rdev),
                minor: rustix::fs::minor(stat.st_rdev),
            }),
            FileType::Socket | FileType::Unknown => None,
        };
        let entry = match kind {
            Some(kind) => {
                let xattrs = self.xattrs(path)?;
                Some(Entry { path: path.clone(), kind, meta: meta_of(&stat), xattrs })
            }
            None => None,
        };
        Ok(Some(Seen {
            entry,
            dev: stat.st_dev,
            ino: stat.st_ino,
            names: wide(stat.st_nlink),
            blocks: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
        }))
    }

    /// The attributes that a backup keeps. Left out: those that a file system or the kernel computes for one inode.
    fn xattrs(&self, path: &RelPath) -> Result<Vec<Xattr>, RootError> {
        let folder = self.folder_of(path).map_err(self.error("reading attributes of", path))?;
        let place = held(&folder, path.name());
        let names = grow(|buffer| rustix::fs::llistxattr(&*place, buffer));
        let names = match names {
            Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => return Ok(Vec::new()),
            names => names.map_err(self.error("reading attributes of", path))?,
        };
        let mut list = Vec::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && is_kept(name)) {
            match grow(|buffer| rustix::fs::lgetxattr(&*place, name, buffer)) {
                // Gone meanwhile, or not for us.
                Err(Errno::NODATA | Errno::PERM | Errno::ACCESS | Errno::NOTSUP) => {}
                value => {
                    let value = value.map_err(self.error("reading attributes of", path))?;
                    list.push(Xattr { name: name.to_vec(), value });
                }
            }
        }
        list.sort();
        Ok(list)
    }
}

/// The number is of another width on other machines.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Whether an attribute is kept: what the kernel computes for this very inode would be wrong elsewhere.
fn is_kept(name: &[u8]) -> bool {
    let computed: [&[u8]; 4] = [b"security.evm", b"security.ima", b"trusted.overlay.", b"system.nfs4_acl"];
    !computed.iter().any(|prefix| name.starts_with(prefix))
}

/// A path that names `name` in an open folder, for system calls that take no folder.
pub(super) fn held(folder: &OwnedFd, name: &[u8]) -> Vec<u8> {
    let mut place = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
    place.extend_from_slice(name);
    place
}

/// Calls with a larger and larger buffer.
fn grow(mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 512];
    loop {
        match call(&mut buffer) {
            Ok(n) => {
                buffer.truncate(n);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 8, 0),
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn meta_of(stat: &Stat) -> Meta {
    Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        seconds: stat.st_mtime,
        nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    }
}
