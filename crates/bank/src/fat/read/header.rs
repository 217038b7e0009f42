//! The boot sector.

use crate::bytes::{le_u16, le_u32};

/// Bytes of a sector; other sizes are refused.
pub(super) const SECTOR: u64 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Fat12,
    Fat16,
    Fat32,
}

/// The numbers of a volume; all of them lie inside it. Offsets are bytes from its start.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub(super) width: Width,
    pub(super) cluster_bytes: u64,
    pub(super) clusters: u32,
    pub(super) fat_offset: u64,
    pub(super) root_offset: u64,
    /// Bytes of the fixed root; 0 on FAT32.
    pub(super) root_bytes: u64,
    /// First cluster of the root on FAT32.
    pub(super) root_cluster: u32,
    pub(super) data_offset: u64,
}

impl Header {
    /// Checks the first sector of a volume of `volume` bytes.
    pub(super) fn parse(sector: &[u8; 512], volume: u64) -> Result<Self, String> {
        let u16_at = |at: usize| u64::from(le_u16(sector, at).unwrap_or(0));
        let u32_at = |at: usize| le_u32(sector, at).unwrap_or(0);
        let byte = |at: usize| u64::from(sector.get(at).copied().unwrap_or(0));
        if sector.iter().all(|&byte| byte == 0) {
            return Err("its first sector is all zeros (an install into it did not end)".to_owned());
        }
        if u16_at(510) != 0xaa55 {
            return Err("its first sector lacks the signature 55 AA".to_owned());
        }
        if u16_at(11) != SECTOR {
            return Err(format!("sectors of {} bytes; only 512 are supported", u16_at(11)));
        }
        let (per_cluster, reserved, fats, root_entries) = (byte(13), u16_at(14), byte(16), u16_at(17));
        if !per_cluster.is_power_of_two() {
            return Err(format!("{per_cluster} sectors to a cluster"));
        }
        if reserved == 0 || !(1..=4).contains(&fats) {
            return Err(format!("{reserved} reserved sectors and {fats} FATs"));
        }
        let small = u16_at(19);
        let total = if small == 0 { u64::from(u32_at(32)) } else { small };
        if total.saturating_mul(SECTOR) > volume {
            return Err(format!("it claims {total} sectors, and its partition has {}", volume / SECTOR));
        }
        let small = u16_at(22);
        let is_fat32 = small == 0;
        let per_fat = if is_fat32 { u64::from(u32_at(36)) } else { small };
        let root_sectors = (root_entries * 32).div_ceil(SECTOR);
        let data = reserved + fats * per_fat + root_sectors;
        if per_fat == 0 || data >= total {
            return Err(format!("{per_fat} sectors to a FAT leave no room for files in {total} sectors"));
        }
        let clusters = (total - data) / per_cluster;
        // The number of clusters alone decides the kind (specification, "FAT Type Determination").
        let (width, bits) = match clusters {
            0..4085 => (Width::Fat12, 12),
            4085..65525 => (Width::Fat16, 16),
            _ => (Width::Fat32, 32),
        };
        if (width == Width::Fat32) != is_fat32 || is_fat32 != (root_entries == 0) {
            return Err(format!("{clusters} clusters do not go with its other fields"));
        }
        if clusters > 0x0fff_fff4 || (clusters + 2) * bits > per_fat * SECTOR * 8 {
            return Err(format!("a FAT of {per_fat} sectors cannot hold {clusters} clusters"));
        }
        let mut used_fat = 0;
        let mut root_cluster = 0;
        if is_fat32 {
            if u16_at(42) != 0 {
                return Err(format!("FAT32 of version {:04x}", u16_at(42)));
            }
            if u16_at(40) & 0x80 != 0 {
                used_fat = u16_at(40) & 0x0f;
            }
            root_cluster = u32_at(44) & 0x0fff_ffff;
            if used_fat >= fats || u64::from(root_cluster) < 2 || u64::from(root_cluster) >= clusters + 2 {
                return Err(format!(
                    "its root directory at cluster {root_cluster} or FAT {used_fat} is not there"
                ));
            }
        }
        let root_offset = (reserved + fats * per_fat) * SECTOR;
        Ok(Self {
            width,
            cluster_bytes: per_cluster * SECTOR,
            clusters: u32::try_from(clusters).unwrap_or(0),
            fat_offset: (reserved + used_fat * per_fat) * SECTOR,
            root_offset,
            root_bytes: root_entries * 32,
            root_cluster,
            data_offset: root_offset + root_sectors * SECTOR,
        })
    }

    /// Byte offset of a cluster of the volume, if there is such a cluster.
    pub(super) fn cluster_offset(&self, cluster: u32) -> Option<u64> {
        let index = u64::from(cluster.checked_sub(2)?);
        (index < u64::from(self.clusters)).then(|| self.data_offset + index * self.cluster_bytes)
    }
}
