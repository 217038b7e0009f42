//! Drivers: what speaks to one kind of pool.
//!
//! Owns: the trait [`Hypervisor`] and its drivers. Promises: a driver maps what it sees to the words of
//! `lifeboat-model` and carries out effects, each of them idempotent. Does not: decide what happens next, in
//! which order, or whether; it has no policy.

mod driver;
pub mod lab;
pub mod libvirt;
mod release;
pub mod sim;

pub use driver::{DriverError, DriverEvent, HostLook, Hypervisor};
