//! A FAT12 or FAT16 volume as the loader walks it: FAT 1, the root directory, 8.3 names. It gives positions on the
//! disk, for writing in place.

use lifeboat_model::io::ReadAt;

use crate::bytes::{le_u16, le_u32, take};

/// Bytes of a sector; other sizes are not handled.
const SECTOR: u64 = 512;

/// Geometry of a volume.
#[derive(Debug, Clone)]
pub(super) struct FatMap {
    base: u64,
    sectors_per_cluster: u64,
    pub(super) fats: u64,
    fat_offset: u64,
    fat_sectors: u64,
    root_offset: u64,
    root_entries: u64,
    data_offset: u64,
    pub(super) clusters: u64,
    wide: bool,
}

/// A root directory entry, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// First byte of the entry on the disk.
    pub(super) offset: u64,
    pub(super) raw: [u8; 32],
}

impl Spot {
    pub(super) fn cluster(&self) -> u64 {
        u64::from(le_u16(&self.raw, 26).unwrap_or(0))
    }

    pub(super) fn len(&self) -> u64 {
        u64::from(le_u32(&self.raw, 28).unwrap_or(0))
    }
}

impl FatMap {
    /// Reads the boot sector of the volume of `len` bytes at `base`. The error is the rest of "the volume ...".
    pub(super) fn open(disk: &dyn ReadAt, base: u64, len: u64) -> Result<Self, String> {
        let mut boot = [0; 512];
        disk.read_at(base, &mut boot).map_err(|error| format!("cannot be read: {error}"))?;
        let u16_at = |at| u64::from(le_u16(&boot, at).unwrap_or(0));
        let byte = |at| take::<1>(&boot, at).map_or(0, |[byte]| u64::from(byte));
        if u16_at(11) != SECTOR {
            return Err("has sectors of another size than 512 bytes".to_owned());
        }
        let (sectors_per_cluster, reserved, fats) = (byte(13), u16_at(14), byte(16));
        let (root_entries, fat_sectors) = (u16_at(17), u16_at(22));
        let total = match u16_at(19) {
            0 => u64::from(le_u32(&boot, 32).unwrap_or(0)),
            total => total,
        };
        if !sectors_per_cluster.is_power_of_two() || reserved == 0 || fats == 0 || fat_sectors == 0 {
            return Err("has an impossible boot sector".to_owned());
        }
        if total * SECTOR > len {
            return Err("is larger than its partition".to_owned());
        }
        let root_sectors = (root_entries * 32).div_ceil(SECTOR);
        let data = reserved + fats * fat_sectors + root_sectors;
        let clusters = total.saturating_sub(data) / sectors_per_cluster;
        let wide = clusters >= 4085;
        let needed = if wide { (clusters + 2) * 2 } else { ((clusters + 2) * 3).div_ceil(2) };
        if clusters == 0 || clusters > 65_524 || root_entries == 0 || needed > fat_sectors * SECTOR {
            return Err("is neither FAT12 nor FAT16".to_owned());
        }
        Ok(Self {
            base,
            sectors_per_cluster,
            fats,
            fat_offset: base + reserved * SECTOR,
            fat_sectors,
            root_offset: base + (reserved + fats * fat_sectors) * SECTOR,
            root_entries,
            data_offset: base + data * SECTOR,
            clusters,
            wide,
        })
    }

