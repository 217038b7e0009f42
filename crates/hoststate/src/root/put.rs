//! Bringing one path below a root to a state: beside it first, then by rename.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

use lifeboat_model::Sha256Hex;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fsync,
    linkat, mkdirat, mknodat, openat, renameat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::confined::held;
use super::rules::TEMPORARY;
use super::{Root, RootError};
use crate::form::{Entry, Kind, Xattr};
use crate::path::RelPath;

/// Writes below a root. What is done twice is done once: every call brings a path to a state and asks not for the old one.
pub(crate) struct Put<'a> {
    root: &'a Root,
    /// Distinguishes the temporary names of this restore.
    id: String,
    /// Folders in which names changed; none for the root itself.
    touched: BTreeSet<Option<RelPath>>,
}

/// A file that is being written beside its place.
pub(crate) struct Beside {
    file: File,
    folder: OwnedFd,
    name: Vec<u8>,
}

impl<'a> Put<'a> {
    pub(crate) fn new(root: &'a Root, id: &str) -> Self {
        Self { root, id: id.to_owned(), touched: BTreeSet::new() }
    }

    /// The name beside a path: always the same for the same restore, so that one left behind is found again.
    fn beside(&self, path: &RelPath) -> Vec<u8> {
        let mut bytes = self.id.clone().into_bytes();
        bytes.push(b'/');
        bytes.extend_from_slice(path.as_bytes());
        let mut digest = Sha256Hex::of(&bytes).to_string();
        digest.truncate(20);
        format!("{TEMPORARY}{digest}").into_bytes()
    }

    /// Opens the folder of a path, without what a killed run left beside it.
    fn place(&mut self, path: &RelPath) -> Result<(OwnedFd, Vec<u8>), RootError> {
        let folder = self.root.folder_of(path).map_err(self.root.error("opening the folder of", path))?;
        self.touched.insert(path.parent());
        let name = self.beside(path);
        match unlinkat(&folder, &*name, AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => Ok((folder, name)),
            Err(error) => Err(self.root.error("clearing beside", path)(error)),
        }
    }

