//! The shape of a fresh bank volume of ESXi.
//!
//! Owns: sizes and identity, taken over from an old volume where they are sane, or chosen. Promises: what comes out
//! of [`BankFormat::like`] and [`BankFormat::default_for`] can be made. Does not: invent serial numbers or the UUID in
//! the second sector; they come from outside.

use lifeboat_model::io::ReadAt;

use super::examine::shape::{identity, parse};
use super::report::{FatKind, FatTime};
use crate::bytes::{le_u16, le_u32, put, take};

/// What the second sector of a bank begins with; the UUID of 16 bytes follows. Without it the loader of ESXi does not
/// see a bank.
pub const BANK_MAGIC: &[u8; 16] = b"VMWARE FAT16    ";

pub(super) const SECTOR: u64 = 512;
const MIN_CLUSTERS_16: u64 = 4085;
/// The specification's limits; the first is kept away from, as it asks.
const SAFE_CLUSTERS_16: u64 = 65_500;
const MAX_CLUSTERS_16: u64 = 65_524;
const MAX_CLUSTERS_12: u64 = 4084;

/// Everything about a fresh volume but its files. Sectors have 512 bytes; there are two FATs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankFormat {
    /// Bytes of the partition. A rest that is no whole sector, or that FAT16 cannot use, stays unused.
    pub bytes: u64,
    /// [`FatKind::Fat16`] or [`FatKind::Fat12`]; no bank is FAT32, whose second sector is taken.
    pub kind: FatKind,
    /// A power of two.
    pub sectors_per_cluster: u8,
    /// Sectors before the first FAT, at least 2.
    pub reserved: u16,
    /// Entries of the root directory, a multiple of 16.
    pub root_entries: u16,
    /// Serial number; should differ between any two volumes.
    pub serial: u32,
    /// Label; `NO NAME    ` is none.
    pub label: [u8; 11],
    /// Name of the maker.
    pub oem: [u8; 8],
    /// Sectors before the partition.
    pub hidden: u32,
    /// The second sector: [`BANK_MAGIC`], then the UUID.
    pub second_sector: [u8; 512],
}

/// Sizes in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) total: u64,
    pub(super) per_fat: u64,
    pub(super) root: u64,
    pub(super) clusters: u64,
    /// First sector of the first cluster.
    pub(super) data: u64,
}

