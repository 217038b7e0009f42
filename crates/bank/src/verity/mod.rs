//! dm-verity: a tree of hashes behind a root image, by which the kernel checks each block when it is read.
//!
//! Owns: the form of the tree (cryptsetup's format 1, superblock version 1, SHA-256, blocks of 4096 bytes), making it
//! in constant memory on two cores, checking an image or one block against a root hash, and the word on the kernel
//! line that carries it. Promises: what is made is byte for byte what `veritysetup format` makes; a check trusts
//! nothing but the root hash. Does not: talk to the kernel (`lifeboat-device`), or say what a damaged block means.
//!
//! Source: Documentation/admin-guide/device-mapper/verity.rst of Linux; on-disk format page of cryptsetup's wiki.

mod build;
mod check;
mod error;
mod hash;
mod shape;
mod superblock;
mod word;

pub use build::{build_tree, tree_bytes};
pub use check::{Damage, check_block, check_image};
pub use error::VerityError;
pub use superblock::{encode_superblock, uuid_of};
pub use word::{Verity, VerityWordError};

/// Bytes of a block of data and of a block of hashes.
pub const BLOCK: u64 = 4096;