    /// Takes a path away; `true` if nothing is there afterwards. A folder that is not empty stays.
    pub(crate) fn remove(&mut self, path: &RelPath) -> Result<bool, RootError> {
        match self.root.folder_of(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(true),
            folder => drop(folder.map_err(self.root.error("opening the folder of", path))?),
        }
        let (folder, _) = self.place(path)?;
        let failed = self.root.error("removing", path);
        match unlinkat(&folder, path.name(), AtFlags::empty()) {
            Err(Errno::NOENT) | Ok(()) => Ok(true),
            Err(Errno::ISDIR | Errno::PERM) => match unlinkat(&folder, path.name(), AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
                Err(Errno::NOENT) | Ok(()) => Ok(true),
                Err(error) => Err(failed(error)),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes a folder where none is. Its metadata comes last: [`Put::folder_meta`].
    pub(crate) fn folder(&mut self, entry: &Entry) -> Result<(), RootError> {
        let path = &entry.path;
        let folder = self.root.folder_of(path).map_err(self.root.error("opening the folder of", path))?;
        match mkdirat(&folder, path.name(), Mode::RWXU) {
            Ok(()) => {
                drop(self.place(path)?);
                Ok(())
            }
            Err(Errno::EXIST) => match statat(&folder, path.name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(()),
                Ok(_) => Err(self.root.error("making the folder", path)(Errno::NOTDIR)),
                Err(error) => Err(self.root.error("looking at", path)(error)),
            },
            Err(error) => Err(self.root.error("making the folder", path)(error)),
        }
    }

    /// Sets owner, mode, attributes and time of a folder.
    pub(crate) fn folder_meta(&self, entry: &Entry) -> Result<(), RootError> {
        let path = &entry.path;
        let folder = self.root.folder_of(path).map_err(self.root.error("opening the folder of", path))?;
        let itself = self.root.folder(path).map_err(self.root.error("opening", path))?;
        self.dress(&folder, path.name(), entry)?;
        fsync(&itself).map_err(self.root.error("flushing", path))
    }

    /// Begins a file beside its place.
    pub(crate) fn begin_file(&mut self, path: &RelPath) -> Result<Beside, RootError> {
        let (folder, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&folder, &*name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(self.root.error("creating a file beside", path))?;
        Ok(Beside { file: File::from(fd), folder, name })
    }

    /// Writes content.
    pub(crate) fn write(
        &self,
        beside: &Beside,
        path: &RelPath,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), RootError> {
        beside.file.write_all_at(bytes, offset).map_err(self.root.io_error("writing", path))
    }

    /// Completes a file: length, owner, mode, attributes, time; flushed.
    pub(crate) fn complete(&self, beside: &Beside, entry: &Entry, len: u64) -> Result<(), RootError> {
        let path = &entry.path;
        beside.file.set_len(len).map_err(self.root.io_error("writing", path))?;
        self.dress(&beside.folder, &beside.name, entry)?;
        beside.file.sync_all().map_err(self.root.io_error("flushing", path))
    }

    /// Gives a completed file its name.
    pub(crate) fn name(&self, beside: &Beside, path: &RelPath) -> Result<(), RootError> {
        renameat(&beside.folder, &*beside.name, &beside.folder, path.name())
            .map_err(self.root.error("putting into its place", path))
    }

    /// Puts anything that is neither a folder nor a file.
    pub(crate) fn other(&mut self, entry: &Entry) -> Result<(), RootError> {
        let path = &entry.path;
        let (folder, name) = self.place(path)?;
        let failed = |doing| self.root.error(doing, path);
        match &entry.kind {
            Kind::Directory | Kind::OnTheWay | Kind::File { .. } => return Ok(()),
            Kind::Link { target } => {
                symlinkat(&**target, &folder, &*name).map_err(failed("making a link beside"))?;
            }
            Kind::HardLink { first } => {
                let there =
                    self.root.folder_of(first).map_err(self.root.error("opening the folder of", first))?;
                linkat(&there, first.name(), &folder, &*name, AtFlags::empty())
                    .map_err(failed("making a hard link beside"))?;
                renameat(&folder, &*name, &folder, path.name()).map_err(failed("putting into its place"))?;
                // A rename between two names of one file does nothing, by POSIX.
                return match unlinkat(&folder, &*name, AtFlags::empty()) {
                    Err(Errno::NOENT) | Ok(()) => Ok(()),
                    Err(error) => Err(failed("clearing beside")(error)),
                };
            }
            Kind::Fifo => mknodat(&folder, &*name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .map_err(failed("making a pipe beside"))?,
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                let kind = match entry.kind {
                    Kind::BlockDevice { .. } => FileType::BlockDevice,
                    _ => FileType::CharacterDevice,
                };
                let number = rustix::fs::makedev(*major, *minor);
                mknodat(&folder, &*name, kind, Mode::RUSR | Mode::WUSR, number)
                    .map_err(failed("making a device node beside"))?;
            }
        }
        self.dress(&folder, &name, entry)?;
        renameat(&folder, &*name, &folder, path.name()).map_err(failed("putting into its place"))
    }

    /// Makes every changed name durable.
    pub(crate) fn flush(&self) -> Result<(), RootError> {
        for path in &self.touched {
            let Some(path) = path else {
                self.root.flush_top()?;
                continue;
            };
            match self.root.folder(path) {
                // It was removed after its content.
                Err(Errno::NOENT) => {}
                folder => {
                    let folder = folder.map_err(self.root.error("opening", path))?;
                    fsync(&folder).map_err(self.root.error("flushing", path))?;
                }
            }
        }
        Ok(())
    }

    /// Owner, mode, attributes, time. The owner first: a change of owner clears bits and capabilities.
    fn dress(&self, folder: &OwnedFd, name: &[u8], entry: &Entry) -> Result<(), RootError> {
        let path = &entry.path;
        let failed = |doing| self.root.error(doing, path);
        let meta = entry.meta;
        let owner = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
        chownat(folder, name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("setting the owner of"))?;
        if !matches!(entry.kind, Kind::Link { .. }) {
            chmodat(folder, name, Mode::from_raw_mode(meta.mode), AtFlags::empty())
                .map_err(failed("setting the mode of"))?;
        }
        let place = held(folder, name);
        for Xattr { name, .. } in self.attributes(&place) {
            let wanted = entry.xattrs.iter().any(|xattr| xattr.name == name);
            if !wanted && !set_by_the_system(&name) {
                rustix::fs::lremovexattr(&*place, &*name).map_err(failed("removing an attribute of"))?;
            }
        }
        for xattr in &entry.xattrs {
            rustix::fs::lsetxattr(&*place, &*xattr.name, &xattr.value, XattrFlags::empty())
                .map_err(failed("setting an attribute of"))?;
        }
        let time = Timespec { tv_sec: meta.seconds, tv_nsec: meta.nanos.into() };
        let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        let times = Timestamps { last_access: omit, last_modification: time };
        utimensat(folder.as_fd(), name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed("setting the time of"))
    }

    /// Names of attributes; a new file inherits some from its folder.
    #[expect(clippy::unused_self, reason = "stands with what it serves")]
    fn attributes(&self, place: &[u8]) -> Vec<Xattr> {
        let mut buffer = vec![0; 1 << 16];
        let n = rustix::fs::llistxattr(place, &mut *buffer).unwrap_or(0);
        let names =
            buffer.get(..n).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty());
        names.map(|name| Xattr { name: name.to_vec(), value: Vec::new() }).collect()
    }
}

/// Attributes that the system gives by itself; where a backup has none, they stay.
pub(crate) fn set_by_the_system(name: &[u8]) -> bool {
    let given: [&[u8]; 5] =
        [b"security.selinux", b"security.evm", b"security.ima", b"trusted.overlay.", b"system.nfs4_acl"];
    given.iter().any(|prefix| name.starts_with(prefix))
}
