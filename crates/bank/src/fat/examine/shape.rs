//! The boot sector: where everything lies.
//!
//! Owns: every field of the boot sector, held against the partition and against each other. Promises: the numbers of
//! a [`Shape`] cannot overflow and lead nowhere outside the partition. Does not: read the tables.

use crate::bytes::{le_u16, le_u32, take};
use crate::fat::report::{FatCode, FatKind};

/// Most clusters that are examined: 16 Mi, which takes 128 MiB of memory.
const MAX_CLUSTERS: u64 = 16 << 20;

/// Where things lie. Offsets are bytes from the start of the volume.
#[derive(Debug, Clone)]
pub(in crate::fat) struct Shape {
    pub(in crate::fat) kind: FatKind,
    pub(in crate::fat) sector: u64,
    pub(in crate::fat) per_cluster: u64,
    /// Number of clusters that the boot sector claims.
    pub(in crate::fat) clusters: u32,
    pub(in crate::fat) reserved: u64,
    pub(in crate::fat) fats: u64,
    /// Bytes of one FAT.
    pub(in crate::fat) fat_bytes: u64,
    pub(in crate::fat) root_offset: u64,
    /// Bytes of the fixed root; 0 on FAT32.
    pub(in crate::fat) root_bytes: u64,
    pub(in crate::fat) root_cluster: u32,
    pub(in crate::fat) data_offset: u64,
    /// Bytes that the volume claims.
    pub(in crate::fat) total_bytes: u64,
    /// FAT that is in use on FAT32 without mirroring; else 0.
    pub(in crate::fat) active_fat: u64,
    pub(in crate::fat) mirrored: bool,
    pub(in crate::fat) media: u8,
    /// Sector of FSInfo and of the backup boot sector; 0 is none.
    pub(in crate::fat) info_sector: u64,
    pub(in crate::fat) backup_sector: u64,
}

/// What the boot sector tells beside the numbers.
#[derive(Debug, Clone, Default)]
pub(in crate::fat) struct Identity {
    pub(in crate::fat) oem: String,
    pub(in crate::fat) serial: u32,
    pub(in crate::fat) label: Option<[u8; 11]>,
    /// Byte 37 (FAT32: 65): bit 0 is dirty, bit 1 asks for a test of the surface.
    pub(in crate::fat) flags: u8,
}

/// A code and its text, before a path and a severity are known.
pub(in crate::fat) type Remark = (FatCode, String);

impl Shape {
    pub(in crate::fat) fn cluster_bytes(&self) -> u64 {
        self.per_cluster * self.sector
    }

    /// Bytes from the volume's start to the cluster's first byte, if the volume has such a cluster.
    pub(in crate::fat) fn cluster_offset(&self, cluster: u32) -> Option<u64> {
        let index = cluster.checked_sub(2)?;
        (index < self.clusters).then(|| self.data_offset + u64::from(index) * self.cluster_bytes())
    }

    /// Offset of FAT `copy` (from 0).
    pub(in crate::fat) fn fat_offset(&self, copy: u64) -> u64 {
        self.reserved * self.sector + copy * self.fat_bytes
    }

    /// The fields that only FAT32 has.
    fn add_fat32(&mut self, sector: &[u8; 512]) -> Result<(), String> {
        let u16_at = |at: usize| u64::from(le_u16(sector, at).unwrap_or(0));
        if u16_at(42) != 0 {
            return Err(format!("FAT32 of version {:#06x}", u16_at(42)));
        }
        if u16_at(40) & 0x80 != 0 {
            self.mirrored = false;
            self.active_fat = u16_at(40) & 0x0f;
        }
        self.root_cluster = le_u32(sector, 44).unwrap_or(0) & 0x0fff_ffff;
        if self.active_fat >= self.fats || self.cluster_offset(self.root_cluster).is_none() {
            let (root, fat) = (self.root_cluster, self.active_fat);
            return Err(format!("the root directory at cluster {root}, or FAT {fat}, is not there"));
        }
        let inside = |number: u64| if (1..self.reserved).contains(&number) { number } else { 0 };
        (self.info_sector, self.backup_sector) = (inside(u16_at(48)), inside(u16_at(50)));
        Ok(())
    }

    /// Offset of the byte with the dirty bit.
    pub(in crate::fat) fn flags_at(&self) -> usize {
        flags_at(self.kind)
    }

    /// Bytes of a FAT that describe clusters of this volume.
    pub(in crate::fat) fn fat_used(&self) -> u64 {
        let entries = u64::from(self.clusters) + 2;
        match self.kind {
            FatKind::Fat12 => (entries * 3).div_ceil(2),
            FatKind::Fat16 => entries * 2,
            FatKind::Fat32 => entries * 4,
        }
    }
}

fn flags_at(kind: FatKind) -> usize {
    if kind == FatKind::Fat32 { 65 } else { 37 }
}

