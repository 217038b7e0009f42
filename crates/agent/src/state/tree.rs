//! A tree of files as an archive, and an archive as a tree of files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Path, PathBuf};

use lifeboat_bank::state::{ArchiveWriter, Entry, Header, Kind, Limits, Meta, Sink, read_archive};
use lifeboat_model::Sha256Hex;

use super::KeepError;
use super::place::sync_folder;

/// Writes the tree below `root` as the archive `path`: beside it first, then under its name. Sockets, pipes and devices
/// are left out: they are made anew by whoever needs them.
pub(super) fn pack(root: &Path, header: &Header, path: &Path) -> Result<Sha256Hex, KeepError> {
    let beside = path.with_extension("new");
    let file = File::create(&beside).map_err(KeepError::file("creating", &beside))?;
    let state = || KeepError::state(&beside);
    let mut writer = ArchiveWriter::new(BufWriter::new(file), header).map_err(state())?;
    pack_folder(root, Path::new(""), &mut writer, &beside)?;
    let (out, digest) = writer.finish().map_err(state())?;
    let file = out.into_inner().map_err(|error| KeepError::file("writing", &beside)(error.into_error()))?;
    file.sync_all().map_err(KeepError::file("flushing", &beside))?;
    fs::rename(&beside, path).map_err(KeepError::file("naming", path))?;
    sync_folder(path.parent().unwrap_or(Path::new("/")))?;
    Ok(digest)
}

fn pack_folder(
    root: &Path,
    below: &Path,
    writer: &mut ArchiveWriter<BufWriter<File>>,
    archive: &Path,
) -> Result<(), KeepError> {
    let folder = root.join(below);
    let read = KeepError::file("reading", &folder);
    let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(read)?;
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let inside = below.join(&name);
        let path = root.join(&inside);
        let metadata = path.symlink_metadata().map_err(KeepError::file("looking at", &path))?;
        let meta = Meta { mode: metadata.mode() & 0o7777, uid: metadata.uid(), gid: metadata.gid() };
        let bytes = inside.as_os_str().as_bytes();
        let kind = metadata.file_type();
        if kind.is_dir() {
            writer.directory(bytes, meta).map_err(KeepError::state(archive))?;
            pack_folder(root, &inside, writer, archive)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(KeepError::file("reading", &path))?;
            writer.link(bytes, meta, target.as_os_str().as_bytes()).map_err(KeepError::state(archive))?;
        } else if kind.is_file() {
            let file = File::open(&path).map_err(KeepError::file("opening", &path))?;
            writer
                .file(bytes, meta, metadata.len(), &mut BufReader::new(file))
                .map_err(KeepError::state(archive))?;
        }
    }
    Ok(())
}

/// Reads an archive whole and keeps nothing: whether it is good.
pub(super) fn check(path: &Path) -> Result<(Header, Sha256Hex), KeepError> {
    let file = File::open(path).map_err(KeepError::file("opening", path))?;
    read_archive(&mut BufReader::new(file), Limits::default(), &mut ()).map_err(KeepError::state(path))
}

/// Unpacks an archive into `root`, a folder that is new and ours alone.
pub(super) fn unpack(path: &Path, root: &Path) -> Result<(Header, Sha256Hex), KeepError> {
    let file = File::open(path).map_err(KeepError::file("opening", path))?;
    let mut place = Unpacked { root: root.to_owned(), file: None };
    let read = read_archive(&mut BufReader::new(file), Limits::default(), &mut place);
    read.map_err(KeepError::state(path))
}

struct Unpacked {
    root: PathBuf,
    file: Option<File>,
}

impl Sink for Unpacked {
    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.file = None;
        let path = self.root.join(std::ffi::OsString::from_vec(entry.path.clone()));
        let meta = entry.meta;
        match &entry.kind {
            Kind::Directory => fs::DirBuilder::new().mode(0o700).create(&path)?,
            Kind::File { .. } => {
                let mut options = OpenOptions::new();
                self.file = Some(options.write(true).create_new(true).mode(0o600).open(&path)?);
            }
            Kind::Link { target } => symlink(std::ffi::OsString::from_vec(target.clone()), &path)?,
        }
        let owner = std::os::unix::fs::lchown(&path, Some(meta.uid), Some(meta.gid));
        // Without root every file is the caller's own, as in tests.
        if let Err(error) = owner
            && error.kind() != io::ErrorKind::PermissionDenied
        {
            return Err(error);
        }
        if !matches!(entry.kind, Kind::Link { .. }) {
            // After the owner: a change of owner clears bits.
            fs::set_permissions(&path, fs::Permissions::from_mode(meta.mode))?;
        }
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file
            .as_mut()
            .map_or_else(|| Err(io::Error::other("data without a file")), |file| file.write_all(bytes))
    }
}

/// Copies a folder with all that is in it, as the defaults of a release are.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), KeepError> {
    let metadata = from.symlink_metadata().map_err(KeepError::file("looking at", from))?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).map_err(KeepError::file("reading", from))?;
        return symlink(target, to).map_err(KeepError::file("linking", to));
    }
    if kind.is_file() {
        fs::copy(from, to).map_err(KeepError::file("copying", from))?;
    } else if kind.is_dir() {
        fs::create_dir(to).map_err(KeepError::file("making", to))?;
        for entry in fs::read_dir(from).map_err(KeepError::file("reading", from))? {
            let name = entry.map_err(KeepError::file("reading", from))?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        fs::set_permissions(to, metadata.permissions())
            .map_err(KeepError::file("setting the mode of", to))?;
    }
    match std::os::unix::fs::lchown(to, Some(metadata.uid()), Some(metadata.gid())) {
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            Err(KeepError::file("setting the owner of", to)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
