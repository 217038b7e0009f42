//! From two backups, or a backup and a root, to a list of differences.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use thiserror::Error;

use super::listing::{Item, Listing, differs, read_listing, scratch};
use super::{semantic, text, xml};
use crate::backup::{BackupError, BackupRequest, write_backup};
use crate::form::{Backup, Entry, FilePart, FormError, Kind, Purpose, Record};
use crate::path::{RelPath, shown};
use crate::root::{Root, Section};

/// Largest file whose lines are compared.
const TEXT_LIMIT: u64 = 256 << 10;
/// Most bytes of content that are held for comparing lines.
const HELD_LIMIT: u64 = 64 << 20;

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Only in the second state.
    Added,
    /// Only in the first state.
    Removed,
    /// In both, and not the same.
    Changed,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The section.
    pub section: Section,
    /// The path.
    pub path: RelPath,
    /// What happened.
    pub kind: ChangeKind,
    /// What it is.
    pub what: &'static str,
    /// In what it differs: `content`, `mode`, …, each with both values where they are short.
    pub differs: Vec<String>,
    /// Unified difference of a text.
    pub text: Option<String>,
    /// Why there is no such.
    pub not_shown: Option<&'static str>,
}

/// All differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The first state: product, host, time.
    pub old: String,
    /// The second.
    pub new: String,
    /// Differences of product and host, in words.
    pub general: Vec<String>,
    /// Paths.
    pub changes: Vec<Change>,
    /// Differences of cards, devices, definitions, packages: section and words.
    pub facts: Vec<(&'static str, String)>,
}

impl Differences {
    /// Whether both states are the same.
    pub fn is_empty(&self) -> bool {
        self.general.is_empty() && self.changes.is_empty() && self.facts.is_empty()
    }
}