/// Reads the first sector of a volume that has `volume` bytes. The error is the one finding that there is then.
pub(in crate::fat) fn parse(sector: &[u8; 512], volume: u64) -> Result<(Shape, Vec<Remark>), Remark> {
    if sector.iter().all(|&byte| byte == 0) {
        let text = "the boot sector is all zeros: it was erased, or the making of the volume never came to its end; \
                    no loader reads this volume, and its partition has to be made afresh";
        return Err((FatCode::BootZero, text.to_owned()));
    }
    let impossible = |text: String| {
        let text = format!(
            "boot sector: {text}; nothing behind it can be found, and no loader chooses this volume (a single wrong \
             byte, if known, is best put back before anything else is tried)"
        );
        (FatCode::BootField, text)
    };
    let fields = Fields::read(sector).map_err(impossible)?;
    let (kind, clusters) = fields.kind().map_err(impossible)?;
    let head = fields.head() * fields.bytes;
    if head > volume {
        return Err(impossible(format!(
            "FATs and root directory take {head} bytes of a partition of {volume}"
        )));
    }
    if clusters > MAX_CLUSTERS {
        let text = format!(
            "the volume has {clusters} clusters; up to {MAX_CLUSTERS} are examined. No bank is so large"
        );
        return Err((FatCode::Limit, text));
    }
    let Fields { bytes, per_cluster, reserved, fats, root_entries, total, per_fat, .. } = fields;
    let root_offset = (reserved + fats * per_fat) * bytes;
    let mut shape = Shape {
        kind,
        sector: bytes,
        per_cluster,
        clusters: u32::try_from(clusters).unwrap_or(0),
        reserved,
        fats,
        fat_bytes: per_fat * bytes,
        root_offset,
        root_bytes: root_entries * 32,
        root_cluster: 0,
        data_offset: root_offset + fields.root_sectors() * bytes,
        total_bytes: total * bytes,
        active_fat: 0,
        mirrored: true,
        media: sector[21],
        info_sector: 0,
        backup_sector: 0,
    };
    if kind == FatKind::Fat32 {
        shape.add_fat32(sector).map_err(impossible)?;
    }
    let remarks = doubts(sector, &shape, volume, root_entries);
    Ok((shape, remarks))
}

/// The sizes as they stand in the boot sector, in sectors.
#[derive(Clone, Copy)]
struct Fields {
    bytes: u64,
    per_cluster: u64,
    reserved: u64,
    fats: u64,
    root_entries: u64,
    total: u64,
    per_fat: u64,
    /// The size of a FAT stands in the field of FAT32.
    wide: bool,
}

impl Fields {
    fn read(sector: &[u8; 512]) -> Result<Self, String> {
        let u16_at = |at: usize| u64::from(le_u16(sector, at).unwrap_or(0));
        let u32_at = |at: usize| u64::from(le_u32(sector, at).unwrap_or(0));
        let byte = |at: usize| u64::from(sector.get(at).copied().unwrap_or(0));
        let wide = u16_at(22) == 0;
        let out = Self {
            bytes: u16_at(11),
            per_cluster: byte(13),
            reserved: u16_at(14),
            fats: byte(16),
            root_entries: u16_at(17),
            total: if u16_at(19) == 0 { u32_at(32) } else { u16_at(19) },
            per_fat: if wide { u32_at(36) } else { u16_at(22) },
            wide,
        };
        if !matches!(out.bytes, 512 | 1024 | 2048 | 4096) {
            return Err(format!("{} bytes to a sector (512, 1024, 2048 or 4096 are possible)", out.bytes));
        }
        if !out.per_cluster.is_power_of_two() {
            return Err(format!("{} sectors to a cluster (a power of two is possible)", out.per_cluster));
        }
        if out.reserved == 0 {
            return Err("0 reserved sectors, though the boot sector is one".to_owned());
        }
        if !(1..=4).contains(&out.fats) {
            return Err(format!("{} FATs (2 are usual)", out.fats));
        }
        if out.per_fat == 0 {
            return Err("0 sectors to a FAT".to_owned());
        }
        Ok(out)
    }

    fn root_sectors(&self) -> u64 {
        (self.root_entries * 32).div_ceil(self.bytes)
    }

    /// Sectors before the first cluster.
    fn head(&self) -> u64 {
        self.reserved + self.fats * self.per_fat + self.root_sectors()
    }

