//! The small tree of a fresh volume: names, clusters, directory entries.

use super::format::FatWriteError;
use super::geometry::{Kind, Sizes};
use super::names::{alias, is_writable, long_entries, short_form};
use super::report::FatTime;
use crate::bytes::put;

/// Byte 12 of an entry: the base, or the extension, is shown in small letters (Windows NT and Linux).
const SMALL_BASE: u8 = 0x08;
const SMALL_EXTENSION: u8 = 0x10;
const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
const LABEL: u8 = 0x08;

/// A file or directory that is placed on the volume.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    short: [u8; 11],
    /// Index in the list of files; none for a directory.
    pub(super) file: Option<usize>,
    pub(super) children: Vec<Node>,
    /// Bytes of the file, or of the directory's own entries.
    pub(super) bytes: u64,
    /// First cluster; 0 for an empty file and for the fixed root of FAT16.
    pub(super) cluster: u64,
    /// Time of the last change. Without one it is the first that FAT knows: a volume depends on its content alone.
    modified: Option<FatTime>,
    /// How the root, and so everything below it, is written.
    style: Style,
}

/// What differs between the volumes that we make.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// Small letters are kept by bits of the 8.3 entry where they can be, instead of by a long name.
    small_bits: bool,
    /// The root holds the label.
    labelled: bool,
}

impl Node {
    /// The root directory.
    pub(super) fn root() -> Self {
        Self::new(String::new(), [b' '; 11], Style { small_bits: false, labelled: true })
    }

    /// The root directory of a bank of ESXi, whose names are 8.3 in small letters.
    pub(super) fn bank_root(labelled: bool) -> Self {
        Self::new(String::new(), [b' '; 11], Style { small_bits: true, labelled })
    }

    /// An empty directory.
    fn new(name: String, short: [u8; 11], style: Style) -> Self {
        Self { name, short, file: None, children: Vec::new(), bytes: 0, cluster: 0, modified: None, style }
    }

    /// Adds the file with the index `file` and `bytes` bytes at `path`, with the directories that lead to it.
    pub(super) fn add(&mut self, path: &str, file: usize, bytes: u64) -> Result<(), FatWriteError> {
        self.add_dated(path, file, bytes, None)
    }

