//! Chains of clusters, each cluster given to one owner.
//!
//! Owns: who owns which cluster. Promises: every cluster is claimed once, so that all chains together take as many
//! steps as the volume has clusters, loops or not. Does not: judge sizes.

use super::table::{Differences, Link, Table};

/// How a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Good,
    /// Comes back to this cluster of its own.
    Loop(u32),
    /// From a cluster to one that is not there.
    Outside(u32, u32),
    /// From a cluster to a free one.
    Free(u32, u32),
    /// From a cluster to one marked as bad.
    Bad(u32, u32),
    /// Meets this cluster of another owner.
    Cross(u32, u32),
    /// The first cluster is not there, free, or bad.
    StartOutside,
    StartFree,
    StartBad,
}

/// What was claimed.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) count: u32,
    pub(super) end: End,
    /// Highest cluster, for images that are cut off.
    pub(super) highest: u32,
    /// Whether the two FATs disagree about one of its clusters.
    pub(super) differs: bool,
    /// Runs of consecutive clusters: first, number.
    pub(super) runs: Vec<(u32, u32)>,
}

/// Owners of all clusters: 0 is nobody, else the number of the owner.
#[derive(Debug)]
pub(in crate::fat) struct Owners {
    by_cluster: Vec<u32>,
}

impl Owners {
    pub(super) fn new(table: &Table) -> Self {
        Self { by_cluster: vec![0; table.range().end as usize] }
    }

    pub(in crate::fat) fn of(&self, cluster: u32) -> u32 {
        self.by_cluster.get(cluster as usize).copied().unwrap_or(0)
    }

    /// Claims the chain from `first` for `owner` (not 0).
    pub(super) fn claim(&mut self, table: &Table, differ: &Differences, owner: u32, first: u32) -> Claim {
        let mut claim = Claim { count: 0, end: End::Good, highest: 0, differs: false, runs: Vec::new() };
        if !table.range().contains(&first) {
            claim.end = End::StartOutside;
            return claim;
        }
        match table.link(first) {
            Link::Free => {
                claim.end = End::StartFree;
                claim.differs = differ.has(first);
                return claim;
            }
            Link::Bad => {
                claim.end = End::StartBad;
                return claim;
            }
            Link::Next(_) | Link::End | Link::Outside(_) => {}
        }
        let mut cluster = first;
        loop {
            let Some(slot) = self.by_cluster.get_mut(cluster as usize) else { return claim };
            if *slot == owner {
                claim.end = End::Loop(cluster);
                return claim;
            }
            if *slot != 0 {
                claim.end = End::Cross(cluster, *slot);
                return claim;
            }
            *slot = owner;
            claim.count += 1;
            claim.highest = claim.highest.max(cluster);
            claim.differs |= differ.has(cluster);
            match claim.runs.last_mut() {
                Some((start, len)) if *start + *len == cluster => *len += 1,
                Some(_) | None => claim.runs.push((cluster, 1)),
            }
            match table.link(cluster) {
                // Free and bad were looked at before the step; a table does not change.
                Link::End | Link::Free | Link::Bad => return claim,
                Link::Next(next) => match table.link(next) {
                    Link::Free => {
                        claim.end = End::Free(cluster, next);
                        return claim;
                    }
                    Link::Bad => {
                        claim.end = End::Bad(cluster, next);
                        return claim;
                    }
                    Link::Next(_) | Link::End | Link::Outside(_) => cluster = next,
                },
                Link::Outside(value) => {
                    claim.end = End::Outside(cluster, value);
                    return claim;
                }
            }
        }
    }
}

/// Clusters that are in use and belong to nobody.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::fat) struct Leftover {
    pub(in crate::fat) free: u32,
    pub(in crate::fat) bad: u32,
    pub(in crate::fat) lost: u32,
    pub(in crate::fat) lost_chains: u32,
    pub(in crate::fat) first_lost: u32,
}

impl Owners {
    /// Counts what no owner claimed.
    pub(super) fn leftover(&self, table: &Table) -> Leftover {
        let mut out = Leftover::default();
        for cluster in table.range() {
            match table.link(cluster) {
                Link::Free => out.free += 1,
                Link::Bad => out.bad += 1,
                Link::Next(_) | Link::End | Link::Outside(_) if self.of(cluster) == 0 => {
                    if out.lost == 0 {
                        out.first_lost = cluster;
                    }
                    out.lost += 1;
                }
                Link::Next(_) | Link::End | Link::Outside(_) => {}
            }
        }
        if out.lost > 0 {
            out.lost_chains = self.lost_heads(table);
        }
        out
    }

    /// Lost clusters that no lost cluster leads to; a loop has none and counts as one.
    fn lost_heads(&self, table: &Table) -> u32 {
        let mut led_to = vec![0_u64; table.range().end as usize / 64 + 1];
        let lost =
            |cluster: u32| self.of(cluster) == 0 && !matches!(table.link(cluster), Link::Free | Link::Bad);
        for cluster in table.range().filter(|&cluster| lost(cluster)) {
            if let Link::Next(next) = table.link(cluster)
                && let Some(word) = led_to.get_mut(next as usize / 64)
            {
                *word |= 1 << (next % 64);
            }
        }
        let is_head = |&cluster: &u32| {
            lost(cluster)
                && led_to.get(cluster as usize / 64).is_some_and(|word| word >> (cluster % 64) & 1 == 0)
        };
        let heads = table.range().filter(is_head).count();
        u32::try_from(heads).unwrap_or(u32::MAX).max(1)
    }
}