    /// The kind, and the number of clusters.
    fn kind(&self) -> Result<(FatKind, u64), String> {
        let head = self.head();
        if head + self.per_cluster > self.total {
            return Err(format!(
                "FATs and root directory take {head} sectors of the {} that it claims",
                self.total
            ));
        }
        let clusters = (self.total - head) / self.per_cluster;
        // A width that the fields say beats one that the number of clusters says: without a fixed root a volume can
        // only be FAT32, however small it was made.
        let (kind, bits) = match clusters {
            _ if self.wide && self.root_entries == 0 => (FatKind::Fat32, 32),
            0..4085 => (FatKind::Fat12, 12),
            _ => (FatKind::Fat16, 16),
        };
        if kind != FatKind::Fat32 && (self.wide || self.root_entries == 0 || clusters > 65_524) {
            return Err(format!(
                "{clusters} clusters, {} entries in the root and {} sectors to a FAT do not go together",
                self.root_entries, self.per_fat
            ));
        }
        if clusters > 0x0fff_fff4 || (clusters + 2) * bits > self.per_fat * self.bytes * 8 {
            return Err(format!("a FAT of {} sectors cannot hold {clusters} clusters", self.per_fat));
        }
        Ok((kind, clusters))
    }
}

/// What is possible and yet not right.
fn doubts(sector: &[u8; 512], shape: &Shape, volume: u64, root_entries: u64) -> Vec<Remark> {
    let mut out = Vec::new();
    if sector[510..] != [0x55, 0xaa] {
        let text = format!(
            "the boot sector ends with {:02X} {:02X} and not with 55 AA: the loader of ESXi does not look, but Linux, \
             firmware and most tools refuse the volume",
            sector[510], sector[511]
        );
        out.push((FatCode::BootSignature, text));
    }
    if shape.total_bytes > volume {
        let text = format!(
            "the volume claims {} bytes and its partition has {volume}: what lies behind the end is not there, and no \
             loader chooses this volume",
            shape.total_bytes
        );
        out.push((FatCode::TooLarge, text));
    } else if volume - shape.total_bytes > (volume / 16).max(1 << 20) {
        let text = format!("the volume uses {} of its partition's {volume} bytes", shape.total_bytes);
        out.push((FatCode::Tail, text));
    }
    if shape.media != 0xf0 && shape.media < 0xf8 {
        let text = format!("the media byte is {:02X}; F0 and F8 to FF are possible", shape.media);
        out.push((FatCode::Media, text));
    }
    if shape.fats != 2 {
        let text = format!(
            "the volume has {} FATs: {}",
            shape.fats,
            if shape.fats == 1 {
                "there is no copy to compare with"
            } else {
                "those behind the second are not read"
            }
        );
        out.push((FatCode::Copies, text));
    }
    // A FAT that is much larger than its clusters need comes from a wrong cluster size or a wrong total, which move
    // or cut everything.
    let needed = shape.fat_used().div_ceil(shape.sector);
    let has = shape.fat_bytes / shape.sector;
    if has > needed + needed / 3 + 64 / shape.per_cluster.min(8) {
        let text = format!(
            "a FAT has {has} sectors where {} clusters need {needed}: the cluster size ({} sectors) or the volume's \
             size is probably wrong, and then every file would be read from the wrong place",
            shape.clusters, shape.per_cluster
        );
        out.push((FatCode::BootDoubt, text));
    }
    if !root_entries.is_multiple_of(shape.sector / 32) {
        let text = format!("the root directory of {root_entries} entries ends inside a sector");
        out.push((FatCode::BootDoubt, text));
    }
    // The name of the kind is only a remark for people, but it was written by somebody who knew.
    let name: [u8; 8] = take(sector, if shape.kind == FatKind::Fat32 { 82 } else { 54 }).unwrap_or_default();
    let other = match shape.kind {
        FatKind::Fat12 => name.starts_with(b"FAT16") || name.starts_with(b"FAT32"),
        FatKind::Fat16 => name.starts_with(b"FAT12") || name.starts_with(b"FAT32"),
        FatKind::Fat32 => false,
    };
    if other {
        let text = format!(
            "{} clusters make it {}, but it is named {:?}: sizes in the boot sector are in doubt",
            shape.clusters,
            shape.kind,
            String::from_utf8_lossy(&name).trim_end()
        );
        out.push((FatCode::BootDoubt, text));
    }
    out
}

/// OEM name, serial number, label, flags.
pub(in crate::fat) fn identity(sector: &[u8; 512], kind: FatKind) -> Identity {
    let flags = flags_at(kind);
    let oem: [u8; 8] = take(sector, 3).unwrap_or_default();
    let mut out = Identity {
        oem: super::names::printable(&oem),
        flags: sector.get(flags).copied().unwrap_or(0),
        ..Identity::default()
    };
    // 28: serial number only; 29: serial number, label and kind.
    let mark = sector.get(flags + 1).copied();
    if matches!(mark, Some(0x28 | 0x29)) {
        out.serial = le_u32(sector, flags + 2).unwrap_or(0);
    }
    if mark == Some(0x29) {
        out.label = take::<11>(sector, flags + 6).filter(is_label);
    }
    out
}

/// Whether these bytes name a volume; "NO NAME" and zeros name none.
pub(in crate::fat) fn is_label(label: &[u8; 11]) -> bool {
    label != b"NO NAME    " && label.iter().any(|&byte| byte != 0 && byte != b' ')
}
