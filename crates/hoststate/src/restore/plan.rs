//! Everything about a restore that can be known before the first write.

use std::collections::{BTreeMap, BTreeSet};

use super::busy::check_busy;
use super::decide::decide;
use super::fits::check_fit;
use super::gate::{Target, check_gate};
use super::machine::Machine;
use super::{Action, Blocker, Decision, RestoreError};
use crate::backup::{BackupRequest, write_backup};
use crate::compare::{Item, Listing, read_listing, scratch};
use crate::devices::DeviceChoice;
use crate::facts::{NicMove, read_host, read_product};
use crate::form::{Backup, Entry, Kind, Purpose};
use crate::path::RelPath;
use crate::root::{Root, RootError, Section, excluded, section_of};

/// What to do about network cards that have other names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NicChoice {
    /// Refuse, and say what can be chosen.
    #[default]
    Ask,
    /// Give each its old name back at the next boot.
    Pin,
    /// Leave the names as they stand.
    AsIs,
}

/// How to restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Only these sections.
    pub only: Option<Vec<Section>>,
    /// Paths, and all below them, that the host keeps.
    pub keep: Vec<String>,
    /// The version of the backup, if it is accepted though the host has another one.
    pub accept_version: Option<String>,
    /// The host takes the place of the one of the backup.
    pub as_other_host: bool,
    /// Network cards.
    pub nics: NicChoice,
    /// Leave names of devices as they stand.
    pub devices_as_is: bool,
    /// Make device nodes that are in the backup.
    pub device_nodes: bool,
}

impl RestoreOptions {
    /// Sections that are restored. Another host keeps its own identity unless it is named.
    pub fn sections(&self) -> Vec<Section> {
        let mut list = self.only.clone().unwrap_or_else(|| {
            let all = Section::ALL.into_iter();
            all.filter(|section| !(self.as_other_host && *section == Section::Identity)).collect()
        });
        list.retain(|section| *section != Section::Packages);
        list.sort();
        list.dedup();
        list
    }

    pub(super) fn keeps(&self, path: &RelPath) -> bool {
        self.keep.iter().any(|kept| path.is_within(kept.trim_matches('/')))
    }
}

/// A restore that was thought through. If it has blockers it cannot be carried out.
#[derive(Debug)]
pub struct Plan {
    /// What becomes of every path; what is the same on both sides is not listed.
    pub decisions: Vec<Decision>,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Names of devices.
    pub devices: Vec<DeviceChoice>,
    /// Network cards that have other names or are gone.
    pub nics: Vec<NicMove>,
    /// Sections that are restored.
    pub sections: Vec<Section>,
    /// The present state of the target.
    pub(super) now: Backup,
    pub(super) now_listing: Listing,
    pub(super) wanted: Listing,
    /// Paths that are written.
    pub(super) redo: BTreeSet<RelPath>,
    /// Paths that are put back by an undo.
    pub(super) back: BTreeSet<RelPath>,
    /// Paths that an undo takes away.
    pub(super) removals: Vec<RelPath>,
    /// Folders whose time changes because names in them change, as they are now.
    pub(super) folders: BTreeMap<RelPath, Entry>,
    /// Content that is written instead of the backup's.
    pub(super) written: BTreeMap<RelPath, Vec<u8>>,
}

