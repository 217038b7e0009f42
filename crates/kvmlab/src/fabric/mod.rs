//! The fabric: the process tree that carries a lab.
//!
//! Owns: what runs as PID 1 of the outer namespaces (network, NBD server, power loops), and starting and ending it.
//! Promises: everything that a lab started ends with this one process. Does not: know what hosts do inside.

mod carrier;
mod network;
mod power;
mod process_tree;
mod supervisor;

pub(crate) use carrier::{FabricIds, end, start};
pub(crate) use network::set_cable;
pub use power::{HostEnd, Phase, PowerState};
pub(crate) use process_tree::{RUN, run};
