//! Compressed archives of a bank, looked through as a stream.
//!
//! Owns: gzip (RFC 1952) with every check that the loader makes, tar (POSIX 1003.1) and the tar of the kernel, and a
//! reader over the extents of a file that hashes what passes. Promises: constant memory, no more output than a limit,
//! nothing unpacked to any place, each fault with what it is. Does not: write archives, or know what should be in
//! them.

mod error;
mod gunzip;
mod inspect;
mod tar;

pub use error::ArchiveError;
pub use inspect::{Form, Inspected, MAX_UNPACKED, inspect, read_extents};
pub use tar::{MAX_MEMBERS, TarKind, TarMember};

pub(super) use gunzip::Gunzip;
pub(super) use tar::{TarEvent, TarWalk};

#[cfg(test)]
mod tests;
