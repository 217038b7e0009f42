//! Entries held against what a directory has to be.
//!
//! Owns: the sentences about names, long names, dots, leftovers behind the end, lost clusters. Promises: an entry that
//! a driver cannot reach or delete is called a ghost. Does not: walk, or follow chains.

use std::collections::BTreeMap;

use super::chain::Leftover;
use super::entry::{Entry, Listing, Sort};
use super::names::{Long, short_fault, short_text};
use super::table::Link;
use super::walk::{MAX_ALIKE, MAX_FINDINGS, Seen, Walk};
use crate::fat::report::{FatCode, FatFinding, FatSeverity};

impl Walk<'_> {
    pub(super) fn judge_name(
        &mut self,
        entry: &Entry,
        index: usize,
        parent: Option<usize>,
        path: &str,
        name: &str,
        seen: &mut Seen,
    ) {
        let fault = if is_dot(&entry.short) { Some("only dots") } else { short_fault(&entry.short) };
        if let Some(fault) = fault {
            let text = format!(
                "{path}: the 8.3 name has {fault} (bytes {:02X?}): drivers cannot open or delete it, and programs \
                 that list the bank may fail at it",
                entry.short
            );
            self.tell(FatCode::BadName, parent, Some(path), text);
            if let Some(item) = self.items.get_mut(index) {
                item.node.ghost = true;
                item.node.whole = false;
            }
        }
        // Two sets in one: 8.3 names and long ones must not meet either.
        let short = short_text(&entry.short).to_uppercase();
        let long = name.to_uppercase();
        let same = [seen.names.get(&short), seen.names.get(&long)].into_iter().flatten().next().copied();
        seen.names.entry(short).or_insert(index);
        seen.names.entry(long).or_insert(index);
        if let Some(same) = same {
            // Which of them is meant by the name cannot be told without a checksum.
            self.spoil(same);
            self.spoil(index);
            let text = format!(
                "{path}: an entry with this name stands before it in the directory: readers take the first one, so \
                 this one cannot be reached"
            );
            self.tell(FatCode::DuplicateName, parent, Some(path), text);
        }
        match entry.long {
            Some(Long::Foreign) => {
                let text = format!(
                    "{path}: the long name before it belongs to another entry (its checksum says so): the 8.3 name is \
                     used; whoever renamed it did not know long names"
                );
                self.tell(FatCode::LongMismatch, parent, Some(path), text);
            }
            Some(Long::Broken) => {
                let text = format!(
                    "{path}: the parts of the long name before it do not go together: the 8.3 name is used"
                );
                self.tell(FatCode::LongMismatch, parent, Some(path), text);
            }
            Some(Long::Good(_)) | None => {}
        }
    }

    pub(super) fn dots(&mut self, listing: &Listing, index: usize, folder: &str) {
        let Some(item) = self.items.get(index) else { return };
        let (own, above) = (item.node.cluster, item.parent);
        let above = above.and_then(|above| self.items.get(above)).map_or(0, |item| item.node.cluster);
        let check = |number: usize, name: &[u8; 11], clusters: &[u32]| {
            let entry = listing.entries.get(number);
            let fits = entry.is_some_and(|entry| {
                entry.index == number
                    && entry.short == *name
                    && entry.sort == Sort::Directory
                    && clusters.contains(&entry.cluster)
            });
            (!fits).then(|| match entry {
                Some(entry) if entry.short == *name => {
                    format!("names cluster {} and not {}", entry.cluster, clusters.first().unwrap_or(&0))
                }
                Some(_) | None => "is missing".to_owned(),
            })
        };
        // Some writers put the number of FAT32's root cluster where 0 belongs.
        let root_too = if above == 0 { self.view.shape.root_cluster } else { above };
        let own = check(0, b".          ", &[own]).map(|fault| format!("\".\" {fault}"));
        let up = check(1, b"..         ", &[above, root_too]).map(|fault| format!("\"..\" {fault}"));
        for fault in [own, up].into_iter().flatten() {
            let text = format!("{folder}: {fault}: a driver may take another directory for this one");
            self.tell(FatCode::Dots, Some(index), Some(folder), text);
            self.spoil(index);
        }
    }

    pub(super) fn orphans(&mut self, listing: &Listing, parent: Option<usize>, folder: &str) {
        let Some(first) = listing.orphans.first() else { return };
        let place = if folder.is_empty() { "the root" } else { folder };
        let text = format!(
            "{} part(s) of long names in {place} belong to no entry (the first is entry {first}): they take room and \
             mean nothing; deleting and renaming with old drivers leaves them",
            listing.orphans.len()
        );
        self.tell(FatCode::LongOrphan, parent, (!folder.is_empty()).then_some(folder), text);
    }

    pub(super) fn tell_more(&mut self, parent: Option<usize>, folder: &str) {
        let keys: Vec<_> = self
            .alike
            .range((parent, FatCode::Io)..=(parent, FatCode::More))
            .map(|(k, v)| (*k, *v))
            .collect();
        for ((_, code), count) in keys {
            if count > MAX_ALIKE && self.findings.len() < MAX_FINDINGS {
                let place = if folder.is_empty() { "the root" } else { folder };
                let text = format!("{} more findings {code} in {place}", count - MAX_ALIKE);
                let path = (!folder.is_empty()).then(|| folder.to_owned());
                self.findings.push(FatFinding {
                    code: FatCode::More,
                    severity: FatSeverity::Damage,
                    path,
                    text,
                });
            }
        }
    }

    pub(super) fn tell_leftover(&mut self, leftover: &Leftover) {
        let cluster = self.view.shape.cluster_bytes();
        if leftover.bad > 0 {
            let text = format!(
                "{} clusters are marked as bad: they are not used; whoever made the marks met errors of the disk",
                leftover.bad
            );
            self.tell(FatCode::BadClusters, None, None, text);
        }
        if leftover.lost > 0 {
            let text = format!(
                "{} clusters ({} bytes) in {} chain(s) are in use and belong to nobody (the first is {}): they take \
                 room, and may be what is left of files whose entries were lost",
                leftover.lost,
                u64::from(leftover.lost) * cluster,
                leftover.lost_chains,
                leftover.first_lost
            );
            self.tell(FatCode::Lost, None, None, text);
        }
    }

    /// What stands behind the end of a directory is damage when it leads to clusters that nobody else owns.
    pub(super) fn tell_behind(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        let mut lost: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (folder, name, cluster) in &behind {
            let used = self.view.table.range().contains(cluster)
                && !matches!(self.view.table.link(*cluster), Link::Free | Link::Bad);
            if used && self.owners.of(*cluster) == 0 {
                lost.entry(folder).or_default().push(short_text(name));
            }
        }
        for (folder, names) in lost {
            let place = if folder.is_empty() { "the root" } else { folder };
            let text = format!(
                "{place} ends before {} entries whose clusters are in use and belong to nobody ({}): an entry before \
                 them was overwritten with zeros, and readers stop there",
                names.len(),
                names.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
            );
            self.tell(FatCode::AfterEnd, None, (!folder.is_empty()).then_some(folder), text);
        }
    }
}

pub(super) fn is_dot(short: &[u8; 11]) -> bool {
    short == b".          " || short == b"..         "
}

/// Whether this is no directory at all: no dots, and most of it makes no sense.
pub(super) fn is_garbage(listing: &Listing) -> bool {
    let odd = |entry: &&Entry| entry.sort == Sort::Neither || short_fault(&entry.short).is_some();
    let dots = listing.entries.iter().take(2).any(|entry| is_dot(&entry.short));
    let odd = listing.entries.iter().filter(odd).count() + listing.orphans.len();
    !dots && odd * 2 > listing.entries.len() + listing.orphans.len()
}
