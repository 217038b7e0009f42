//! The QEMU lab: a pool of real machines on this computer.
//!
//! Owns: the lab's releases (kernel, initial RAM file system, root image), its disks, the machines, and the
//! listener that their agents dial. Promises: needs no root and no loop mount; `lab down` leaves nothing behind;
//! machines outlive the program that started them. Does not: decide what a roll does next.

mod bundles;
mod cpio;
mod disk;
mod driver;
mod elf;
mod error;
mod initrd;
mod kernel;
#[expect(clippy::module_inception, reason = "the lab as a whole is what this folder is about")]
mod lab;
mod listener;
mod modules;
mod qemu;
mod release;
mod root;
mod settings;
mod tool;

pub use cpio::Cpio;
pub use driver::LabDriver;
pub use error::LabError;
pub use kernel::LabKernel;
pub use lab::{Lab, LabOptions, MachineStatus};
pub use listener::{AgentEvent, Listener};
pub use qemu::Machine;
pub use release::{BUILD_AGENT, Fault, LAB_LINE, LabParts, LabRelease, build_lab_release};
pub use root::STATE_FOLDER;
pub use settings::{LabHost, LabSettings};
