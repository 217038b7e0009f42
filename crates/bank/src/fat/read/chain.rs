//! Chains of clusters, each followed for as many steps as its owner may need and no further.

use super::header::Width;
use super::{Extent, FatReadError, FatVolume};
use crate::bytes::{le_u16, le_u32};

/// Most bytes of a directory (specification: 65,536 entries of 32 bytes).
const MAX_DIR: u64 = 65_536 * 32;
/// Bytes of the FAT that are kept while a chain is followed.
const WINDOW: u64 = 4096;

/// What follows a cluster in its chain.
enum Next {
    Cluster(u32),
    End,
}

/// The part of the FAT that was read last.
struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl FatVolume<'_> {
    /// The runs of a file of `len` bytes that starts at `first`.
    pub(super) fn file_extents(&self, first: u32, len: u64) -> Result<Vec<Extent>, FatReadError> {
        if len == 0 {
            return if first == 0 { Ok(Vec::new()) } else { Err(damaged("an empty file owns clusters")) };
        }
        let needed = len.div_ceil(self.header.cluster_bytes);
        if needed > u64::from(self.header.clusters) {
            return Err(damaged(&format!("a file of {len} bytes is larger than the volume")));
        }
        let (mut extents, count) = self.follow(first, needed)?;
        if count < needed {
            return Err(damaged(&format!("a file of {len} bytes has only {count} of {needed} clusters")));
        }
        let surplus = needed * self.header.cluster_bytes - len;
        if let Some(last) = extents.last_mut() {
            last.len -= surplus;
        }
        Ok(extents)
    }

    /// The bytes of the directory that starts at `first`; 0 is the root.
    pub(super) fn dir_bytes(&self, first: u32) -> Result<Vec<u8>, FatReadError> {
        let header = &self.header;
        let extents = match (first, header.width) {
            (0, Width::Fat12 | Width::Fat16) => {
                vec![Extent { offset: self.base + header.root_offset, len: header.root_bytes }]
            }
            (0, Width::Fat32) => self.follow(header.root_cluster, MAX_DIR / header.cluster_bytes)?.0,
            _ => self.follow(first, (MAX_DIR / header.cluster_bytes).max(1))?.0,
        };
        let mut out = Vec::new();
        for Extent { offset, len } in extents {
            let start = out.len();
            out.resize(start + usize::try_from(len).unwrap_or(0), 0);
            let part = out.get_mut(start..).unwrap_or(&mut []);
            self.disk.read_at(offset, part).map_err(|source| FatReadError::Io { offset, source })?;
        }
        Ok(out)
    }

    /// Follows a chain to its end, which must come within `most` clusters. Returns its runs and its length.
    fn follow(&self, first: u32, most: u64) -> Result<(Vec<Extent>, u64), FatReadError> {
        let mut window = Window { start: 0, bytes: Vec::new() };
        let mut extents: Vec<Extent> = Vec::new();
        let mut cluster = first;
        for count in 1..=most {
            let offset = self.header.cluster_offset(cluster);
            let offset = offset
                .ok_or_else(|| damaged(&format!("a chain leads to cluster {cluster}, which is not there")))?;
            let (offset, len) = (self.base + offset, self.header.cluster_bytes);
            match extents.last_mut() {
                Some(last) if last.offset + last.len == offset => last.len += len,
                Some(_) | None => extents.push(Extent { offset, len }),
            }
            match self.next(cluster, &mut window)? {
                Next::Cluster(next) => cluster = next,
                Next::End => return Ok((extents, count)),
            }
        }
        Err(damaged(&format!("the chain from cluster {first} is longer than its owner, or a loop")))
    }

    fn next(&self, cluster: u32, window: &mut Window) -> Result<Next, FatReadError> {
        let index = u64::from(cluster);
        let (at, end_from) = match self.header.width {
            Width::Fat12 => (index * 3 / 2, 0xff8),
            Width::Fat16 => (index * 2, 0xfff8),
            Width::Fat32 => (index * 4, 0x0fff_fff8),
        };
        let width = if self.header.width == Width::Fat32 { 4 } else { 2 };
        if at < window.start || at + width > window.start + window.bytes.len() as u64 {
            let start = at - at % WINDOW;
            // One sector more than the window, so that no entry of FAT12 lies across its end.
            let room = self.disk.size().saturating_sub(self.base + self.header.fat_offset + start);
            let len = (WINDOW + 512).min(room);
            *window = Window { start, bytes: vec![0; usize::try_from(len).unwrap_or(0)] };
            let offset = self.base + self.header.fat_offset + start;
            self.disk
                .read_at(offset, &mut window.bytes)
                .map_err(|source| FatReadError::Io { offset, source })?;
        }
        let inside = usize::try_from(at - window.start).unwrap_or(usize::MAX);
        let short = || le_u16(&window.bytes, inside).map(u32::from);
        let value = match self.header.width {
            Width::Fat12 => {
                short().map(|pair| if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 })
            }
            Width::Fat16 => short(),
            Width::Fat32 => le_u32(&window.bytes, inside).map(|value| value & 0x0fff_ffff),
        };
        match value {
            None => Err(damaged("the FAT ends too early")),
            Some(value) if value >= end_from => Ok(Next::End),
            Some(value) => Ok(Next::Cluster(value)),
        }
    }
}

fn damaged(reason: &str) -> FatReadError {
    FatReadError::Damaged { reason: reason.to_owned() }
}
