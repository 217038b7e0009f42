//! Unified kernel images: one PE file that carries kernel, initramfs, kernel line and release data.
//!
//! Owns: appending sections to a boot stub, reading them back, and a stub without function for simulated hosts.
//! Promises: what [`build_uki`] makes, [`parse_uki`] reads back byte for byte; hostile bytes give an error in
//! time linear in the file, without allocation that the file's length does not cover. Does not: sign images,
//! relocate them, or judge the kernel inside.
//!
//! Sources: PE/COFF specification; UEFI 2.10 §2.1.1; systemd-stub(7) for the names of the sections.

mod build;
mod parse;
mod pe;
mod stub;
#[cfg(test)]
mod tests;

pub use build::{build_uki, relabel_uki};
pub use parse::{Uki, parse_uki};
pub use pe::UkiError;
pub use stub::minimal_stub;
