//! A bank's volume with the loader's eyes: FAT12 and FAT16, the first FAT, the root directory, 8.3 names.
//!
//! Owns: the question whether the loader can read `boot.cfg`, and which bytes. Promises: as loose as the loader
//! (attributes, dirty bits, the second FAT and the signature 55 AA are not looked at), as strict where it is strict
//! (sizes, chains), bounded by the size of the file that is asked for. Does not: judge the volume; `fat::examine`
//! does.

use lifeboat_model::io::ReadAt;
use serde::Serialize;

use crate::bytes::{le_u16, le_u32, take};
use crate::fat::{BANK_MAGIC, Extent};

const SECTOR: u64 = 512;

/// Which FAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ViewKind {
    /// Twelve bits to a cluster.
    Fat12,
    /// Sixteen bits to a cluster.
    Fat16,
}

/// The numbers of a volume that the loader takes from its first sector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// Which FAT.
    pub kind: ViewKind,
    /// Words of the program that made it.
    pub oem: String,
    /// Serial number.
    pub serial: u32,
    /// Bytes of a cluster.
    pub cluster_bytes: u32,
    /// Number of clusters.
    pub clusters: u32,
    /// Sectors before the first FAT.
    pub reserved_sectors: u16,
    /// Bytes of the volume by its own account.
    pub bytes: u64,
    #[serde(skip)]
    fat_at: u64,
    #[serde(skip)]
    root_at: u64,
    #[serde(skip)]
    root_bytes: u64,
}

/// A file of the root directory, as the loader reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewFile {
    /// Content.
    pub bytes: Vec<u8>,
    /// First byte of its first cluster on the disk; none for an empty file.
    pub at: Option<u64>,
}

impl View {
    /// Reads the first sector of the volume of `len` bytes at byte `base`. The error completes a sentence that
    /// begins with "it".
    pub fn open(disk: &dyn ReadAt, base: u64, len: u64) -> Result<Self, String> {
        let mut sector = [0_u8; 512];
        disk.read_at(base, &mut sector).map_err(|error| format!("has no readable first sector ({error})"))?;
        let number = |at: usize| u64::from(le_u16(&sector, at).unwrap_or(0));
        let byte = |at: usize| u64::from(sector.get(at).copied().unwrap_or(0));
        let (per_cluster, reserved, fats, entries) = (byte(13), number(14), byte(16), number(17));
        if sector.iter().all(|&byte| byte == 0) {
            return Err("has a first sector of zeros".to_owned());
        }
        if number(11) != SECTOR {
            return Err(format!("has sectors of {} bytes; the loader reads 512", number(11)));
        }
        if !per_cluster.is_power_of_two() || reserved == 0 || !(1..=4).contains(&fats) {
            return Err(format!(
                "has impossible sizes ({per_cluster} sectors to a cluster, {reserved} reserved, {fats} FATs)"
            ));
        }
        let total = if number(19) == 0 { u64::from(le_u32(&sector, 32).unwrap_or(0)) } else { number(19) };
        if total * SECTOR > len {
            return Err(format!("claims {} bytes on a partition of {len}", total * SECTOR));
        }
        let per_fat = number(22);
        if per_fat == 0 || entries == 0 {
            return Err(
                "is FAT32 or no FAT; a bank is FAT16 or FAT12, for its second sector is its mark".to_owned()
            );
        }
        let root_sectors = (entries * 32).div_ceil(SECTOR);
        let data = reserved + fats * per_fat + root_sectors;
        let clusters = total.saturating_sub(data) / per_cluster;
        if clusters == 0 || clusters >= 65_525 {
            return Err(format!("has {clusters} clusters, which is neither FAT12 nor FAT16"));
        }
        let kind = if clusters < 4085 { ViewKind::Fat12 } else { ViewKind::Fat16 };
        let bits = if kind == ViewKind::Fat12 { 12 } else { 16 };
        if (clusters + 2) * bits > per_fat * SECTOR * 8 {
            return Err(format!("has a FAT of {per_fat} sectors for {clusters} clusters"));
        }
        let oem: [u8; 8] = take(&sector, 3).unwrap_or_default();
        let fat_at = base + reserved * SECTOR;
        Ok(Self {
            kind,
            oem: String::from_utf8_lossy(&oem).trim_end().to_owned(),
            serial: le_u32(&sector, 39).unwrap_or(0),
            cluster_bytes: u32::try_from(per_cluster * SECTOR).unwrap_or(0),
            clusters: u32::try_from(clusters).unwrap_or(0),
            reserved_sectors: u16::try_from(reserved).unwrap_or(0),
            bytes: total * SECTOR,
            fat_at,
            root_at: fat_at + fats * per_fat * SECTOR,
            root_bytes: entries * 32,
        })
    }

