//! Promises of the lab, kept with real libvirtd and QEMU.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod banks;
mod fabric;
mod guests;
mod rig;
mod ways;
