//! Devices that configuration names, by what they are and not by how they are spelled (incident I-14).
//!
//! Owns: finding the names in configuration files, keeping an identity beside each, and finding each again on the machine
//! that a backup is restored to. Promises: a name that now stands for another device, for several or for none is told before
//! anything is written. Does not: know the spellings themselves (that is `lifeboat-topology`, behind [`Devices`]).

mod machine;
mod names;
mod refs;
mod resolve;

pub use machine::MachineDevices;
pub use names::{Device, DeviceError, Devices, NoDevices};
pub use refs::{Reference, find_references, is_searched};
pub(crate) use resolve::rewrite;
pub use resolve::{DeviceChoice, KnownDevice, Outcome, know_devices, resolve_devices};
