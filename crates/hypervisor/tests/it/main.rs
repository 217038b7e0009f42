//! Promises of the drivers, each in a module of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod kvm;
mod kvm_faults;
mod kvm_support;
mod lab;
mod lab_kill;
mod lab_state;
mod lab_support;
mod lab_verity;
mod sim_conditions;
mod sim_disk;
mod sim_faults;
mod sim_guests;
mod sim_incidents;
mod sim_kill;
mod sim_orders;
mod sim_support;
mod sim_turn;