/// Why two states could not be compared.
#[derive(Debug, Error)]
pub enum DiffError {
    /// A backup.
    #[error(transparent)]
    Form(#[from] FormError),
    /// The present state.
    #[error(transparent)]
    Backup(#[from] BackupError),
}

/// The differences from a backup to the present state of a root.
pub fn diff_with_root(
    old: &Backup,
    root: &Root,
    request: &BackupRequest<'_>,
    secrets: bool,
) -> Result<Differences, DiffError> {
    let file = scratch(&std::env::temp_dir())?;
    let product = Some(old.index().product.clone());
    let (file, _) = write_backup(root, request, Purpose::Undo, product, file, root.path())?;
    diff(old, &Backup::verify(file, root.path())?, secrets)
}

/// The differences from one backup to another. Content that not everybody may read is shown with `secrets` only.
pub fn diff(old: &Backup, new: &Backup, secrets: bool) -> Result<Differences, DiffError> {
    let (a, b) = (read_listing(old, &Section::ALL)?, read_listing(new, &Section::ALL)?);
    let mut changes = compare(&a, &b);
    let wanted = texts_wanted(&changes, &a, &b, secrets);
    let (old_texts, new_texts) = (contents(old, &wanted)?, contents(new, &wanted)?);
    changes.retain_mut(|change| {
        let content = change.differs.iter().any(|what| what == "content");
        if !content {
            return true;
        }
        let (Some(before), Some(after)) = (old_texts.get(&change.path), new_texts.get(&change.path)) else {
            let secret =
                |listing: &Listing| listing.get(&change.path).is_some_and(|item| is_secret(&item.entry));
            change.not_shown = Some(if !secrets && (secret(&a) || secret(&b)) {
                "not everybody may read it"
            } else {
                "it is too large"
            });
            return true;
        };
        if change.path.as_bytes().ends_with(b".xml")
            && let (Some(before), Some(after)) = (xml::canonical(before), xml::canonical(after))
        {
            if before == after {
                change.differs.retain(|what| what != "content");
                return !change.differs.is_empty();
            }
            show(change, &lines_of(&before), &lines_of(&after));
            return true;
        }
        match (as_text(before), as_text(after)) {
            (Some(before), Some(after)) => {
                show(change, &before.lines().collect::<Vec<_>>(), &after.lines().collect::<Vec<_>>());
            }
            _ => change.not_shown = Some("it is no text"),
        }
        true
    });
    let of = |backup: &Backup| {
        let index = backup.index();
        let name = index.host.hostname.as_deref().unwrap_or("a host without a name");
        format!("{name}, {}, {}", index.product, index.made.time)
    };
    Ok(Differences {
        old: of(old),
        new: of(new),
        general: general(old, new),
        changes,
        facts: semantic::documents(old, new)?,
    })
}

fn lines_of(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

fn show(change: &mut Change, before: &[&str], after: &[&str]) {
    let before: Vec<String> = before.iter().map(|line| printable(line)).collect();
    let after: Vec<String> = after.iter().map(|line| printable(line)).collect();
    change.text = text::unified(&lines_of(&before), &lines_of(&after));
    change.not_shown = match &change.text {
        None => Some("more than 1000 lines differ"),
        // The end of the last line, or of all lines.
        Some(text) if text.is_empty() => Some("only ends of lines differ"),
        Some(_) => None,
    };
}

/// A line that does no harm on a terminal; tabs stay.
fn printable(line: &str) -> String {
    line.split('\t').map(|part| shown(part.as_bytes()).replace("\\x5c", "\\")).collect::<Vec<_>>().join("\t")
}

fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

fn general(old: &Backup, new: &Backup) -> Vec<String> {
    let (a, b) = (old.index(), new.index());
    let mut lines = Vec::new();
    if a.product != b.product {
        lines.push(format!("product {} → {}", a.product, b.product));
    }
    let none = || "none".to_owned();
    for (what, x, y) in [
        ("host name", &a.host.hostname, &b.host.hostname),
        ("machine-id", &a.host.machine_id, &b.host.machine_id),
        ("UUID of the machine", &a.host.dmi_uuid, &b.host.dmi_uuid),
        ("kernel", &a.host.kernel, &b.host.kernel),
    ] {
        if x != y {
            lines.push(format!(
                "{what} {} → {}",
                x.clone().unwrap_or_else(none),
                y.clone().unwrap_or_else(none)
            ));
        }
    }
    if a.banks != b.banks {
        lines.push("boot banks differ (lifeboat host show-backup tells both)".to_owned());
    }
    lines
}

fn compare(a: &Listing, b: &Listing) -> Vec<Change> {
    let paths: BTreeSet<&RelPath> = a.keys().chain(b.keys()).collect();
    let mut changes = Vec::new();
    for path in paths {
        let (kind, item, list) = match (a.get(path), b.get(path)) {
            (Some(old), Some(new)) => {
                if old.entry.kind == Kind::OnTheWay || new.entry.kind == Kind::OnTheWay {
                    continue;
                }
                let list = differs(old, new);
                if list.is_empty() {
                    continue;
                }
                (ChangeKind::Changed, new, list.into_iter().map(|what| told(what, old, new)).collect())
            }
            (Some(item), None) => (ChangeKind::Removed, item, Vec::new()),
            (None, Some(item)) => (ChangeKind::Added, item, Vec::new()),
            (None, None) => continue,
        };
        if item.entry.kind == Kind::OnTheWay {
            continue;
        }
        changes.push(Change {
            section: item.section,
            path: path.clone(),
            kind,
            what: item.entry.kind.word(),
            differs: list,
            text: None,
            not_shown: None,
        });
    }
    changes
}

fn told(what: &str, old: &Item, new: &Item) -> String {
    let (a, b) = (old.entry.meta, new.entry.meta);
    match (what, &old.entry.kind, &new.entry.kind) {
        ("mode", ..) => format!("mode {:04o} → {:04o}", a.mode, b.mode),
        ("owner", ..) => format!("owner {}:{} → {}:{}", a.uid, a.gid, b.uid, b.gid),
        ("target", Kind::Link { target: x }, Kind::Link { target: y }) => {
            format!("target {} → {}", shown(x), shown(y))
        }
        ("kind", x, y) => format!("{} → {}", x.word(), y.word()),
        ("attributes", ..) => {
            let names = |entry: &Entry, other: &Entry| -> Vec<String> {
                let new = |xattr: &&crate::form::Xattr| !other.xattrs.contains(xattr);
                entry.xattrs.iter().filter(new).map(|xattr| shown(&xattr.name)).collect()
            };
            let mut list = names(&old.entry, &new.entry);
            list.extend(names(&new.entry, &old.entry));
            list.sort();
            list.dedup();
            format!("attributes {}", list.join(", "))
        }
        (what, ..) => what.to_owned(),
    }
}

fn is_secret(entry: &Entry) -> bool {
    entry.meta.mode & 0o004 == 0
}

/// Files whose lines are to be compared: small, on both sides, and for everybody to read.
fn texts_wanted(changes: &[Change], a: &Listing, b: &Listing, secrets: bool) -> BTreeSet<RelPath> {
    let mut held = 0;
    let mut wanted = BTreeSet::new();
    let is_small = |item: &&Item| match item.entry.kind {
        Kind::File { len } => len <= TEXT_LIMIT,
        _ => false,
    };
    for change in changes.iter().filter(|change| change.differs.iter().any(|what| what == "content")) {
        let items = (a.get(&change.path).filter(is_small), b.get(&change.path).filter(is_small));
        let (Some(old), Some(new)) = items else { continue };
        if !secrets && (is_secret(&old.entry) || is_secret(&new.entry)) {
            continue;
        }
        held += 2 * TEXT_LIMIT;
        if held > HELD_LIMIT {
            break;
        }
        wanted.insert(change.path.clone());
    }
    wanted
}

/// The content of some small files.
pub(crate) fn contents(
    backup: &Backup,
    wanted: &BTreeSet<RelPath>,
) -> Result<BTreeMap<RelPath, Vec<u8>>, FormError> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut piece = Vec::new();
    for section in Section::ALL {
        let Some(mut reader) = backup.section(section.word())? else { continue };
        while let Some(record) = reader.next()? {
            let Record::Entry(Entry { path, kind: Kind::File { len }, .. }) = record else { continue };
            if !wanted.contains(&path) {
                continue;
            }
            let mut bytes = vec![0; usize::try_from(len.min(4 << 20)).unwrap_or(0)];
            while let FilePart::Piece { offset } = reader.part(&mut piece)? {
                let at = usize::try_from(offset).unwrap_or(usize::MAX);
                if let Some(place) = at.checked_add(piece.len()).and_then(|end| bytes.get_mut(at..end)) {
                    place.copy_from_slice(&piece);
                }
            }
            found.insert(path, bytes);
        }
    }
    Ok(found)
}
