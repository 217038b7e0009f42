//! From the root to every entry.
//!
//! Owns: the tree as one FAT shows it, with everything that is wrong about entries. Promises: each directory is read
//! once, depth, entries, names and bytes have limits, and each limit that is met is a finding. Does not: judge the
//! boot sector, or follow chains by itself.

use std::collections::BTreeMap;

use lifeboat_model::io::ReadAt;

use super::chain::{Claim, Leftover, Owners};
use super::entry::{Entry, Sort, split};
use super::judge_entry::{is_dot, is_garbage};
use super::names::{Long, short_text};
use super::shape::Shape;
use super::table::{Differences, Table};
use crate::fat::report::{FatCode, FatFinding, FatKind, FatNode, FatSeverity};

/// Deepest directory: a path of 260 characters has at most this many parts.
const MAX_DEPTH: usize = 128;
/// Most files and directories.
const MAX_NODES: usize = 200_000;
/// Most bytes of all paths together.
const MAX_PATHS: usize = 32 << 20;
/// Most bytes of all directories together.
const MAX_DIRECTORIES: u64 = 128 << 20;
/// Most bytes of one directory (specification: 65,536 entries).
const MAX_DIRECTORY: u64 = 65_536 * 32;
/// Findings of one kind in one directory that are listed one by one.
pub(super) const MAX_ALIKE: u32 = 16;
/// Findings in all.
pub(super) const MAX_FINDINGS: usize = 4096;

/// A node and where its entry lies.
#[derive(Debug)]
pub(in crate::fat) struct Item {
    pub(in crate::fat) node: FatNode,
    /// Index of the directory that holds it; none in the root.
    pub(in crate::fat) parent: Option<usize>,
    /// Number of its short entry in that directory, and of long parts right before it.
    pub(in crate::fat) index: usize,
    pub(in crate::fat) parts: usize,
    /// Runs of clusters that it owns: first, number. Of a file too.
    pub(in crate::fat) runs: Vec<(u32, u32)>,
}

/// The tree as one FAT shows it.
#[derive(Debug)]
pub(in crate::fat) struct Tree {
    pub(in crate::fat) items: Vec<Item>,
    pub(in crate::fat) findings: Vec<FatFinding>,
    pub(in crate::fat) leftover: Leftover,
    pub(in crate::fat) labels: Vec<[u8; 11]>,
    /// Runs of the root's clusters on FAT32.
    pub(in crate::fat) root_runs: Vec<(u32, u32)>,
    /// Pairs of items that own the same cluster; none is the root of FAT32.
    pub(in crate::fat) crossings: Vec<(Option<usize>, Option<usize>)>,
}

impl Tree {
    pub(in crate::fat) fn damage(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity != FatSeverity::Innocent).count()
    }
}

/// What a walk looks at.
#[derive(Clone, Copy)]
pub(in crate::fat) struct View<'a> {
    pub(in crate::fat) disk: &'a dyn ReadAt,
    pub(in crate::fat) base: u64,
    pub(in crate::fat) shape: &'a Shape,
    pub(in crate::fat) table: &'a Table,
    /// Clusters about which the two FATs disagree, when that casts doubt on what is read.
    pub(in crate::fat) differ: &'a Differences,
    /// Bytes of the volume that exist.
    pub(in crate::fat) present: u64,
}

pub(super) struct Walk<'a> {
    pub(super) view: View<'a>,
    pub(super) owners: Owners,
    pub(super) items: Vec<Item>,
    pub(super) findings: Vec<FatFinding>,
    pub(super) crossings: Vec<(Option<usize>, Option<usize>)>,
    labels: Vec<[u8; 11]>,
    pub(super) behind: Vec<(String, [u8; 11], u32)>,
    path_bytes: usize,
    directory_bytes: u64,
    pub(super) alike: BTreeMap<(Option<usize>, FatCode), u32>,
    limit_told: bool,
}

/// Names of one directory.
#[derive(Default)]
pub(super) struct Seen {
    /// 8.3 and long names in capitals, and the item that has them: a driver looks for either.
    pub(super) names: BTreeMap<String, usize>,
    /// How often each was shown.
    shown: BTreeMap<String, u32>,
}

impl Seen {
    /// The name as it is shown: the second of its kind has `#2` behind it.
    fn label(&mut self, name: &str) -> String {
        let mut label = name.to_owned();
        loop {
            let count = self.shown.entry(label.to_uppercase()).or_insert(0);
            *count += 1;
            if *count == 1 {
                return label;
            }
            label = format!("{label}#{count}");
        }
    }
}

