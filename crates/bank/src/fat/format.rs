//! A fresh volume as a list of writes.

use std::borrow::Cow;

use thiserror::Error;

use super::geometry::{Kind, SECTOR, Sizes};
use super::tree::Node;
use crate::bytes::put;

/// Smallest volume that is made.
pub const MIN_VOLUME: u64 = 4 << 20;
/// Largest volume that is made.
pub const MAX_VOLUME: u64 = 32 << 30;

/// A file for a fresh volume.
#[derive(Debug, Clone, Copy)]
pub struct FatFile<'a> {
    /// Path from the root, parts divided by `/`, for example `EFI/BOOT/BOOTX64.EFI`. ASCII.
    pub path: &'a str,
    /// Content.
    pub data: &'a [u8],
}

/// A range of the volume that is written: `data`, then zeros up to `len`.
#[derive(Debug, Clone)]
pub struct FatPiece<'a> {
    /// First byte on the volume; a multiple of 512.
    pub offset: u64,
    /// The bytes.
    pub data: Cow<'a, [u8]>,
    /// Bytes in all; a multiple of 512, at least as many as `data` has.
    pub len: u64,
}

/// A fresh volume: everything that has to be written, and nothing of the unused clusters.
#[derive(Debug, Clone)]
pub struct FatImage<'a> {
    body: Vec<FatPiece<'a>>,
    boot: Vec<(u64, [u8; 512])>,
}

