//! Hosts that boot from banks: disk, firmware, releases.
//!
//! Owns: what stands in the lab for the parts of a machine that namespaces do not have. Promises: disks are made, read
//! and judged by the code that does it on real hosts. Does not: run a kernel.

mod firmware;
mod hosts;
mod powered;

pub(crate) use firmware::Firmware;
pub(crate) use hosts::{make_hosts, release_disks};
pub(crate) use powered::PoweredDisk;
