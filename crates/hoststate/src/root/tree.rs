//! Everything below a root that belongs into a backup, without the content of files.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{BEGINNINGS, Section, excluded, section_of};
use super::{Root, RootError, Seen};
use crate::form::{Entry, Kind, LeftOut};
use crate::path::RelPath;

/// Largest file that a backup carries; a larger one is named.
pub(crate) const LARGEST: u64 = 1 << 30;

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it is.
    pub entry: Entry,
    /// The section to which it belongs.
    pub section: Section,
    /// Names that the file has, also outside of what is kept.
    pub names: u64,
    /// Space that its content takes.
    pub blocks: u64,
}

/// Everything that belongs into a backup.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// In the order of a walk; a folder on the way has no section and is not here.
    pub found: Vec<Found>,
    /// Folders on the way, by path.
    pub on_the_way: BTreeMap<RelPath, Entry>,
    /// What is not kept, and why.
    pub left_out: Vec<LeftOut>,
}

/// Walks through a root. Memory goes with the number of files, not with their size.
pub fn read_tree(root: &Root) -> Result<Tree, RootError> {
    let mut walk = Walk { root, tree: Tree::default(), first: BTreeMap::new() };
    for beginning in BEGINNINGS {
        walk.step(&RelPath::new(beginning.as_bytes())?)?;
    }
    walk.tree.found.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
    walk.folders_on_the_way()?;
    Ok(walk.tree)
}

struct Walk<'a> {
    root: &'a Root,
    tree: Tree,
    /// First name of every file that has several, per section: a section can be restored alone.
    first: BTreeMap<(Section, u64, u64), RelPath>,
}

impl Walk<'_> {
    fn step(&mut self, path: &RelPath) -> Result<(), RootError> {
        let seen = match self.root.look(path) {
            // A beginning that lies behind a link belongs to somebody else's tree.
            Err(RootError::ThroughALink { .. }) => {
                self.leave(path, "lies behind a symbolic link");
                return Ok(());
            }
            seen => seen?,
        };
        let Some(seen) = seen else { return Ok(()) };
        if let Some(why) = excluded(path) {
            self.leave(path, why);
            // A person wants to know which guests have saved memory.
            if path.is_within("var/lib/libvirt/qemu/save") {
                for name in self.root.names(path)?.unwrap_or_default() {
                    self.leave(&path.join(&name)?, why);
                }
            }
            return Ok(());
        }
        let (Some(mut entry), Some(section)) = (seen.entry, section_of(path)) else {
            self.leave(path, "is a socket; whoever listens makes it anew");
            return Ok(());
        };
        let folder = entry.kind.is_folder();
        if let Kind::File { len } = entry.kind {
            if len > LARGEST {
                self.leave(path, "is larger than 1 GiB");
                return Ok(());
            }
            if seen.names > 1 {
                let key = (section, seen.dev, seen.ino);
                if let Some(first) = self.first.get(&key) {
                    entry.kind = Kind::HardLink { first: first.clone() };
                } else {
                    self.first.insert(key, path.clone());
                }
            }
        }
        self.tree.found.push(Found { entry, section, names: seen.names, blocks: seen.blocks });
        if folder {
            for name in self.root.names(path)?.unwrap_or_default() {
                self.step(&path.join(&name)?)?;
            }
        }
        Ok(())
    }

    fn leave(&mut self, path: &RelPath, why: &str) {
        self.tree.left_out.push(LeftOut { path: path.to_string(), why: why.to_owned() });
    }

    /// Every folder that leads to something found.
    fn folders_on_the_way(&mut self) -> Result<(), RootError> {
        let mut wanted = BTreeSet::new();
        for found in &self.tree.found {
            for folder in found.entry.path.ancestors() {
                wanted.insert(folder);
            }
        }
        for folder in wanted {
            if let Some(Seen { entry: Some(mut entry), .. }) = self.root.look(&folder)? {
                entry.kind = Kind::OnTheWay;
                self.tree.on_the_way.insert(folder, entry);
            }
        }
        Ok(())
    }
}