/// Reads both sides and decides; writes nothing.
pub fn plan_restore(
    root: &Root,
    backup: &Backup,
    request: &BackupRequest<'_>,
    options: &RestoreOptions,
) -> Result<Plan, RestoreError> {
    let index = backup.index();
    let target = Target {
        product: read_product(root),
        host: read_host(root, request.sys, None, None),
        banks: request.banks.clone(),
        empty: root.top()?.iter().all(|name| name == b"lost+found"),
    };
    let mut blockers = check_gate(index, &target, options);
    let sections = options.sections();
    let mut wanted = read_listing(backup, &sections)?;
    blockers.extend(check_paths(&wanted, options));
    let mut notes = Vec::new();
    if target.empty {
        notes.push("the target is an empty folder: product and host were not compared".to_owned());
    }
    let kept: Vec<RelPath> = wanted.keys().filter(|path| options.keeps(path)).cloned().collect();
    wanted.retain(|path, _| !options.keeps(path));
    blockers.extend(names_apart(&wanted));
    let mut machine = Machine::default();
    machine.devices(backup, &mut wanted, request.devices, options)?;
    machine.nics(backup, &mut wanted, request.sys, options)?;
    blockers.append(&mut machine.blockers);
    notes.append(&mut machine.notes);

    let product = Some(index.product.clone());
    let file = scratch(&std::env::temp_dir())?;
    let (file, _) = write_backup(root, request, Purpose::Undo, product, file, root.path())?;
    let now = Backup::verify(file, root.path())?;
    let mut now_listing = read_listing(&now, &Section::ALL)?;
    add_unlisted(root, &wanted, &mut now_listing, &mut blockers)?;
    let (mut decisions, more) = decide(&wanted, &now_listing, index.made.at, &sections, options);
    blockers.extend(more);
    for path in kept {
        if let Some(item) = now_listing.get(&path).filter(|item| !item.entry.kind.is_folder())
            && !decisions.iter().any(|decision| decision.path == path)
        {
            decisions.push(Decision {
                section: item.section,
                path,
                action: Action::Keep,
                differs: Vec::new(),
                changed_since: item.entry.meta.seconds > index.made.at,
                note: Some("kept by --keep".to_owned()),
            });
        }
    }
    decisions.sort_by(|a, b| a.path.cmp(&b.path));
    let mut plan = Plan {
        decisions,
        blockers,
        notes,
        devices: machine.devices,
        nics: machine.nics,
        sections,
        now,
        now_listing,
        wanted,
        redo: BTreeSet::new(),
        back: BTreeSet::new(),
        removals: Vec::new(),
        folders: BTreeMap::new(),
        written: machine.written,
    };
    plan.close(root)?;
    plan.check(root)?;
    plan.blockers.sort();
    plan.blockers.dedup();
    Ok(plan)
}

/// Paths that no backup of ours has: a backup that was made to do harm, or by a program that thinks otherwise.
fn check_paths(wanted: &Listing, options: &RestoreOptions) -> Vec<Blocker> {
    let mut blockers = Vec::new();
    for (path, item) in wanted {
        if item.entry.kind == Kind::OnTheWay {
            continue;
        }
        if section_of(path) != Some(item.section) || excluded(path).is_some() {
            blockers.push(Blocker::new(
                "foreign-path",
                format!("the backup has {path} in section {}, where it does not belong", item.section),
                "do not use this backup; make one with lifeboat host backup",
            ));
        }
        if item.entry.kind.is_device() && !options.device_nodes {
            blockers.push(Blocker::new(
                "device-node",
                format!(
                    "{path} is a {} in the backup; whoever opens it opens the device",
                    item.entry.kind.word()
                ),
                format!("give --device-nodes if it is wanted, or --keep {path}"),
            ));
        }
    }
    blockers
}

/// Hard links whose first name is kept would need content that is not restored.
fn names_apart(wanted: &Listing) -> Vec<Blocker> {
    let first_is_gone =
        |item: &&Item| matches!(&item.entry.kind, Kind::HardLink { first } if !wanted.contains_key(first));
    let apart = wanted.values().filter(first_is_gone);
    apart
        .map(|item| {
            Blocker::new(
                "names-apart",
                format!("{} is another name of a file that is kept by --keep", item.entry.path),
                format!("keep both: --keep {}", item.entry.path),
            )
        })
        .collect()
}

/// What is in the way of a wanted path and in no listing: folders that lead nowhere yet, sockets, files that nobody keeps.
fn add_unlisted(
    root: &Root,
    wanted: &Listing,
    now: &mut Listing,
    blockers: &mut Vec<Blocker>,
) -> Result<(), RestoreError> {
    for (path, item) in wanted {
        if now.contains_key(path) {
            continue;
        }
        let seen = match root.look(path) {
            Err(RootError::ThroughALink { .. }) => {
                blockers.push(Blocker::new(
                    "through-link",
                    format!("on the host {path} lies behind a symbolic link, in the backup it does not"),
                    format!("put a folder in the place of the link, or give --keep {path}"),
                ));
                continue;
            }
            seen => seen?,
        };
        match seen {
            None => {}
            Some(crate::root::Seen { entry: Some(entry), .. }) if entry.kind.is_folder() => {
                let kind = if item.entry.kind == Kind::OnTheWay { Kind::OnTheWay } else { Kind::Directory };
                now.insert(
                    path.clone(),
                    Item { section: item.section, entry: Entry { kind, ..entry }, sha256: None },
                );
            }
            Some(_) => blockers.push(Blocker::new(
                "other-kind",
                format!("{path} is something on the host that no backup keeps (a socket, or too large)"),
                format!("move it away, or give --keep {path}"),
            )),
        }
    }
    Ok(())
}