/// Why a volume could not be made. Nothing was written.
#[derive(Debug, Error)]
pub enum FatWriteError {
    /// The volume is too small or too large.
    #[error("a volume of {bytes} bytes cannot be made; {MIN_VOLUME} to {MAX_VOLUME} are possible")]
    VolumeSize {
        /// Its size.
        bytes: u64,
    },
    /// A path cannot be written.
    #[error("the path {path:?} cannot be written: {reason}")]
    BadPath {
        /// The path.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// A file is larger than FAT allows.
    #[error("the file {path:?} has {bytes} bytes; FAT allows 4 GiB less one byte")]
    FileSize {
        /// The path.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// The files do not fit.
    #[error("the files need {needed} bytes of the volume's {capacity}")]
    Full {
        /// Bytes in clusters.
        needed: u64,
        /// Bytes in clusters.
        capacity: u64,
    },
}

impl<'a> FatImage<'a> {
    /// Plans a volume of `bytes` bytes with these files. The serial number should differ between any two volumes.
    pub fn new(
        bytes: u64,
        serial: u32,
        label: &[u8; 11],
        files: &[FatFile<'a>],
    ) -> Result<Self, FatWriteError> {
        let sizes = Sizes::of_volume(bytes)?;
        let mut root = Node::root();
        for (index, file) in files.iter().enumerate() {
            let bytes = file.data.len() as u64;
            if bytes > u64::from(u32::MAX) {
                return Err(FatWriteError::FileSize { path: file.path.to_owned(), bytes });
            }
            root.add(file.path, index, bytes)?;
        }
        let mut next = 2;
        root.place(&sizes, &mut next);
        let root_full = sizes.kind == Kind::Fat16 && root.bytes > sizes.root * SECTOR;
        if next - 2 > sizes.clusters || root_full {
            let cluster = sizes.cluster_bytes();
            return Err(FatWriteError::Full {
                needed: (next - 2) * cluster,
                capacity: sizes.clusters * cluster,
            });
        }

        let mut chains = Vec::new();
        let mut content = Vec::new();
        collect(&root, &sizes, label, 0, files, (&mut chains, &mut content));
        let fat = encode_fat(&sizes, next, &chains);

        let mut image = Self { body: Vec::new(), boot: Vec::new() };
        let boot = sizes.boot_sector(serial, label);
        match sizes.kind {
            Kind::Fat16 => {
                image.piece(SECTOR, Vec::new(), (sizes.reserved - 1) * SECTOR);
                image.boot.push((0, boot));
            }
            Kind::Fat32 => {
                let info = fs_info(sizes.clusters - (next - 2), next);
                image.piece(SECTOR, info.to_vec(), 5 * SECTOR);
                image.piece(7 * SECTOR, info.to_vec(), (sizes.reserved - 7) * SECTOR);
                // The backup first: a reader that falls back to it must not see a volume without the main one for
                // long, and the main one makes the volume bootable.
                image.boot.extend([(6 * SECTOR, boot), (0, boot)]);
            }
        }
        for copy in 0..2 {
            let offset = (sizes.reserved + copy * sizes.per_fat) * SECTOR;
            image.piece(offset, fat.clone(), sizes.per_fat * SECTOR);
        }
        image.body.extend(content);
        image.body.retain(|piece| piece.len > 0);
        Ok(image)
    }

    /// Everything but the boot sectors, in ascending order, without overlaps.
    #[must_use]
    pub fn body(&self) -> &[FatPiece<'a>] {
        &self.body
    }

    /// The boot sectors, each with its byte offset, in the order in which they are written; the first sector of the
    /// volume is the last.
    #[must_use]
    pub fn boot_sectors(&self) -> &[(u64, [u8; 512])] {
        &self.boot
    }

    /// Bytes that [`FatImage::body`] covers.
    #[must_use]
    pub fn body_len(&self) -> u64 {
        self.body.iter().map(|piece| piece.len).sum()
    }

    fn piece(&mut self, offset: u64, data: Vec<u8>, len: u64) {
        self.body.push(FatPiece { offset, data: Cow::Owned(data), len });
    }
}

/// Clusters that belong together, first and number, and the writes of directories and files.
type Collected<'out, 'a> = (&'out mut Vec<(u64, u64)>, &'out mut Vec<FatPiece<'a>>);

fn collect<'a>(
    root: &Node,
    sizes: &Sizes,
    label: &[u8; 11],
    parent: u64,
    files: &[FatFile<'a>],
    out: Collected<'_, 'a>,
) {
    let (chains, content) = out;
    let mut waiting = vec![(root, parent, true)];
    while let Some((node, parent, is_root)) = waiting.pop() {
        let clusters = node.bytes.div_ceil(sizes.cluster_bytes());
        let fixed_root = is_root && sizes.kind == Kind::Fat16;
        if node.cluster != 0 {
            chains.push((node.cluster, clusters));
        }
        if let Some(index) = node.file {
            let data = files.get(index).map_or(&[][..], |file| file.data);
            if node.cluster != 0 {
                let offset = sizes.cluster_offset(node.cluster);
                let len = node.bytes.next_multiple_of(SECTOR);
                content.push(FatPiece { offset, data: Cow::Borrowed(data), len });
            }
            continue;
        }
        let (offset, len) = if fixed_root {
            (sizes.root_offset(), sizes.root * SECTOR)
        } else {
            (sizes.cluster_offset(node.cluster), clusters * sizes.cluster_bytes())
        };
        let data = Cow::Owned(node.directory(label, parent));
        content.push(FatPiece { offset, data, len });
        // ".." of a directory in the root names cluster 0, on FAT32 too.
        let above = if is_root { 0 } else { node.cluster };
        waiting.extend(node.children.iter().map(|child| (child, above, false)));
    }
    content.sort_by_key(|piece| piece.offset);
}

/// The used front of a FAT.
fn encode_fat(sizes: &Sizes, next: u64, chains: &[(u64, u64)]) -> Vec<u8> {
    let (width, end) = match sizes.kind {
        Kind::Fat16 => (2, 0xffff_u32),
        Kind::Fat32 => (4, 0x0fff_ffff),
    };
    let mut fat = vec![0_u8; usize::try_from(next).unwrap_or(0) * width];
    let mut set = |cluster: u64, value: u32| {
        let at = usize::try_from(cluster).unwrap_or(usize::MAX / 8) * width;
        put(&mut fat, at, value.to_le_bytes().get(..width).unwrap_or(&[]));
    };
    set(0, end & 0xffff_fff8);
    set(1, end);
    for &(first, count) in chains {
        for cluster in first..first + count {
            let last = cluster + 1 == first + count;
            set(cluster, if last { end } else { u32::try_from(cluster + 1).unwrap_or(end) });
        }
    }
    fat
}

/// FSInfo of FAT32: free clusters, and where to look for the next.
fn fs_info(free: u64, next: u64) -> [u8; 512] {
    let mut sector = [0_u8; 512];
    put(&mut sector, 0, b"RRaA");
    put(&mut sector, 484, b"rrAa");
    put(&mut sector, 488, &u32::try_from(free).unwrap_or(u32::MAX).to_le_bytes());
    put(&mut sector, 492, &u32::try_from(next).unwrap_or(u32::MAX).to_le_bytes());
    put(&mut sector, 510, &[0x55, 0xaa]);
    sector
}