/// Owner number of the FAT32 root.
const ROOT: u32 = u32::MAX;

impl View<'_> {
    /// Walks the whole tree.
    pub(in crate::fat) fn walk(self) -> Tree {
        let owners = Owners::new(self.table);
        let mut walk = Walk {
            view: self,
            owners,
            items: Vec::new(),
            findings: Vec::new(),
            crossings: Vec::new(),
            labels: Vec::new(),
            behind: Vec::new(),
            path_bytes: 0,
            directory_bytes: 0,
            alike: BTreeMap::new(),
            limit_told: false,
        };
        let mut root_runs = Vec::new();
        let root = if self.shape.kind == FatKind::Fat32 {
            let claim = walk.owners.claim(self.table, self.differ, ROOT, self.shape.root_cluster);
            walk.judge_directory(None, "the root directory", &claim);
            root_runs.clone_from(&claim.runs);
            walk.read_runs(None, "the root directory", &claim.runs)
        } else {
            walk.read_root()
        };
        if let Some(bytes) = root {
            walk.list(&bytes, None, 0);
        }
        let leftover = walk.owners.leftover(self.table);
        walk.tell_leftover(&leftover);
        walk.tell_behind();
        Tree {
            items: walk.items,
            findings: walk.findings,
            leftover,
            labels: walk.labels,
            root_runs,
            crossings: walk.crossings,
        }
    }
}