impl BankFormat {
    /// The format of the volume of `len` bytes at byte `base`, healed: sizes that are impossible, or that do not fit
    /// the partition, are replaced; identity is kept, and the second sector as it is. None when the first sector does
    /// not look like one of FAT12 or FAT16 at all.
    pub fn like(disk: &dyn ReadAt, base: u64, len: u64) -> Option<Self> {
        let mut boot = [0_u8; 512];
        disk.read_at(base, &mut boot).ok()?;
        let mut second_sector = [0_u8; 512];
        let second_ok = disk.read_at(base + SECTOR, &mut second_sector).is_ok();
        let usual = Self::default_for(len, base);
        // Sizes that parse and fit are kept together or not at all: one wrong size makes the others worthless.
        let sane = parse(&boot, len).ok().filter(|(shape, remarks)| {
            shape.kind != FatKind::Fat32
                && shape.sector == SECTOR
                && remarks.iter().all(|(code, _)| {
                    !matches!(
                        code,
                        super::FatCode::BootDoubt | super::FatCode::TooLarge | super::FatCode::Tail
                    )
                })
        });
        let looks_fat =
            sane.is_some() || boot.get(54..57) == Some(b"FAT") || boot.get(510..) == Some(&[0x55, 0xaa]);
        if !looks_fat || boot.get(82..87) == Some(b"FAT32") {
            return None;
        }
        let mut out = usual.clone();
        if let Some((shape, _)) = &sane {
            out.kind = shape.kind;
            out.sectors_per_cluster = u8::try_from(shape.per_cluster).ok()?;
            out.reserved = u16::try_from(shape.reserved).ok()?.max(2);
            out.root_entries = u16::try_from(shape.root_bytes / 32).ok()?;
            out = if out.layout().is_some() { out } else { usual };
        }
        let known = identity(&boot, out.kind);
        out.serial = known.serial;
        out.label = known.label.unwrap_or(*b"NO NAME    ");
        let oem: [u8; 8] = take(&boot, 3)?;
        if oem.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            out.oem = oem;
        }
        if second_ok {
            out.second_sector = second_sector;
        }
        let hidden = le_u32(&boot, 28).unwrap_or(0);
        if hidden != 0 && le_u16(&boot, 11) == Some(512) && sane.is_some() {
            out.hidden = hidden;
        }
        Some(out)
    }

    /// The usual format for a partition of `bytes` bytes that begins at byte `base` of the disk: FAT16 (FAT12 below
    /// 2 MiB or so), two reserved sectors, 512 entries in the root. The second sector has the magic and a UUID of
    /// zeros, which has to be filled in, as has the serial number.
    #[must_use]
    pub fn default_for(bytes: u64, base: u64) -> Self {
        let mut second_sector = [0_u8; 512];
        put(&mut second_sector, 0, BANK_MAGIC);
        let mut out = Self {
            bytes,
            kind: FatKind::Fat16,
            sectors_per_cluster: 1,
            reserved: 2,
            root_entries: 512,
            serial: 0,
            label: *b"NO NAME    ",
            oem: *b"MSDOS5.0",
            hidden: u32::try_from(base / SECTOR).unwrap_or(0),
            second_sector,
        };
        let most = |per_cluster: u8| if per_cluster == 128 { MAX_CLUSTERS_16 } else { SAFE_CLUSTERS_16 };
        while out.sectors_per_cluster < 128 && out.sizes().clusters > most(out.sectors_per_cluster) {
            out.sectors_per_cluster *= 2;
        }
        if out.sizes().clusters < MIN_CLUSTERS_16 {
            out.kind = FatKind::Fat12;
            while out.sectors_per_cluster < 128 && out.sizes().clusters > MAX_CLUSTERS_12 {
                out.sectors_per_cluster *= 2;
            }
        }
        out
    }

    /// Sizes as they come, without a look at the limits.
    fn sizes(&self) -> Layout {
        let bits = if self.kind == FatKind::Fat12 { 12 } else { 16 };
        let most = if self.kind == FatKind::Fat12 { MAX_CLUSTERS_12 } else { MAX_CLUSTERS_16 };
        let per_cluster = u64::from(self.sectors_per_cluster.max(1));
        let root = (u64::from(self.root_entries) * 32).div_ceil(SECTOR);
        let fixed = u64::from(self.reserved) + root;
        let total = (self.bytes / SECTOR).min(u64::from(u32::MAX));
        let fat_for = |clusters: u64| ((clusters + 2) * bits).div_ceil(SECTOR * 8);
        // A FAT for all sectors is a little too large; a second look makes it fit, and never too small, since fewer
        // sectors for the FAT give at most a few clusters more, which the third look sees.
        let mut per_fat = fat_for(total / per_cluster);
        let clusters_with = |per_fat: u64| total.saturating_sub(fixed + 2 * per_fat) / per_cluster;
        for _ in 0..2 {
            let better = fat_for(clusters_with(per_fat));
            per_fat = if fat_for(clusters_with(better)) <= better { better } else { per_fat };
        }
        // At the largest cluster, a partition beyond 4 GiB: the rest of it stays unused.
        let clusters = clusters_with(per_fat);
        if clusters > most && self.sectors_per_cluster == 128 && self.kind == FatKind::Fat16 {
            let per_fat = fat_for(most);
            let data = fixed + 2 * per_fat;
            return Layout { total: data + most * per_cluster, per_fat, root, clusters: most, data };
        }
        Layout { total, per_fat, root, clusters, data: fixed + 2 * per_fat }
    }

    /// The sizes, if the format is possible.
    pub(super) fn layout(&self) -> Option<Layout> {
        let range = match self.kind {
            FatKind::Fat12 => 1..=MAX_CLUSTERS_12,
            FatKind::Fat16 => MIN_CLUSTERS_16..=MAX_CLUSTERS_16,
            FatKind::Fat32 => return None,
        };
        let fine = self.sectors_per_cluster.is_power_of_two()
            && self.reserved >= 2
            && self.root_entries >= 16
            && self.root_entries.is_multiple_of(16);
        let layout = self.sizes();
        (fine && range.contains(&layout.clusters) && layout.per_fat <= 0xffff).then_some(layout)
    }

    /// Bytes to a cluster.
    #[must_use]
    pub fn cluster_bytes(&self) -> u64 {
        u64::from(self.sectors_per_cluster) * SECTOR
    }

    /// Bytes that files can have together; 0 when the format is not possible.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.layout().map_or(0, |layout| layout.clusters * self.cluster_bytes())
    }

    /// The boot sector.
    pub(super) fn boot_sector(&self, layout: &Layout) -> [u8; 512] {
        let mut sector = [0_u8; 512];
        // A jump to where a boot program would be, and there an endless loop: firmware of PCs never comes here, since
        // the master boot record of ESXi starts its own loader.
        put(&mut sector, 0, &[0xeb, 0x3c, 0x90]);
        put(&mut sector, 3, &self.oem);
        put(&mut sector, 11, &512_u16.to_le_bytes());
        put(&mut sector, 13, &[self.sectors_per_cluster]);
        put(&mut sector, 14, &self.reserved.to_le_bytes());
        put(&mut sector, 16, &[2]);
        put(&mut sector, 17, &self.root_entries.to_le_bytes());
        match u16::try_from(layout.total) {
            Ok(total) => put(&mut sector, 19, &total.to_le_bytes()),
            Err(_) => put(&mut sector, 32, &u32::try_from(layout.total).unwrap_or(u32::MAX).to_le_bytes()),
        }
        put(&mut sector, 21, &[0xf8]);
        put(&mut sector, 22, &u16::try_from(layout.per_fat).unwrap_or(u16::MAX).to_le_bytes());
        // Sectors of a track and heads mean nothing on such disks; these are what others write.
        put(&mut sector, 24, &[63, 0, 255, 0]);
        put(&mut sector, 28, &self.hidden.to_le_bytes());
        put(&mut sector, 36, &[0x80, 0, 0x29]);
        put(&mut sector, 39, &self.serial.to_le_bytes());
        put(&mut sector, 43, &self.label);
        put(&mut sector, 54, if self.kind == FatKind::Fat12 { b"FAT12   " } else { b"FAT16   " });
        put(&mut sector, 62, &[0xeb, 0xfe]);
        put(&mut sector, 510, &[0x55, 0xaa]);
        sector
    }
}

/// A file of a fresh bank volume; its content comes later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Path from the root, parts divided by `/`. Names that fit 8.3 (in capitals, small letters, or small letters in
    /// one of the two parts) get no long name.
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// Time of the last change; none is 1 January 1980.
    pub modified: Option<FatTime>,
}
