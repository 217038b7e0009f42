//! Hosts that boot from banks: disk, firmware, releases.
//!
//! Owns: what stands in the lab for the parts of a machine that namespaces do not have. Promises: disks are made, read
//! and judged by the code that does it on real hosts. Does not: run a kernel.

mod agent;
mod disk;
mod firmware;
mod hosts;
mod powered;
mod release;

pub(crate) use agent::{agent_json, token_of};
pub use disk::HostDisk;
pub(crate) use firmware::Firmware;
pub(crate) use hosts::{make_hosts, release_disks};
pub(crate) use powered::PoweredDisk;
pub(crate) use release::{HANG_FILE, PANIC_FILE};
pub use release::{ReleaseFault, ReleaseSpec};
pub(crate) use release::{bundle_path, list_bundles, make_bundle, read_trust};
