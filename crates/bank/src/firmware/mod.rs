//! What UEFI firmware boots from a disk: a model that simulated hosts use, and that answers "which boots next, and
//! why".
//!
//! Owns: the order of attempts (UEFI 2.10 §3.1.1): `BootNext` once, then `BootOrder`, then the path for removable
//! media; an attempt that fails falls to the next in the same power cycle. Promises: [`predict`] decides as
//! [`boot`] does and changes nothing; hostile disks and variables are answered in bounded time and memory. Does
//! not: run what it finds, check signatures, or boot what lies elsewhere than on this disk: such an entry counts as
//! one that fails, and is named.

#[cfg(test)]
mod fixture;
mod model;
mod outcome;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

pub use model::{LARGEST_IMAGE, boot, predict};
pub use outcome::{Booted, FirmwareResult, Tried, Via};
