//! FAT volumes (Microsoft FAT specification of 2000, version 1.03): one writer, one reader.
//!
//! Owns: a formatter that fills a fresh FAT16 or FAT32 volume with a small tree, as a list of writes; a read-only
//! reader of FAT12, FAT16 and FAT32. Promises: the boot sectors come last, so that a volume cannot be read before it
//! is whole; the reader gives a whole file or an error, in bounded time and memory, whatever the bytes are. Does
//! not: change or repair a volume that exists.

mod format;
mod geometry;
mod names;
mod read;
mod tree;

pub use format::{FatFile, FatImage, FatPiece, FatWriteError, MAX_VOLUME, MIN_VOLUME};
pub use read::{Extent, FatEntry, FatReadError, FatVolume, FileSpan};
