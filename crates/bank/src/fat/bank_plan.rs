//! A fresh bank volume of ESXi, with room for its files, as writes.
//!
//! Owns: where each file lies (one run each, in the order of the list), both FATs, the directories. Promises: the boot
//! sector comes last, so that no loader sees a half-made volume; what is not listed is not written. Does not: hold the
//! content of files, which may be hundreds of megabytes; the caller streams it to [`BankPlan::extent_of`].

use std::borrow::Cow;

use thiserror::Error;

use super::bank_format::{BankFormat, PlannedFile, SECTOR};
use super::format::{FatPiece, FatWriteError};
use super::geometry::{Kind, Sizes};
use super::read::Extent;
use super::report::FatKind;
use super::tree::Node;
use crate::bytes::{le_u16, put};

/// Why a bank volume could not be planned. Nothing was written.
#[derive(Debug, Error)]
pub enum BankPlanError {
    /// Sizes that do not go together.
    #[error(
        "a bank of {bytes} bytes with {sectors_per_cluster} sectors to a cluster and {reserved} reserved sectors is \
         not possible"
    )]
    Format {
        /// Bytes of the partition.
        bytes: u64,
        /// Sectors to a cluster.
        sectors_per_cluster: u8,
        /// Reserved sectors.
        reserved: u16,
    },
    /// The root directory is full.
    #[error("the files need {needed} entries of the root directory's {entries}")]
    RootFull {
        /// Entries needed.
        needed: u64,
        /// Entries that there are.
        entries: u16,
    },
    /// A name, a size, or all files together.
    #[error(transparent)]
    Files(#[from] FatWriteError),
}

/// A planned volume. Offsets are relative to it.
#[derive(Debug, Clone)]
pub struct BankPlan {
    meta: Vec<FatPiece<'static>>,
    extents: Vec<Extent>,
    boot: [u8; 512],
    free_bytes: u64,
}

impl BankPlan {
    /// Plans a volume with these files.
    pub fn new(format: &BankFormat, files: &[PlannedFile]) -> Result<Self, BankPlanError> {
        let layout = format.layout().ok_or(BankPlanError::Format {
            bytes: format.bytes,
            sectors_per_cluster: format.sectors_per_cluster,
            reserved: format.reserved,
        })?;
        let sizes = Sizes {
            kind: Kind::Fat16,
            total: layout.total,
            per_cluster: u64::from(format.sectors_per_cluster),
            reserved: u64::from(format.reserved),
            per_fat: layout.per_fat,
            root: layout.root,
            clusters: layout.clusters,
        };
        let mut root = Node::bank_root(format.label != *b"NO NAME    ");
        for (index, file) in files.iter().enumerate() {
            if file.len > u64::from(u32::MAX) {
                return Err(FatWriteError::FileSize { path: file.name.clone(), bytes: file.len }.into());
            }
            root.add_dated(&file.name, index, file.len, file.modified)?;
        }
        let mut next = 2;
        root.place(&sizes, &mut next);
        if root.bytes > u64::from(format.root_entries) * 32 {
            let needed = root.bytes / 32;
            return Err(BankPlanError::RootFull { needed, entries: format.root_entries });
        }
        let cluster = sizes.cluster_bytes();
        if next - 2 > layout.clusters {
            let (needed, capacity) = ((next - 2) * cluster, layout.clusters * cluster);
            return Err(FatWriteError::Full { needed, capacity }.into());
        }
        let mut plan = Self {
            meta: Vec::new(),
            extents: vec![Extent { offset: 0, len: 0 }; files.len()],
            boot: format.boot_sector(&layout),
            free_bytes: (layout.clusters + 2 - next) * cluster,
        };
        plan.piece(SECTOR, format.second_sector.to_vec(), u64::from(format.reserved - 1) * SECTOR);
        let mut chains = Vec::new();
        let directories = plan.collect(&root, &sizes, &format.label, &mut chains);
        let fat = encode(format.kind, next, &chains);
        for copy in 0..2 {
            plan.piece((sizes.reserved + copy * sizes.per_fat) * SECTOR, fat.clone(), sizes.per_fat * SECTOR);
        }
        plan.meta.extend(directories);
        Ok(plan)
    }

