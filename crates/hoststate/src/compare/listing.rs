//! Everything in a backup, without the content of files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use lifeboat_model::Sha256Hex;
use rustix::fs::{MemfdFlags, Mode, OFlags};

use crate::form::{Backup, Entry, FilePart, FormError, Kind, Record};
use crate::path::RelPath;
use crate::root::{Section, set_by_the_system};

/// Something in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) section: Section,
    pub(crate) entry: Entry,
    /// Digest of a file's content; also of a further name's.
    pub(crate) sha256: Option<Sha256Hex>,
}

/// Everything in a backup. Folders on the way are in it unless a section has them as its own.
pub(crate) type Listing = BTreeMap<RelPath, Item>;

/// Lists some sections.
pub(crate) fn read_listing(backup: &Backup, sections: &[Section]) -> Result<Listing, FormError> {
    let mut listing = Listing::new();
    let mut unread = Vec::new();
    for section in sections {
        let Some(mut reader) = backup.section(section.word())? else { continue };
        while let Some(record) = reader.next()? {
            let Record::Entry(entry) = record else { continue };
            let sha256 = match &entry.kind {
                Kind::File { .. } => loop {
                    if let FilePart::End { sha256 } = reader.part(&mut unread)? {
                        break Some(sha256);
                    }
                },
                Kind::HardLink { first } => listing.get(first).and_then(|item| item.sha256),
                _ => None,
            };
            if entry.kind == Kind::OnTheWay && listing.contains_key(&entry.path) {
                continue;
            }
            listing.insert(entry.path.clone(), Item { section: *section, entry, sha256 });
        }
    }
    Ok(listing)
}

/// In what two entries differ, in words; empty if they mean the same. Times are not asked for.
pub(crate) fn differs(a: &Item, b: &Item) -> Vec<&'static str> {
    let mut list = Vec::new();
    let plain = |kind: &Kind| matches!(kind, Kind::File { .. } | Kind::HardLink { .. });
    match (&a.entry.kind, &b.entry.kind) {
        (x, y) if x.is_folder() && y.is_folder() => {}
        (x, y) if plain(x) && plain(y) => {
            if a.sha256 != b.sha256 {
                list.push("content");
            }
            let first = |kind: &Kind| match kind {
                Kind::HardLink { first } => Some(first.clone()),
                _ => None,
            };
            if first(x) != first(y) {
                list.push("names of the file");
            }
        }
        (x, y) if std::mem::discriminant(x) != std::mem::discriminant(y) => return vec!["kind"],
        (Kind::Link { target: x }, Kind::Link { target: y }) => {
            if x != y {
                list.push("target");
            }
        }
        (x, y) => {
            if x != y {
                list.push("device number");
            }
        }
    }
    let (x, y) = (a.entry.meta, b.entry.meta);
    if x.mode != y.mode && !matches!(a.entry.kind, Kind::Link { .. }) {
        list.push("mode");
    }
    if (x.uid, x.gid) != (y.uid, y.gid) {
        list.push("owner");
    }
    if attributes(&a.entry, &b.entry) != attributes(&b.entry, &a.entry) {
        list.push("attributes");
    }
    list
}

/// The attributes of `a` that count in comparison with `b`: what the system gives by itself only where both have it.
fn attributes<'a>(a: &'a Entry, b: &Entry) -> Vec<&'a crate::form::Xattr> {
    let in_b = |name: &[u8]| b.xattrs.iter().any(|xattr| xattr.name == name);
    a.xattrs.iter().filter(|xattr| !set_by_the_system(&xattr.name) || in_b(&xattr.name)).collect()
}

/// A file without a name, which nobody else can open, and which is gone with the process: for the present state of a host,
/// secrets included.
pub(crate) fn scratch(folder: &Path) -> Result<File, FormError> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let unnamed = rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR);
    let fd = unnamed.or_else(|_| rustix::fs::memfd_create("lifeboat-host-state", MemfdFlags::CLOEXEC));
    fd.map(File::from).map_err(|error| FormError::io("making a scratch file in", folder)(error.into()))
}
