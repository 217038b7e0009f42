//! Files that decide what a host boots next.
//!
//! Owns: which they are, keeping them, and putting them back. Promises: as long as a transaction is not verified, the host
//! boots what it booted before; each file is replaced whole or not at all. Does not: understand them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{PackageError, at};
use crate::manager::fingerprint;
use crate::roots::Roots;

/// Single files.
const FILES: &[&str] = &[
    "/boot/grub/grub.cfg",
    "/boot/grub/grubenv",
    "/boot/grub2/grub.cfg",
    "/boot/grub2/grubenv",
    "/boot/extlinux/extlinux.conf",
    "/boot/loader/loader.conf",
    "/boot/efi/loader/loader.conf",
    "/efi/loader/loader.conf",
    "/vmlinuz",
    "/initrd.img",
    "/boot/vmlinuz",
    "/boot/initrd.img",
    "/etc/kernel/cmdline",
];
/// Folders of which every file with this ending counts.
const FOLDERS: &[(&str, &str)] = &[
    ("/boot/loader/entries", ".conf"),
    ("/boot/efi/loader/entries", ".conf"),
    ("/efi/loader/entries", ".conf"),
];
/// Longest file that is kept.
const LONGEST: u64 = 8 << 20;

/// One kept file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedFile {
    /// As the host names it.
    pub path: String,
    /// Its name in the folder of copies.
    pub copy: String,
    /// Where it points, if it is a symbolic link.
    pub link: Option<String>,
    /// SHA-256 of its content; empty for a link.
    pub sha256: String,
}

/// Keeps copies in `folder`.
pub(crate) fn save(roots: &Roots, folder: &Path) -> Result<Vec<SavedFile>, PackageError> {
    fs::create_dir_all(folder).map_err(at("creating", folder))?;
    let mut saved = Vec::new();
    for path in present(roots) {
        let place = roots.host_path(&path);
        let meta = fs::symlink_metadata(&place).map_err(at("looking at", &place))?;
        let copy = saved.len().to_string();
        if meta.is_symlink() {
            let link = fs::read_link(&place).map_err(at("reading the link", &place))?;
            saved.push(SavedFile {
                path,
                copy,
                link: Some(link.display().to_string()),
                sha256: String::new(),
            });
        } else if meta.is_file() && meta.len() <= LONGEST {
            let to = folder.join(&copy);
            fs::copy(&place, &to).map_err(at("copying", &place))?;
            fs::File::open(&to).and_then(|file| file.sync_all()).map_err(at("flushing", &to))?;
            let (sha256, _) = fingerprint(&to)?;
            saved.push(SavedFile { path, copy, link: None, sha256 });
        }
    }
    Ok(saved)
}

/// Paths of a host that are kept, those that are there.
fn present(roots: &Roots) -> Vec<String> {
    let mut found: Vec<String> = FILES.iter().map(|path| (*path).to_owned()).collect();
    for vendor in fs::read_dir(roots.host_path("/boot/efi/EFI")).into_iter().flatten().flatten() {
        for name in ["grub.cfg", "grubenv"] {
            found.push(roots.as_host(&vendor.path().join(name)));
        }
    }
    for (folder, ending) in FOLDERS {
        let entries = fs::read_dir(roots.host_path(folder)).into_iter().flatten().flatten();
        let paths = entries.map(|entry| roots.as_host(&entry.path()));
        found.extend(paths.filter(|path| path.ends_with(ending)));
    }
    found.retain(|path| fs::symlink_metadata(roots.host_path(path)).is_ok());
    found.sort();
    found
}

/// Puts `saved` back from `folder`; names what was changed. An entry that appeared since then is moved aside.
pub(crate) fn put_back(
    roots: &Roots,
    saved: &[SavedFile],
    folder: &Path,
) -> Result<Vec<String>, PackageError> {
    let mut changed = Vec::new();
    for file in saved {
        if is_as_saved(roots, file) {
            continue;
        }
        let place = roots.host_path(&file.path);
        let beside = beside(&place);
        // What an earlier try left.
        let _ = fs::remove_file(&beside);
        if let Some(link) = &file.link {
            symlink(link, &beside).map_err(at("linking", &beside))?;
        } else {
            fs::copy(folder.join(&file.copy), &beside).map_err(at("writing", &beside))?;
            fs::File::open(&beside).and_then(|file| file.sync_all()).map_err(at("flushing", &beside))?;
        }
        fs::rename(&beside, &place).map_err(at("replacing", &place))?;
        changed.push(file.path.clone());
    }
    let known = |path: &String| saved.iter().any(|file| file.path == *path);
    for path in present(roots).into_iter().filter(|path| path.contains("/loader/entries/") && !known(path)) {
        let place = roots.host_path(&path);
        let aside = PathBuf::from(format!("{}.lifeboat-held", place.display()));
        fs::rename(&place, &aside).map_err(at("moving aside", &place))?;
        changed.push(path);
    }
    Ok(changed)
}

fn beside(place: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lifeboat-new", place.display()))
}

fn is_as_saved(roots: &Roots, file: &SavedFile) -> bool {
    let place = roots.host_path(&file.path);
    if let Some(link) = &file.link {
        return fs::read_link(&place).is_ok_and(|now| now.display().to_string() == *link);
    }
    let is_file = fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_file() && meta.len() <= LONGEST);
    is_file && fingerprint(&place).is_ok_and(|(sha256, _)| sha256 == file.sha256)
}