impl Walk<'_> {
    /// Adds a finding about the entry or directory `path` inside the directory `parent`.
    pub(super) fn tell(&mut self, code: FatCode, parent: Option<usize>, path: Option<&str>, text: String) {
        let count = self.alike.entry((parent, code)).or_insert(0);
        *count += 1;
        if *count > MAX_ALIKE || self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let innocent = matches!(code, FatCode::BadClusters | FatCode::LabelTwice);
        let severity = if innocent { FatSeverity::Innocent } else { FatSeverity::Damage };
        self.findings.push(FatFinding { code, severity, path: path.map(str::to_owned), text });
    }

    fn tell_limit(&mut self, what: &str) {
        if !self.limit_told {
            self.limit_told = true;
            let text = format!(
                "the volume has more than {what}: the rest is not examined, and no bank is like this"
            );
            self.tell(FatCode::Limit, None, None, text);
        }
    }

    fn read_root(&mut self) -> Option<Vec<u8>> {
        let (offset, len) = (self.view.shape.root_offset, self.view.shape.root_bytes);
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        match self.view.disk.read_at(self.view.base + offset, &mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) => {
                let at = self.view.base + offset;
                let text = format!("the root directory at byte {at} of the disk cannot be read: {error}");
                self.findings.push(FatFinding {
                    code: FatCode::Io,
                    severity: FatSeverity::Unreadable,
                    path: None,
                    text,
                });
                None
            }
        }
    }

    /// The bytes of a directory in these clusters; what cannot be read is zeros, with a finding.
    fn read_runs(&mut self, parent: Option<usize>, path: &str, runs: &[(u32, u32)]) -> Option<Vec<u8>> {
        let cluster = self.view.shape.cluster_bytes();
        let all: u64 = runs.iter().map(|&(_, count)| u64::from(count) * cluster).sum();
        if all > MAX_DIRECTORY {
            let text = format!(
                "{path} has {all} bytes; a directory has up to {MAX_DIRECTORY}. The rest is not read"
            );
            self.tell(FatCode::DirLong, parent, Some(path), text);
        }
        let mut left = all.min(MAX_DIRECTORY.max(cluster));
        self.directory_bytes += left;
        if self.directory_bytes > MAX_DIRECTORIES {
            self.tell_limit("128 MiB of directories");
            return None;
        }
        let mut out = Vec::new();
        for &(first, count) in runs {
            let want = (u64::from(count) * cluster).min(left);
            left -= want;
            let start = out.len();
            out.resize(start + usize::try_from(want).ok()?, 0);
            let part = out.get_mut(start..)?;
            let offset = self.view.base + self.view.shape.cluster_offset(first)?;
            if let Err(error) = self.view.disk.read_at(offset, part) {
                let text =
                    format!("the directory {path} at byte {offset} of the disk cannot be read: {error}");
                self.tell(FatCode::Io, parent, Some(path), text);
                out.truncate(start);
                break;
            }
        }
        Some(out)
    }

    /// Everything in a directory; `parent` is its item, none for the root.
    fn list(&mut self, bytes: &[u8], parent: Option<usize>, depth: usize) {
        let is_root = parent.is_none();
        let listing = split(bytes, self.view.shape.kind, is_root);
        let folder = parent
            .and_then(|index| self.items.get(index))
            .map_or(String::new(), |item| item.node.path.clone());
        if let Some(index) = parent {
            if is_garbage(&listing) {
                let text = format!(
                    "the clusters of the directory {folder:?} do not hold a directory: what it held is not to be \
                     found through it, and writing into it would damage something else"
                );
                self.tell(FatCode::DirGarbage, parent, Some(&folder), text);
                self.spoil(index);
                return;
            }
            self.dots(&listing, index, &folder);
        }
        self.orphans(&listing, parent, &folder);
        self.behind.extend(listing.behind.iter().map(|&(name, cluster)| (folder.clone(), name, cluster)));
        let mut seen = Seen::default();
        for entry in &listing.entries {
            if is_dot(&entry.short) && !is_root {
                continue;
            }
            if entry.sort == Sort::Label {
                self.labels.push(entry.short);
                if self.labels.len() == 2 {
                    let text = "the root has more than one label; the first is used".to_owned();
                    self.tell(FatCode::LabelTwice, None, None, text);
                }
                continue;
            }
            if self.items.len() >= MAX_NODES || self.path_bytes > MAX_PATHS {
                self.tell_limit("200,000 entries, or 32 MiB of names");
                return;
            }
            self.enter(entry, parent, &folder, &mut seen, depth);
        }
        self.tell_more(parent, &folder);
    }

    /// One entry, and everything below it.
    fn enter(&mut self, entry: &Entry, parent: Option<usize>, folder: &str, seen: &mut Seen, depth: usize) {
        let short = short_text(&entry.short);
        let name = match &entry.long {
            Some(Long::Good(long)) => long.clone(),
            Some(Long::Foreign | Long::Broken) | None => short.clone(),
        };
        let join = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let path = join(&seen.label(&name));
        self.path_bytes += path.len();
        let index = self.items.len();
        let node = FatNode {
            path: path.clone(),
            short,
            short_bytes: entry.short,
            is_dir: entry.sort == Sort::Directory,
            ghost: entry.sort == Sort::Neither,
            len: u64::from(entry.len),
            cluster: entry.cluster,
            whole: true,
            modified: entry.modified,
        };
        self.items.push(Item { node, parent, index: entry.index, parts: entry.parts, runs: Vec::new() });
        self.judge_name(entry, index, parent, &path, &name, seen);
        if entry.sort == Sort::Neither {
            let text = format!(
                "{path} is neither file nor directory (attributes {:02X}, first cluster {}, {} bytes): drivers do \
                 not show it or cannot delete it, and an update that meets it fails. Its clusters count as lost",
                entry.attribute, entry.cluster, entry.len
            );
            self.tell(FatCode::Neither, parent, Some(&path), text);
            self.spoil(index);
            return;
        }
        let owner = u32::try_from(index + 1).unwrap_or(ROOT - 1);
        if entry.sort == Sort::File {
            self.judge_file(index, parent, &path, owner);
        } else if let Some(claim) = self.judge_folder(index, parent, &path, owner) {
            if depth >= MAX_DEPTH {
                let text = format!("{path} is more than {MAX_DEPTH} directories deep and is not looked into");
                self.tell(FatCode::DirDeep, parent, Some(&path), text);
                self.spoil(index);
            } else if let Some(bytes) = self.read_runs(parent, &path, &claim.runs) {
                self.list(&bytes, Some(index), depth + 1);
            }
        }
    }

    /// Takes back that an item is whole.
    pub(super) fn spoil(&mut self, index: usize) {
        if let Some(item) = self.items.get_mut(index) {
            item.node.whole = false;
        }
    }

    /// The path of an owner, for texts.
    pub(super) fn owner_name(&self, owner: u32) -> String {
        if owner == ROOT {
            return "the root directory".to_owned();
        }
        (owner as usize)
            .checked_sub(1)
            .and_then(|index| self.items.get(index))
            .map_or_else(|| format!("owner {owner}"), |item| item.node.path.clone())
    }

    /// Notes the runs of an item.
    pub(super) fn keep_runs(&mut self, index: usize, claim: &Claim) {
        if let Some(item) = self.items.get_mut(index) {
            item.runs.clone_from(&claim.runs);
        }
    }
}
