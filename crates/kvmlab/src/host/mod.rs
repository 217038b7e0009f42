//! A host from the inside: what its PID 1 does before it becomes init.
//!
//! Owns: mounts, device nodes, configuration files of one boot. Promises: nothing outside of the host's namespaces
//! changes; a host that was configured once keeps what was changed in it. Does not: decide what boots.

mod boot;
mod devices;
mod dress;
mod order;
mod roots;

pub(crate) use boot::boot;
pub(crate) use order::{BankOrder, BootOrder};