    /// Everything but files and boot sector: sector 1 and the other reserved ones, both FATs, root, directories. In
    /// ascending order.
    #[must_use]
    pub fn meta(&self) -> &[FatPiece<'static>] {
        &self.meta
    }

    /// Where the `index`th file of the list lies: one run. An empty file has an empty run at 0; none when there is no
    /// such file. The rest of its last cluster need not be written.
    #[must_use]
    pub fn extent_of(&self, index: usize) -> Option<Extent> {
        self.extents.get(index).copied()
    }

    /// The boot sector, which is written last.
    #[must_use]
    pub fn boot_sector(&self) -> [u8; 512] {
        self.boot
    }

    /// Bytes in clusters that no file uses.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes
    }

    fn piece(&mut self, offset: u64, data: Vec<u8>, len: u64) {
        self.meta.push(FatPiece { offset, data: Cow::Owned(data), len });
    }

    /// Notes extents and chains, and gives the pieces of directories.
    fn collect(
        &mut self,
        root: &Node,
        sizes: &Sizes,
        label: &[u8; 11],
        chains: &mut Vec<(u64, u64)>,
    ) -> Vec<FatPiece<'static>> {
        let mut out = Vec::new();
        let mut waiting = vec![(root, 0, true)];
        while let Some((node, parent, is_root)) = waiting.pop() {
            let clusters = node.bytes.div_ceil(sizes.cluster_bytes());
            if node.cluster != 0 {
                chains.push((node.cluster, clusters));
            }
            if let Some(index) = node.file {
                if let Some(extent) = self.extents.get_mut(index).filter(|_| node.cluster != 0) {
                    *extent = Extent { offset: sizes.cluster_offset(node.cluster), len: node.bytes };
                }
                continue;
            }
            let (offset, len) = if is_root {
                (sizes.root_offset(), sizes.root * SECTOR)
            } else {
                (sizes.cluster_offset(node.cluster), clusters * sizes.cluster_bytes())
            };
            out.push(FatPiece { offset, data: Cow::Owned(node.directory(label, parent)), len });
            waiting.extend(node.children.iter().map(|child| (child, node.cluster, false)));
        }
        out.sort_by_key(|piece| piece.offset);
        out
    }
}

/// The used front of a FAT.
fn encode(kind: FatKind, next: u64, chains: &[(u64, u64)]) -> Vec<u8> {
    let narrow = kind == FatKind::Fat12;
    let end: u16 = if narrow { 0xfff } else { 0xffff };
    let entries = usize::try_from(next).unwrap_or(2);
    let mut fat = vec![0_u8; if narrow { (entries * 3).div_ceil(2) } else { entries * 2 }];
    let mut set = |cluster: u64, value: u16| {
        let index = usize::try_from(cluster).unwrap_or(0);
        if !narrow {
            put(&mut fat, index * 2, &value.to_le_bytes());
        } else if index.is_multiple_of(2) {
            let at = index + index / 2;
            // The last entry may share its second byte with nobody: the FAT then ends with one byte and a half.
            let pair = fat.get(at + 1).map_or(0, |high| high & 0xf0);
            put(&mut fat, at, &[value.to_le_bytes()[0]]);
            put(&mut fat, at + 1, &[pair | value.to_le_bytes()[1]]);
        } else {
            let at = index + index / 2;
            let pair = le_u16(&fat, at).unwrap_or(0) & 0x000f | value << 4;
            put(&mut fat, at, &pair.to_le_bytes());
        }
    };
    set(0, end & 0xfff8);
    set(1, end);
    for &(first, count) in chains {
        for cluster in first..first + count {
            let last = cluster + 1 == first + count;
            set(cluster, if last { end } else { u16::try_from(cluster + 1).unwrap_or(end) });
        }
    }
    fat
}
