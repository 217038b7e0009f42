//! Chains held against what their owners say.
//!
//! Owns: the sentences about first clusters, chains and sizes. Promises: a file is called whole only when its chain
//! ends where its size says and is nobody else's. Does not: walk.

use super::chain::{Claim, End};
use super::walk::Walk;
use crate::fat::report::FatCode;

/// What is said about the end of a chain.
type Fault = (FatCode, String);

impl Walk<'_> {
    /// Claims and judges a file.
    pub(super) fn judge_file(&mut self, index: usize, parent: Option<usize>, path: &str, owner: u32) {
        let Some((len, first)) = self.items.get(index).map(|item| (item.node.len, item.node.cluster)) else {
            return;
        };
        let cluster = self.view.shape.cluster_bytes();
        let needed = len.div_ceil(cluster);
        let mut faults: Vec<Fault> = Vec::new();
        if needed > u64::from(self.view.shape.clusters) {
            let text =
                format!("{path} has a size of {len} bytes, more than the whole volume: the size is wrong");
            faults.push((FatCode::SizeAbsurd, text));
        }
        if first == 0 {
            if len > 0 {
                let text = format!("{path} has a size of {len} bytes and no cluster: its content is lost");
                faults.push((FatCode::StartZero, text));
            }
            self.tell_faults(index, parent, path, faults);
            return;
        }
        let claim = self.owners.claim(self.view.table, self.view.differ, owner, first);
        self.keep_runs(index, &claim);
        if len == 0 {
            let text = format!(
                "{path} has a size of 0 and a chain from cluster {first}: its size was lost, or it was being written \
                 when the power went; a loader reads it as empty"
            );
            faults.push((FatCode::EmptyWithCluster, text));
        }
        faults.extend(self.end_fault(index, path, first, &claim));
        let count = u64::from(claim.count);
        if claim.end == End::Good && len > 0 && faults.is_empty() {
            if count < needed {
                let text = format!(
                    "{path} has {len} bytes and a chain of {count} clusters, which hold {}: it is cut off",
                    count * cluster
                );
                faults.push((FatCode::ChainShort, text));
            } else if count > needed {
                let text = format!(
                    "{path} has {len} bytes, for which {needed} clusters do, and a chain of {count}: its size or its \
                     chain is wrong"
                );
                faults.push((FatCode::ChainLong, text));
            }
        }
        self.tell_faults(index, parent, path, faults);
        self.judge_reach(index, parent, path, &claim);
    }

    /// Claims and judges a directory; gives its chain when its content is to be read.
    pub(super) fn judge_folder(
        &mut self,
        index: usize,
        parent: Option<usize>,
        path: &str,
        owner: u32,
    ) -> Option<Claim> {
        let (len, first) = self.items.get(index).map(|item| (item.node.len, item.node.cluster))?;
        if len != 0 {
            let text = format!("the directory {path} has a size of {len} bytes; a directory has none");
            self.tell_faults(index, parent, path, vec![(FatCode::DirSize, text)]);
        }
        if first == 0 {
            let text = format!(
                "the directory {path} starts at cluster 0, which is the root: a driver shows the root in it again, \
                 without end, and cannot delete it"
            );
            self.tell_faults(index, parent, path, vec![(FatCode::DirRoot, text)]);
            self.ghost(index);
            return None;
        }
        let claim = self.owners.claim(self.view.table, self.view.differ, owner, first);
        self.keep_runs(index, &claim);
        let what = match claim.end {
            End::StartOutside => Some(format!("{first}, which the volume does not have")),
            End::StartFree => Some(format!("{first}, which is free")),
            End::StartBad => Some(format!("{first}, which is marked as bad")),
            End::Cross(_, _) if claim.count == 0 => {
                let fault = self.end_fault(index, &format!("the directory {path}"), first, &claim);
                self.tell_faults(index, parent, path, fault.into_iter().collect());
                return self.shared_folder(index, parent, path, first, claim);
            }
            End::Good | End::Loop(_) | End::Outside(..) | End::Free(..) | End::Bad(..) | End::Cross(..) => {
                None
            }
        };
        if let Some(what) = what {
            let text = format!(
                "the directory {path} starts at cluster {what}: a ghost. Drivers show it as neither file nor \
                 directory or cannot list it, nothing can delete it, and an update that meets it fails"
            );
            self.tell_faults(index, parent, path, vec![(FatCode::DirGhost, text)]);
            self.ghost(index);
            return None;
        }
        self.judge_directory(Some((index, parent)), path, &claim);
        Some(claim)
    }

    /// A directory whose first cluster somebody else owns: looked into when that is a file (which one is right is
    /// seen by the content), not when it is a directory, which would be told twice or without end.
    fn shared_folder(
        &mut self,
        index: usize,
        parent: Option<usize>,
        path: &str,
        first: u32,
        mut claim: Claim,
    ) -> Option<Claim> {
        let other = (self.owners.of(first) as usize).checked_sub(1).and_then(|other| self.items.get(other));
        if other.is_some_and(|other| !other.node.is_dir) {
            claim.runs = vec![(first, 1)];
            return Some(claim);
        }
        let text = format!(
            "the directory {path} starts where {} does: the same entries would be found twice, or without end. It is \
             not looked into",
            self.owner_name(self.owners.of(first))
        );
        self.tell_faults(index, parent, path, vec![(FatCode::DirTwice, text)]);
        self.ghost(index);
        None
    }

    /// The chain of a directory; the root has no item.
    pub(super) fn judge_directory(
        &mut self,
        item: Option<(usize, Option<usize>)>,
        path: &str,
        claim: &Claim,
    ) {
        let first = claim.runs.first().map_or(0, |run| run.0);
        let (index, parent) = item.map_or((usize::MAX, None), |(index, parent)| (index, parent));
        let fault = self.end_fault(index, &format!("the directory {path}"), first, claim);
        self.tell_faults(index, parent, path, fault.into_iter().collect());
        self.judge_reach(index, parent, path, claim);
    }

    fn tell_faults(&mut self, index: usize, parent: Option<usize>, path: &str, faults: Vec<Fault>) {
        if !faults.is_empty() {
            self.spoil(index);
        }
        for (code, text) in faults {
            self.tell(code, parent, Some(path), text);
        }
    }

    fn ghost(&mut self, index: usize) {
        if let Some(item) = self.items.get_mut(index) {
            item.node.ghost = true;
        }
    }

    /// What the end of a chain is; none for a good one.
    fn end_fault(&mut self, index: usize, path: &str, first: u32, claim: &Claim) -> Option<Fault> {
        let count = claim.count;
        let fault = match claim.end {
            End::Good => return None,
            End::Loop(to) => (
                FatCode::ChainLoop,
                format!(
                    "{path}: its chain from cluster {first} comes back to cluster {to} after {count}: a loop, which simple readers follow for ever"
                ),
            ),
            End::Outside(from, to) => (
                FatCode::ChainRange,
                format!(
                    "{path}: its chain leads from cluster {from} to {to}, which the volume does not have, after {count} clusters: the rest is lost"
                ),
            ),
            End::Free(from, to) => (
                FatCode::ChainFree,
                format!(
                    "{path}: its chain leads from cluster {from} to {to}, which is free, after {count} clusters: what is written next may be put there"
                ),
            ),
            End::Bad(from, to) => (
                FatCode::ChainBad,
                format!(
                    "{path}: its chain leads from cluster {from} to {to}, which is marked as bad, after {count} clusters: readers stop there or read on as they like"
                ),
            ),
            End::StartOutside => (
                FatCode::StartRange,
                format!(
                    "{path} starts at cluster {}, which the volume does not have: its content is lost",
                    self.start(index)
                ),
            ),
            End::StartFree => (
                FatCode::StartFree,
                format!(
                    "{path} starts at cluster {}, which is free: its content is lost, or about to be overwritten",
                    self.start(index)
                ),
            ),
            End::StartBad => (
                FatCode::StartFree,
                format!(
                    "{path} starts at cluster {}, which is marked as bad: its content cannot be read",
                    self.start(index)
                ),
            ),
            End::Cross(at, owner) => {
                self.cross(index, owner);
                let other = self.owner_name(owner);
                (
                    FatCode::CrossLink,
                    format!(
                        "{path} and {other} both own cluster {at}: at least one of them has wrong content, and deleting or writing one damages the other"
                    ),
                )
            }
        };
        Some(fault)
    }

    fn start(&self, index: usize) -> u32 {
        self.items.get(index).map_or(0, |item| item.node.cluster)
    }

    fn cross(&mut self, index: usize, owner: u32) {
        let count = self.items.len();
        let known = |index: usize| (index < count).then_some(index);
        let pair = (known(index), (owner as usize).checked_sub(1).and_then(known));
        self.crossings.push(pair);
        for index in [pair.0, pair.1].into_iter().flatten() {
            self.spoil(index);
        }
    }

    /// Whether the clusters of a chain exist, and whether both FATs agree about them.
    fn judge_reach(&mut self, index: usize, parent: Option<usize>, path: &str, claim: &Claim) {
        if claim.differs {
            self.spoil(index);
        }
        if claim.count == 0 {
            return;
        }
        let shape = self.view.shape;
        let end = shape.cluster_offset(claim.highest).map_or(u64::MAX, |at| at + shape.cluster_bytes());
        if end > self.view.present {
            let text = format!(
                "{path} lies up to byte {end} of the volume, and only {} bytes are there: its end is missing",
                self.view.present
            );
            self.tell_faults(index, parent, path, vec![(FatCode::ImageCut, text)]);
        }
    }
}
