//! Old releases leave a repository.
//!
//! A release first leaves the metadata; its files stay for a grace period, so that a reader who has begun can finish.
//! The period counts from the moment when a prune found that nothing needs the file (`staging/garbage.json`), not from
//! the file's age: that is the same on every kind of server, and spares what a push is just uploading.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_bundle::Manifest;
use serde::{Deserialize, Serialize};
use tough::TargetName;

use super::publish::{Outcome, Owner, Step};
use crate::layout::{self, GARBAGE, INDEXES, MAX_RELEASE_FILE, METADATA, PACKS, RELEASES};
use crate::transport::{Key, PutMode, TransportError};
use crate::tuf::{ReleaseEntry, RepoError, View, load_again};

const SCHEMA: &str = "lifeboat.repo-garbage/1";

/// What a prune did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Releases that readers do not see any more.
    pub removed: Vec<ReleaseEntry>,
    /// Whether that is published.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Files that were deleted.
    pub deleted: usize,
    /// Files that will be deleted when the grace period is over.
    pub waiting: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Garbage {
    schema: String,
    /// Key → unix seconds since when nothing needs it.
    since: BTreeMap<String, u64>,
}

/// The releases that `keep` newest ones of each line leave behind.
#[must_use]
pub fn prune_preview(view: &View, keep: usize) -> Vec<ReleaseEntry> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut old = Vec::new();
    // Newest first within a line.
    for entry in view.releases() {
        let count = seen.entry(entry.name.clone()).or_default();
        *count += 1;
        if *count > keep {
            old.push(entry);
        }
    }
    old
}

impl Owner<'_> {
    /// Removes all but the `keep` newest releases of each line, and the files that nothing has needed for `grace`
    /// seconds. A pack that a remaining release uses, even in part, is kept whole.
    pub fn prune(
        &self,
        keep: usize,
        grace: u64,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Pruned, RepoError> {
        let removed = prune_preview(&self.view, keep.max(1));
        let mut outcome = Outcome::Unchanged;
        if !removed.is_empty() {
            let mut targets = self.next_targets()?;
            for entry in &removed {
                for name in [
                    layout::manifest_target(&entry.name, entry.serial),
                    layout::signatures_target(&entry.name, entry.serial),
                ] {
                    let name = TargetName::new(name).map_err(|error| RepoError::Write(Box::new(error)))?;
                    targets.targets.remove(&name);
                }
            }
            outcome = self.publish(targets, step)?;
            if matches!(outcome, Outcome::Staged { .. }) {
                return Ok(Pruned { removed, outcome, deleted: 0, waiting: 0 });
            }
        }
        // What readers see now decides what is needed.
        let view = load_again(&self.view)?;
        let needed = needed(&view)?;
        let mut garbage = self.read_garbage()?;
        let mut since = BTreeMap::new();
        let mut due = Vec::new();
        for prefix in [RELEASES, INDEXES, PACKS, METADATA] {
            for key in self.transport().list(prefix)? {
                if needed.contains(&key) || is_root(&key) {
                    continue;
                }
                let first = garbage.since.remove(key.as_str()).unwrap_or(self.now);
                if first.saturating_add(grace) <= self.now {
                    due.push(key);
                } else {
                    since.insert(key.as_str().to_owned(), first);
                }
            }
        }
        if load_again(&self.view)?.timestamp != view.timestamp {
            return Err(RepoError::Raced { place: view.place() });
        }
        for key in &due {
            step(Step::Deleted { key });
            self.transport().delete(key)?;
        }
        let waiting = since.len();
        let garbage = Garbage { schema: SCHEMA.to_owned(), since };
        let bytes = serde_json::to_vec(&garbage).map_err(|error| RepoError::Write(Box::new(error)))?;
        self.put(&Key::new(GARBAGE)?, &bytes, PutMode::Replace, step)?;
        Ok(Pruned { removed, outcome, deleted: due.len(), waiting })
    }

    /// A list that cannot be read is begun again: the grace period of its files is then longer, never shorter.
    fn read_garbage(&self) -> Result<Garbage, RepoError> {
        let none = || Garbage { schema: SCHEMA.to_owned(), since: BTreeMap::new() };
        match self.transport().get(&Key::new(GARBAGE)?, MAX_RELEASE_FILE) {
            Ok(bytes) => {
                let read = serde_json::from_slice(&bytes).ok();
                Ok(read.filter(|read: &Garbage| read.schema == SCHEMA).unwrap_or_else(none))
            }
            Err(TransportError::NotFound { .. }) => Ok(none()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Every file that a reader of this view may ask for, but the roots.
fn needed(view: &View) -> Result<BTreeSet<Key>, RepoError> {
    let mut needed = BTreeSet::from([
        layout::timestamp()?,
        layout::versioned("snapshot", view.snapshot.signed.version)?,
        layout::versioned("targets", view.targets.signed.version)?,
    ]);
    for (name, target) in &view.targets.signed.targets {
        if let Some(bytes) = target.hashes.sha256.first_chunk() {
            needed.insert(layout::target(name.raw(), lifeboat_model::Sha256Hex(*bytes))?);
        }
    }
    for entry in view.releases() {
        let (manifest, _) = view.fetch_head(&entry)?;
        let manifest = Manifest::parse(&manifest)
            .map_err(|error| RepoError::release(format!("{}@{}", entry.name, entry.version), error))?;
        for pack in &manifest.packs {
            needed.insert(layout::pack(pack.sha256.0)?);
        }
        for index in manifest.slots.iter().filter_map(|slot| slot.index.as_ref()) {
            needed.insert(layout::index(index.sha256)?);
        }
    }
    Ok(needed)
}

/// Readers with an old trusted root need every root after it.
fn is_root(key: &Key) -> bool {
    key.as_str().starts_with(METADATA) && key.as_str().ends_with(".root.json")
}
