//! Unpacking a staged release, and keeping the packages of the one that runs.
//!
//! Owns: the folder of its packages, and the folder of those that are the way back of the next release. Promises: only
//! packages whose digest is that of the signed index lie there when a folder is handed out; of each package one version
//! is kept. Does not: look into a package.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use lifeboat_bundle::{Bundle, INDEX_NAME, PackageIndex, PackagesError, PackagesReader, Verified, slot};
use lifeboat_device::BlockFile;

use crate::StageError;

/// The index of a staged release.
pub(super) fn index_of(bundle: &Verified<Bundle<BlockFile>>) -> Result<PackageIndex, StageError> {
    let slot = bundle.slot(slot::PACKAGES).map_err(|source| StageError::Bundle { source })?;
    let len = slot.len();
    let reader = PackagesReader::open(slot, len).map_err(|source| StageError::Packages { source })?;
    Ok(reader.index().clone())
}

/// Unpacks all packages into `folder`, which is made anew; their paths.
pub(super) fn unpack(
    bundle: &Verified<Bundle<BlockFile>>,
    folder: &Path,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Vec<PathBuf>, StageError> {
    remove(folder)?;
    fs::create_dir_all(folder).map_err(file_error("creating", folder))?;
    let slot = bundle.slot(slot::PACKAGES).map_err(|source| StageError::Bundle { source })?;
    let len = slot.len();
    let refused = |source: PackagesError| StageError::Packages { source };
    let mut reader = PackagesReader::open(slot, len).map_err(refused)?;
    let text = reader.index().encode().map_err(refused)?;
    let index = folder.join(INDEX_NAME);
    fs::write(&index, text).map_err(file_error("writing", &index))?;
    let total = reader.index().package_bytes();
    let (mut done, mut paths) = (0, Vec::new());
    loop {
        progress("unpacking", done, total);
        // A plain name: the index was checked.
        let package =
            reader.next_package(|entry| File::create_new(folder.join(&entry.file))).map_err(refused)?;
        let Some((entry, file)) = package else { return Ok(paths) };
        let path = folder.join(&entry.file);
        file.sync_all().map_err(file_error("flushing", &path))?;
        done += entry.size;
        paths.push(path);
    }
}

/// Moves what was unpacked into `folder` to `kept`: what runs now is what the next release goes back to. Done again after
/// a crash, it goes on where it was.
pub(super) fn keep(folder: &Path, kept: &Path) -> Result<(), StageError> {
    let path = folder.join(INDEX_NAME);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return remove(folder),
        read => read.map_err(file_error("reading", &path))?,
    };
    let index = PackageIndex::parse(&text).map_err(|source| StageError::Packages { source })?;
    for package in &index.packages {
        let from = folder.join(&package.file);
        if !from.exists() {
            continue;
        }
        // Name and architecture are plain words: the index was checked.
        let place = kept.join(format!("{}.{}", package.name, package.arch));
        fs::create_dir_all(&place).map_err(file_error("creating", &place))?;
        let to = place.join(&package.file);
        fs::rename(&from, &to).map_err(file_error("renaming", &from))?;
        for entry in fs::read_dir(&place).map_err(file_error("reading", &place))? {
            let old = entry.map_err(file_error("reading", &place))?.path();
            if old != to {
                fs::remove_file(&old).map_err(file_error("removing", &old))?;
            }
        }
    }
    remove(folder)
}

/// Removes what was unpacked.
pub(super) fn remove(folder: &Path) -> Result<(), StageError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error("removing", folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StageError + use<> {
    let path = path.to_owned();
    move |source| StageError::File { doing, path, source }
}
