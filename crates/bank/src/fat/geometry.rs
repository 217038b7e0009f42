//! Sizes of a fresh volume.

use super::format::{FatWriteError, MAX_VOLUME, MIN_VOLUME};
use crate::bytes::put;

/// Bytes of a sector.
pub(super) const SECTOR: u64 = 512;
/// Entries of a FAT16 root directory that we make.
const ROOT_ENTRIES: u16 = 512;
/// Most clusters that we give a FAT16 volume; the standard's limit is 65,524.
const FAT16_CLUSTERS: u64 = 65_000;
/// Volumes from here on are FAT32, as mkfs.fat has it.
const FAT32_FROM: u64 = 512 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fat16,
    Fat32,
}

/// The numbers of a volume, in sectors where nothing else is said.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) kind: Kind,
    pub(super) total: u64,
    pub(super) per_cluster: u64,
    pub(super) reserved: u64,
    pub(super) per_fat: u64,
    /// Sectors of the fixed root directory; 0 on FAT32.
    pub(super) root: u64,
    /// Number of clusters.
    pub(super) clusters: u64,
}

impl Sizes {
    /// Sizes for a volume of `bytes` bytes; a part of a sector at the end is left unused.
    pub(super) fn of_volume(bytes: u64) -> Result<Self, FatWriteError> {
        if !(MIN_VOLUME..=MAX_VOLUME).contains(&bytes) {
            return Err(FatWriteError::VolumeSize { bytes });
        }
        let total = bytes / SECTOR;
        let kind = if bytes < FAT32_FROM { Kind::Fat16 } else { Kind::Fat32 };
        let mut per_cluster = match kind {
            Kind::Fat16 => 1,
            Kind::Fat32 => 8,
        };
        loop {
            let sizes = Self::with_cluster(kind, total, per_cluster);
            let most = match kind {
                Kind::Fat16 => FAT16_CLUSTERS,
                Kind::Fat32 => 2 << 20,
            };
            if sizes.clusters <= most || per_cluster == 64 {
                return Ok(sizes);
            }
            per_cluster *= 2;
        }
    }

    fn with_cluster(kind: Kind, total: u64, per_cluster: u64) -> Self {
        let (least_reserved, root, entry) = match kind {
            Kind::Fat16 => (1, u64::from(ROOT_ENTRIES) * 32 / SECTOR, 2),
            Kind::Fat32 => (32, 0, 4),
        };
        let most = (total - least_reserved - root) / per_cluster + 2;
        let per_fat = (most * entry).div_ceil(SECTOR);
        // The first cluster is brought to 4 KiB, so that writes are aligned on every kind of disk.
        let data = (least_reserved + 2 * per_fat + root).next_multiple_of(8);
        let reserved = data - 2 * per_fat - root;
        Self { kind, total, per_cluster, reserved, per_fat, root, clusters: (total - data) / per_cluster }
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.per_cluster * SECTOR
    }

    /// Byte offset of the fixed root directory, or of the first cluster when there is none.
    pub(super) fn root_offset(&self) -> u64 {
        (self.reserved + 2 * self.per_fat) * SECTOR
    }

    /// Byte offset of a cluster, numbered from 2.
    pub(super) fn cluster_offset(&self, cluster: u64) -> u64 {
        self.root_offset() + self.root * SECTOR + (cluster - 2) * self.cluster_bytes()
    }

    /// The boot sector (and, unchanged, its backup on FAT32).
    pub(super) fn boot_sector(&self, serial: u32, label: &[u8; 11]) -> [u8; 512] {
        let mut sector = [0_u8; 512];
        let le16 = |value: u64| u16::try_from(value).unwrap_or(0).to_le_bytes();
        let le32 = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes();
        put(&mut sector, 0, &[0xeb, 0xfe, 0x90]);
        put(&mut sector, 3, b"LIFEBOAT");
        put(&mut sector, 11, &512_u16.to_le_bytes());
        put(&mut sector, 13, &[u8::try_from(self.per_cluster).unwrap_or(0)]);
        put(&mut sector, 14, &le16(self.reserved));
        put(&mut sector, 16, &[2]);
        put(&mut sector, 21, &[0xf8]);
        // Tracks and heads mean nothing on such disks; these are what others write.
        put(&mut sector, 24, &[32, 0, 64, 0]);
        if let (Kind::Fat16, Ok(total)) = (self.kind, u16::try_from(self.total)) {
            put(&mut sector, 19, &total.to_le_bytes());
        } else {
            put(&mut sector, 32, &le32(self.total));
        }
        let extended = match self.kind {
            Kind::Fat16 => {
                put(&mut sector, 17, &ROOT_ENTRIES.to_le_bytes());
                put(&mut sector, 22, &le16(self.per_fat));
                36
            }
            Kind::Fat32 => {
                put(&mut sector, 36, &le32(self.per_fat));
                put(&mut sector, 44, &2_u32.to_le_bytes());
                put(&mut sector, 48, &[1, 0, 6, 0]);
                64
            }
        };
        put(&mut sector, extended, &[0x80, 0, 0x29]);
        put(&mut sector, extended + 3, &serial.to_le_bytes());
        put(&mut sector, extended + 7, label);
        let name = match self.kind {
            Kind::Fat16 => b"FAT16   ",
            Kind::Fat32 => b"FAT32   ",
        };
        put(&mut sector, extended + 18, name);
        put(&mut sector, 510, &[0x55, 0xaa]);
        sector
    }
}