impl Plan {
    /// From decisions to what is written and what is put back: names of one file go together, and folders keep their times.
    fn close(&mut self, root: &Root) -> Result<(), RestoreError> {
        let written = self.decisions.iter().filter(|decision| decision.action.writes());
        self.redo = written.map(|decision| decision.path.clone()).collect();
        loop {
            let before = self.redo.len() + self.back.len();
            add_names(&mut self.redo, &self.wanted);
            self.back.extend(self.redo.iter().filter(|path| self.now_listing.contains_key(*path)).cloned());
            add_names(&mut self.back, &self.now_listing);
            if self.redo.len() + self.back.len() == before {
                break;
            }
        }
        self.removals =
            self.redo.iter().filter(|path| !self.now_listing.contains_key(*path)).cloned().collect();
        for path in &self.redo {
            for folder in path.ancestors() {
                if self.redo.contains(&folder) || self.folders.contains_key(&folder) {
                    continue;
                }
                let seen = match root.look(&folder) {
                    Err(RootError::ThroughALink { .. }) => None,
                    seen => seen?,
                };
                if let Some(crate::root::Seen { entry: Some(entry), .. }) = seen {
                    self.folders.insert(folder, entry);
                }
            }
        }
        Ok(())
    }

    /// Blockers that need to know what is written.
    fn check(&mut self, root: &Root) -> Result<(), RestoreError> {
        let paths: Vec<&RelPath> = self.redo.iter().collect();
        let entries: Vec<&Entry> =
            self.redo.iter().filter_map(|path| self.wanted.get(path)).map(|item| &item.entry).collect();
        let size = |listing: &Listing, paths: &BTreeSet<RelPath>| -> u64 {
            let len = |item: &Item| match item.entry.kind {
                Kind::File { len } => len + 4096,
                _ => 4096,
            };
            paths.iter().filter_map(|path| listing.get(path)).map(len).sum()
        };
        let work = size(&self.wanted, &self.redo) + size(&self.now_listing, &self.back);
        // A path behind a link was told already, and cannot be looked at.
        if self.blockers.iter().any(|blocker| blocker.code == "through-link") {
            return Ok(());
        }
        let busy = check_busy(root, &paths)?;
        let fit = check_fit(root, &entries, work)?;
        self.blockers.extend(busy);
        self.blockers.extend(fit);
        for path in &self.redo {
            if let Some(item) = self.now_listing.get(path)
                && matches!(item.entry.kind, Kind::File { .. })
                && let Some(seen) = root.look(path)?
            {
                let told = self
                    .now_listing
                    .values()
                    .filter(|other| matches!(&other.entry.kind, Kind::HardLink { first } if first == path));
                if seen.names > 1 + told.count() as u64 {
                    self.notes.push(format!(
                        "{path} has a further name outside of the state; that one keeps the present content"
                    ));
                }
            }
        }
        Ok(())
    }

    /// How many paths are written.
    pub fn writes(&self) -> usize {
        self.redo.len()
    }
}

/// Adds every further name of files that are in the set, and their first names.
fn add_names(set: &mut BTreeSet<RelPath>, listing: &Listing) {
    let mut groups: BTreeMap<&RelPath, Vec<&RelPath>> = BTreeMap::new();
    for (path, item) in listing {
        if let Kind::HardLink { first } = &item.entry.kind {
            groups.entry(first).or_default().push(path);
        }
    }
    for (first, names) in groups {
        if set.contains(first) || names.iter().any(|name| set.contains(*name)) {
            set.insert(first.clone());
            set.extend(names.into_iter().cloned());
        }
    }
}