    /// First cluster and bytes of the file of the root directory whose 11 bytes of name are `name`. None when there is
    /// no such entry.
    pub fn find(&self, disk: &dyn ReadAt, name: &[u8; 11]) -> Result<Option<(u32, u64)>, String> {
        let mut root = vec![0_u8; usize::try_from(self.root_bytes).unwrap_or(0)];
        disk.read_at(self.root_at, &mut root)
            .map_err(|error| format!("has an unreadable root directory ({error})"))?;
        let mut entries = root.chunks_exact(32).take_while(|entry| entry.first() != Some(&0));
        let entry = entries.find(|entry| entry.get(..11) == Some(name));
        Ok(entry.map(|entry| {
            let first = u32::from(le_u16(entry, 26).unwrap_or(0));
            (first, u64::from(le_u32(entry, 28).unwrap_or(0)))
        }))
    }

    /// The content of such a file, if it has at most `most` bytes.
    pub fn read(&self, disk: &dyn ReadAt, name: &[u8; 11], most: u64) -> Result<Option<ViewFile>, String> {
        let Some((first, len)) = self.find(disk, name)? else { return Ok(None) };
        if len > most {
            return Err(format!("has a file of {len} bytes where at most {most} are read"));
        }
        self.content(disk, first, len).map(Some)
    }

    fn content(&self, disk: &dyn ReadAt, first: u32, len: u64) -> Result<ViewFile, String> {
        let extents = self.chains(disk)?.extents(first, len)?;
        let mut bytes = vec![0_u8; usize::try_from(len).unwrap_or(0)];
        let mut rest = bytes.as_mut_slice();
        for extent in &extents {
            let now = usize::try_from(extent.len).unwrap_or(usize::MAX).min(rest.len());
            let (part, after) = rest.split_at_mut(now);
            disk.read_at(extent.offset, part)
                .map_err(|error| format!("has an unreadable cluster ({error})"))?;
            rest = after;
        }
        Ok(ViewFile { bytes, at: extents.first().map(|extent| extent.offset) })
    }

    /// The first FAT, for following chains: 128 KiB at most.
    pub fn chains(&self, disk: &dyn ReadAt) -> Result<Chains, String> {
        let entries = u64::from(self.clusters) + 2;
        let len = match self.kind {
            ViewKind::Fat12 => (entries * 3).div_ceil(2),
            ViewKind::Fat16 => entries * 2,
        };
        let mut fat = vec![0_u8; usize::try_from(len).unwrap_or(0)];
        disk.read_at(self.fat_at, &mut fat).map_err(|error| format!("has an unreadable FAT ({error})"))?;
        Ok(Chains {
            kind: self.kind,
            clusters: self.clusters,
            cluster_bytes: u64::from(self.cluster_bytes),
            data_at: self.root_at + self.root_bytes.next_multiple_of(SECTOR),
            fat,
        })
    }
}

/// The first FAT of a volume, in memory.
#[derive(Debug, Clone)]
pub struct Chains {
    kind: ViewKind,
    clusters: u32,
    cluster_bytes: u64,
    data_at: u64,
    fat: Vec<u8>,
}

impl Chains {
    /// Where the `len` bytes of a file lie that starts at cluster `first`, in bytes of the disk. More clusters than
    /// the size needs are not looked at, as the loader does not. The error completes a sentence that begins with
    /// "it".
    pub fn extents(&self, first: u32, len: u64) -> Result<Vec<Extent>, String> {
        let needed = len.div_ceil(self.cluster_bytes);
        if needed > u64::from(self.clusters) {
            return Err(format!("has a file of {len} bytes, more than it has room for"));
        }
        let mut extents: Vec<Extent> = Vec::new();
        let (mut cluster, mut left) = (first, len);
        for _ in 0..needed {
            let index = cluster.checked_sub(2).filter(|&index| index < self.clusters);
            let index = index.ok_or_else(|| format!("has a chain that leads to cluster {cluster}"))?;
            let offset = self.data_at + u64::from(index) * self.cluster_bytes;
            let now = left.min(self.cluster_bytes);
            match extents.last_mut() {
                Some(last) if last.offset + last.len == offset => last.len += now,
                Some(_) | None => extents.push(Extent { offset, len: now }),
            }
            left -= now;
            cluster = self.next(cluster);
        }
        Ok(extents)
    }

    /// What the first FAT says about a cluster.
    fn next(&self, cluster: u32) -> u32 {
        let cluster = usize::try_from(cluster).unwrap_or(0);
        let pair = |at: usize| u32::from(le_u16(&self.fat, at).unwrap_or(0));
        match self.kind {
            ViewKind::Fat12 if cluster.is_multiple_of(2) => pair(cluster * 3 / 2) & 0xfff,
            ViewKind::Fat12 => pair(cluster * 3 / 2) >> 4,
            ViewKind::Fat16 => pair(cluster * 2),
        }
    }
}

/// The identity in the second sector of a bank, if it has the mark.
pub(super) fn identity(disk: &dyn ReadAt, base: u64) -> Option<[u8; 16]> {
    let mut sector = [0_u8; 512];
    disk.read_at(base.checked_add(SECTOR)?, &mut sector).ok()?;
    (sector.get(..16) == Some(BANK_MAGIC)).then(|| take(&sector, 16)).flatten()
}
