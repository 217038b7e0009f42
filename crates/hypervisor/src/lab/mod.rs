//! The QEMU lab: a pool of real machines on this computer.
//!
//! Owns: the lab's releases (kernel, initial RAM file system, root image), its disks, the machines, and the
//! listener that their agents dial. Promises: needs no root and no loop mount; `lab down` leaves nothing behind;
//! machines outlive the program that started them. Does not: decide what a roll does next.

mod cpio;
mod error;
mod kernel;
mod modules;
mod tool;

pub use cpio::Cpio;
pub use error::LabError;
pub use kernel::LabKernel;