    /// The same, for a file that was changed last at `modified`.
    pub(super) fn add_dated(
        &mut self,
        path: &str,
        file: usize,
        bytes: u64,
        modified: Option<FatTime>,
    ) -> Result<(), FatWriteError> {
        let bad = |reason| FatWriteError::BadPath { path: path.to_owned(), reason };
        if path.split('/').any(|part| !is_writable(part)) {
            return Err(bad("a name in it is empty, too long, or has characters that FAT does not allow"));
        }
        let (folders, name) =
            path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        let mut at = self;
        for folder in folders.into_iter().flat_map(|folders| folders.split('/')) {
            at = at.folder(folder).ok_or_else(|| bad("a file stands where it needs a directory"))?;
        }
        if at.find(name).is_some() {
            return Err(bad("the name is there already; case does not tell names apart"));
        }
        let short = at.free_short(name);
        let node = Self::new(name.to_owned(), short, at.style);
        at.children.push(Self { file: Some(file), bytes, modified, ..node });
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.name.eq_ignore_ascii_case(name))
    }

    fn folder(&mut self, name: &str) -> Option<&mut Self> {
        if self.find(name).is_none() {
            let short = self.free_short(name);
            self.children.push(Self::new(name.to_owned(), short, self.style));
        }
        let index = self.find(name)?;
        self.children.get_mut(index).filter(|child| child.file.is_none())
    }

    fn free_short(&self, name: &str) -> [u8; 11] {
        let taken = |short: &[u8; 11]| self.children.iter().any(|child| child.short == *short);
        if let Some(short) = short_form(name).filter(|short| !taken(short)) {
            return short;
        }
        (1..=99_999).map(|number| alias(name, number)).find(|short| !taken(short)).unwrap_or([b'_'; 11])
    }

    fn is_root(&self) -> bool {
        self.name.is_empty()
    }

    /// Gives clusters from `next` on to this node and all below it, directories before files.
    pub(super) fn place(&mut self, sizes: &Sizes, next: &mut u64) {
        self.place_folders(sizes, next);
        self.place_files(sizes, next);
    }

    fn place_folders(&mut self, sizes: &Sizes, next: &mut u64) {
        if self.file.is_some() {
            return;
        }
        // Root: the volume label, if any. Others: "." and "..".
        let own = if self.is_root() { u64::from(self.style.labelled) } else { 2 };
        let entries: usize = self.children.iter().map(Self::entry_count).sum();
        self.bytes = (entries as u64 + own) * 32;
        if !(self.is_root() && sizes.kind == Kind::Fat16) {
            self.cluster = *next;
            *next += self.bytes.div_ceil(sizes.cluster_bytes());
        }
        for child in &mut self.children {
            child.place_folders(sizes, next);
        }
    }

    fn place_files(&mut self, sizes: &Sizes, next: &mut u64) {
        if self.file.is_some() && self.bytes > 0 {
            self.cluster = *next;
            *next += self.bytes.div_ceil(sizes.cluster_bytes());
        }
        for child in &mut self.children {
            child.place_files(sizes, next);
        }
    }

    fn entry_count(&self) -> usize {
        if self.needs_long() { 1 + self.name.len().div_ceil(13) } else { 1 }
    }

    fn needs_long(&self) -> bool {
        let short = super::names::short_text(&self.short);
        let same = short == self.name || (self.small().is_some() && short.eq_ignore_ascii_case(&self.name));
        !same
    }

    /// Byte 12 of the entry, if small letters can be told by it.
    fn small(&self) -> Option<u8> {
        if !self.style.small_bits {
            return None;
        }
        let (base, extension) = self.name.split_once('.').unwrap_or((&self.name, ""));
        let bits = |part: &str, bit: u8| {
            let (small, large) = (
                part.contains(|c: char| c.is_ascii_lowercase()),
                part.contains(|c: char| c.is_ascii_uppercase()),
            );
            (!(small && large)).then_some(if small { bit } else { 0 })
        };
        Some(bits(base, SMALL_BASE)? | bits(extension, SMALL_EXTENSION)?)
    }

    /// The entries of this directory; `parent` is the first cluster of the directory above, 0 for the root.
    pub(super) fn directory(&self, label: &[u8; 11], parent: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let dated = self.modified;
        if !self.is_root() {
            out.extend(entry(b".          ", DIRECTORY, self.cluster, 0, dated));
            out.extend(entry(b"..         ", DIRECTORY, parent, 0, dated));
        } else if self.style.labelled {
            out.extend(entry(label, LABEL, 0, 0, dated));
        }
        for child in &self.children {
            if child.needs_long() {
                out.extend(long_entries(&child.name, &child.short).into_iter().flatten());
            }
            let (attribute, bytes) =
                if child.file.is_some() { (ARCHIVE, child.bytes) } else { (DIRECTORY, 0) };
            let mut made = entry(&child.short, attribute, child.cluster, bytes, child.modified);
            if !child.needs_long() {
                made[12] = child.small().unwrap_or(0);
            }
            out.extend(made);
        }
        out
    }
}

fn entry(short: &[u8; 11], attribute: u8, cluster: u64, bytes: u64, modified: Option<FatTime>) -> [u8; 32] {
    let mut out = [0_u8; 32];
    put(&mut out, 0, short);
    put(&mut out, 11, &[attribute]);
    let (date, time) = modified.unwrap_or(FatTime::FIRST).to_fields();
    for at in [16, 18, 24] {
        put(&mut out, at, &date.to_le_bytes());
    }
    for at in [14, 22] {
        put(&mut out, at, &time.to_le_bytes());
    }
    let cluster = u32::try_from(cluster).unwrap_or(0).to_le_bytes();
    put(&mut out, 20, &[cluster[2], cluster[3]]);
    put(&mut out, 26, &[cluster[0], cluster[1]]);
    put(&mut out, 28, &u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes());
    out
}
