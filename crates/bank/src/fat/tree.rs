//! The small tree of a fresh volume: names, clusters, directory entries.

use super::format::FatWriteError;
use super::geometry::{Kind, Sizes};
use super::names::{alias, is_writable, long_entries, short_form};
use crate::bytes::put;

/// 1 January 1980 in the form of FAT: a volume depends on its content alone.
const DATE: u16 = (1 << 5) | 1;
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
}

impl Node {
    /// The root directory.
    pub(super) fn root() -> Self {
        Self {
            name: String::new(),
            short: [b' '; 11],
            file: None,
            children: Vec::new(),
            bytes: 0,
            cluster: 0,
        }
    }

    /// Adds the file with the index `file` and `bytes` bytes at `path`, with the directories that lead to it.
    pub(super) fn add(&mut self, path: &str, file: usize, bytes: u64) -> Result<(), FatWriteError> {
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
        at.children.push(Self {
            name: name.to_owned(),
            short,
            file: Some(file),
            children: Vec::new(),
            bytes,
            cluster: 0,
        });
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.children.iter().position(|child| child.name.eq_ignore_ascii_case(name))
    }

    fn folder(&mut self, name: &str) -> Option<&mut Self> {
        if self.find(name).is_none() {
            let short = self.free_short(name);
            let child =
                Self { name: name.to_owned(), short, file: None, children: Vec::new(), bytes: 0, cluster: 0 };
            self.children.push(child);
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
        // Root: the volume label. Others: "." and "..".
        let own = if self.is_root() { 1 } else { 2 };
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
        super::names::short_text(&self.short) != self.name
    }

    /// The entries of this directory; `parent` is the first cluster of the directory above, 0 for the root.
    pub(super) fn directory(&self, label: &[u8; 11], parent: u64) -> Vec<u8> {
        let mut out = Vec::new();
        if self.is_root() {
            out.extend(entry(label, LABEL, 0, 0));
        } else {
            out.extend(entry(b".          ", DIRECTORY, self.cluster, 0));
            out.extend(entry(b"..         ", DIRECTORY, parent, 0));
        }
        for child in &self.children {
            if child.needs_long() {
                out.extend(long_entries(&child.name, &child.short).into_iter().flatten());
            }
            let (attribute, bytes) =
                if child.file.is_some() { (ARCHIVE, child.bytes) } else { (DIRECTORY, 0) };
            out.extend(entry(&child.short, attribute, child.cluster, bytes));
        }
        out
    }
}

fn entry(short: &[u8; 11], attribute: u8, cluster: u64, bytes: u64) -> [u8; 32] {
    let mut out = [0_u8; 32];
    put(&mut out, 0, short);
    put(&mut out, 11, &[attribute]);
    for at in [16, 18, 24] {
        put(&mut out, at, &DATE.to_le_bytes());
    }
    let cluster = u32::try_from(cluster).unwrap_or(0).to_le_bytes();
    put(&mut out, 20, &[cluster[2], cluster[3]]);
    put(&mut out, 26, &[cluster[0], cluster[1]]);
    put(&mut out, 28, &u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes());
    out
}
