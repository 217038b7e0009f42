//! Looking at a tree with a budget: links resolved inside the root, short files as text, what was odd remembered.
//!
//! Promises: a link never leads out of the root, and a chain of more than 40 links ends the look; every look costs one
//! of a fixed number, and when they are used up nothing more is read and [`View::exhausted`] says so. Does not: know
//! what a file means.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::seen::{Tree, TreeError};
use crate::model::Remark;

/// Looks at one tree. 100,000 paths cost about thirty each.
const LOOKS: u64 = 4_000_000;

/// Links in one chain, as in the kernel.
const LINKS: usize = 40;

/// Longest path.
const PATH: usize = 4096;

/// Longest attribute of sysfs: one page.
const ATTRIBUTE: usize = 4096;

/// Most remarks that are kept.
const REMARKS: usize = 100;

pub(crate) struct View<'t> {
    tree: &'t dyn Tree,
    left: Cell<u64>,
    remarks: RefCell<Vec<Remark>>,
    known: RefCell<BTreeMap<String, Option<String>>>,
}

impl<'t> View<'t> {
    pub(crate) fn new(tree: &'t dyn Tree) -> Self {
        Self::with_looks(tree, LOOKS)
    }

    pub(crate) fn with_looks(tree: &'t dyn Tree, looks: u64) -> Self {
        Self {
            tree,
            left: Cell::new(looks),
            remarks: RefCell::new(Vec::new()),
            known: RefCell::new(BTreeMap::new()),
        }
    }

    /// Whether the budget was used up.
    pub(crate) fn exhausted(&self) -> bool {
        self.left.get() == 0
    }

    pub(crate) fn remark(&self, about: &str, text: impl Into<String>) {
        let mut remarks = self.remarks.borrow_mut();
        if remarks.len() < REMARKS {
            remarks.push(Remark { about: about.to_owned(), text: text.into() });
        }
    }

    pub(crate) fn into_remarks(self) -> Vec<Remark> {
        self.remarks.into_inner()
    }

    fn spend(&self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 1
    }

    /// Content of a file of at most `limit` bytes. Its folder is resolved; the file itself may not be a link.
    pub(crate) fn bytes(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.resolve(folder)?;
        if !self.spend() {
            return None;
        }
        let place = join(&folder, name);
        match self.tree.read_file(&place, limit) {
            Ok(bytes) => Some(bytes),
            Err(TreeError::NotFound) => None,
            Err(error @ (TreeError::NotA(_) | TreeError::TooLong { .. } | TreeError::NotText)) => {
                self.remark(&place, format!("not read: {error}"));
                None
            }
            // Attributes of devices that are gone or do not answer: ENODEV, EIO, EINVAL; or not for this user.
            Err(TreeError::Io(error)) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    self.remark(&place, "not read: only root may");
                }
                None
            }
        }
    }

    /// A short file as text without the blanks around it; none when it is empty.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path, ATTRIBUTE)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    pub(crate) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Names in a folder, sorted; empty when it is not there.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let Some(place) = self.resolve(path) else { return Vec::new() };
        if !self.spend() {
            return Vec::new();
        }
        match self.tree.read_dir(&place) {
            Ok(mut names) => {
                names.retain(|name| !name.is_empty() && name != "." && name != ".." && !name.contains('/'));
                names.sort();
                names
            }
            Err(_) => Vec::new(),
        }
    }

    /// Whether something is there after all links.
    pub(crate) fn there(&self, path: &str) -> bool {
        self.resolve(path).is_some()
    }

    /// Where a link points, as written.
    pub(crate) fn target(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let place = join(&self.resolve(folder)?, name);
        if !self.spend() {
            return None;
        }
        self.tree.read_link(&place).ok().flatten()
    }

    /// Last part of where a link points: the name of a driver, of a device.
    pub(crate) fn target_name(&self, path: &str) -> Option<String> {
        let target = self.target(path)?;
        let name = target.trim_end_matches('/').rsplit('/').next()?;
        (!name.is_empty() && name != "." && name != "..").then(|| name.to_owned())
    }

    /// The place without links; none when something on the way is not there or turns in a circle.
    pub(crate) fn resolve(&self, path: &str) -> Option<String> {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let (place, last_there) = self.walk(path)?;
        let found = last_there.then_some(place);
        self.known.borrow_mut().insert(path.to_owned(), found.clone());
        found
    }

    /// As [`View::resolve`], but the last part need not be there: a dump has links to device nodes, and no nodes.
    pub(crate) fn resolve_node(&self, path: &str) -> Option<String> {
        self.walk(path).map(|(place, _)| place)
    }

    fn walk(&self, path: &str) -> Option<(String, bool)> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut place = String::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    let cut = place.rfind('/').unwrap_or(0);
                    place.truncate(cut);
                    continue;
                }
                _ => {}
            }
            let next = join(&place, &part);
            if next.len() > PATH || !self.spend() {
                return None;
            }
            match self.tree.read_link(&next) {
                Ok(Some(target)) => {
                    links += 1;
                    if links > LINKS || target.len() > PATH {
                        self.remark(path, "not read: too many links on the way");
                        return None;
                    }
                    if target.starts_with('/') {
                        place.clear();
                    }
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
                Ok(None) => place = next,
                Err(_) if todo.iter().all(|part| part.is_empty() || part == ".") => {
                    return Some((next, false));
                }
                Err(_) => return None,
            }
        }
        Some((place, true))
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::tree::MemTree;

    #[test]
    fn links_are_followed_inside_the_root_and_circles_end() {
        let mut tree = MemTree::new();
        tree.file("sys/devices/a/size", "17\n");
        tree.link("sys/block/a", "../devices/a");
        tree.link("sys/absolute", "/sys/devices/a");
        tree.link("sys/out", "../../../../../../sys/devices/a");
        tree.link("sys/one", "two");
        tree.link("sys/two", "one");
        tree.link("sys/self", "self/self");
        let view = View::new(&tree);
        for path in ["sys/block/a/size", "sys/absolute/size", "sys/out/size"] {
            assert_eq!(view.number(path), Some(17), "{path}");
        }
        assert_eq!(view.text("sys/one/size"), None);
        assert_eq!(view.text("sys/self/size"), None);
        assert_eq!(view.resolve_node("sys/block/a/gone").unwrap(), "sys/devices/a/gone");
    }

    #[test]
    fn a_budget_that_is_used_up_ends_every_look() {
        let mut tree = MemTree::new();
        tree.file("a/b", "x");
        let view = View::with_looks(&tree, 3);
        assert_eq!(view.text("a/b").as_deref(), Some("x"));
        assert_eq!(view.text("a/b"), None);
        assert!(view.exhausted());
    }
}
