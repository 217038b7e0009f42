//! Reading a Linux host from its files: sysfs, `/dev`, udev's database, the mount table.

mod adapters;
mod assemble;
mod block;
mod group;
mod links;
mod mounts;
mod nvme;
mod place;
mod read;
mod scsi;
mod upon;

pub use read::{TopologyError, read_linux};
pub(crate) use scsi::address;