    /// First byte of the volume on the disk.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn cluster_bytes(&self) -> u64 {
        self.sectors_per_cluster * SECTOR
    }

    /// First byte of a cluster on the disk.
    pub(super) fn cluster_offset(&self, cluster: u64) -> Option<u64> {
        let index = cluster.checked_sub(2).filter(|index| *index < self.clusters)?;
        Some(self.data_offset + index * self.cluster_bytes())
    }

    /// First byte of a copy of the FAT, and its length.
    pub(super) fn fat_range(&self, copy: u64) -> (u64, u64) {
        let len = self.fat_sectors * SECTOR;
        (self.fat_offset + copy * len, len)
    }

    pub(super) fn read_fat(&self, disk: &dyn ReadAt, copy: u64) -> std::io::Result<Vec<u8>> {
        let (offset, len) = self.fat_range(copy);
        let mut fat = vec![0; usize::try_from(len).unwrap_or(0)];
        disk.read_at(offset, &mut fat)?;
        Ok(fat)
    }

    /// The entries of the root, deleted and free ones too, up to the end of the table.
    pub(super) fn root(&self, disk: &dyn ReadAt) -> std::io::Result<Vec<Spot>> {
        let mut bytes = vec![0; usize::try_from(self.root_entries * 32).unwrap_or(0)];
        disk.read_at(self.root_offset, &mut bytes)?;
        let entries = bytes.chunks_exact(32).zip(0_u64..);
        Ok(entries
            .filter_map(|(raw, index)| {
                Some(Spot { offset: self.root_offset + index * 32, raw: raw.try_into().ok()? })
            })
            .collect())
    }

    /// The first entry with this 8.3 name. Attributes are not looked at, as the loader does not.
    pub(super) fn find(&self, disk: &dyn ReadAt, name: &[u8; 11]) -> std::io::Result<Option<Spot>> {
        let root = self.root(disk)?;
        Ok(root.into_iter().take_while(|spot| spot.raw[0] != 0).find(|spot| spot.raw.starts_with(name)))
    }

    /// The value of a FAT entry.
    pub(super) fn next(&self, fat: &[u8], cluster: u64) -> Option<u64> {
        let cluster = usize::try_from(cluster).ok()?;
        if self.wide {
            return le_u16(fat, cluster * 2).map(u64::from);
        }
        let pair = u64::from(le_u16(fat, cluster * 3 / 2)?);
        Some(if cluster.is_multiple_of(2) { pair & 0xfff } else { pair >> 4 })
    }

    /// Changes a FAT entry.
    pub(super) fn set(&self, fat: &mut [u8], cluster: u64, value: u64) {
        let Ok(cluster) = usize::try_from(cluster) else { return };
        let le = |value: u64| u16::try_from(value & 0xffff).unwrap_or(0).to_le_bytes();
        if self.wide {
            crate::bytes::put(fat, cluster * 2, &le(value));
            return;
        }
        let at = cluster * 3 / 2;
        let Some(pair) = le_u16(fat, at).map(u64::from) else { return };
        let value = if cluster.is_multiple_of(2) {
            pair & 0xf000 | value & 0xfff
        } else {
            pair & 0x000f | (value & 0xfff) << 4
        };
        crate::bytes::put(fat, at, &le(value));
    }

    /// The mark of the last cluster of a chain.
    pub(super) fn end_mark(&self) -> u64 {
        if self.wide { 0xffff } else { 0xfff }
    }

    /// The clusters of a chain, which must end. The error is the rest of "its chain ...".
    pub(super) fn chain(&self, fat: &[u8], first: u64) -> Result<Vec<u64>, String> {
        let end = if self.wide { 0xfff8 } else { 0xff8 };
        let mut chain = Vec::new();
        let mut cluster = first;
        while cluster < end {
            if self.cluster_offset(cluster).is_none() {
                return Err(format!("leads to cluster {cluster}, which is not there"));
            }
            if chain.len() as u64 > self.clusters {
                return Err("has no end".to_owned());
            }
            chain.push(cluster);
            cluster = self.next(fat, cluster).ok_or("leaves the table")?;
        }
        Ok(chain)
    }

    /// Clusters that no entry of the FAT gives to anybody, ascending.
    pub(super) fn free(&self, fat: &[u8]) -> impl Iterator<Item = u64> {
        (2..self.clusters + 2).filter(move |cluster| self.next(fat, *cluster) == Some(0))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::io::WriteAt;

    use super::*;
    use crate::fat::{BankFormat, BankPlan, FatKind, PlannedFile};

    fn volume(bytes: u64) -> (Vec<u8>, BankFormat) {
        let format = BankFormat::default_for(bytes, 0);
        let name = "file.bin".to_owned();
        let plan = BankPlan::new(&format, &[PlannedFile { name, len: 5000, modified: None }]).unwrap();
        let mut disk = vec![0; usize::try_from(bytes).unwrap()];
        for piece in plan.meta() {
            disk.write_at(piece.offset, &piece.data).unwrap();
        }
        disk.write_at(0, &plan.boot_sector()).unwrap();
        (disk, format)
    }

    #[test]
    fn chains_are_read_and_changed_in_both_widths() {
        for (bytes, kind) in [(1 << 20, FatKind::Fat12), (8 << 20, FatKind::Fat16)] {
            let (disk, format) = volume(bytes);
            assert_eq!(format.kind, kind);
            let map = FatMap::open(&disk, 0, bytes).unwrap();
            let spot = map.find(&disk, b"FILE    BIN").unwrap().unwrap();
            assert_eq!((spot.cluster(), spot.len()), (2, 5000));
            let mut fat = map.read_fat(&disk, 0).unwrap();
            let chain = map.chain(&fat, 2).unwrap();
            assert_eq!(chain.len() as u64, 5000_u64.div_ceil(map.cluster_bytes()));
            let free: Vec<u64> = map.free(&fat).collect();
            assert_eq!(free.len() as u64, map.clusters - chain.len() as u64);
            // Odd and even neighbours: a change of one does not touch the other.
            let before: Vec<Option<u64>> = (0..map.clusters + 2).map(|c| map.next(&fat, c)).collect();
            map.set(&mut fat, free[1], map.end_mark());
            map.set(&mut fat, free[0], free[1]);
            for cluster in 0..map.clusters + 2 {
                if cluster != free[0] && cluster != free[1] {
                    assert_eq!(map.next(&fat, cluster), before[usize::try_from(cluster).unwrap()]);
                }
            }
            assert_eq!(map.chain(&fat, free[0]).unwrap(), free[..2]);
            // A loop and a way out end with a reason.
            map.set(&mut fat, free[1], free[0]);
            assert_eq!(map.chain(&fat, free[0]), Err("has no end".to_owned()));
            map.set(&mut fat, free[1], map.clusters + 2);
            assert!(map.chain(&fat, free[0]).unwrap_err().contains("which is not there"));
        }
    }

    #[test]
    fn impossible_boot_sectors_are_refused() {
        let (disk, _) = volume(8 << 20);
        for at in [11, 13, 14, 16, 17, 22] {
            let mut bad = disk.clone();
            bad[at..at + 2].fill(0);
            FatMap::open(&bad, 0, 8 << 20).unwrap_err();
        }
        FatMap::open(&disk, 0, 4 << 20).unwrap_err();
        FatMap::open(&&disk[..100], 0, 8 << 20).unwrap_err();
    }
}
