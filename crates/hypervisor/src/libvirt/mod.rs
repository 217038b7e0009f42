//! The driver `libvirt`: pools of Linux hosts with KVM or QEMU.
//!
//! Owns: connections to the hosts' libvirt, the controller of their agents, migrations, maintenance. Promises: guests
//! move from host to host without this program in between; what a roll switches off is on disk before; a guest that
//! cannot be moved is named with the reason. Does not: decide what happens next.

mod agents;
mod driver;
mod facts;
mod link;
mod maintenance;
mod migrate;
mod pool;
mod power;
mod read;
mod settings;
mod survey;
mod work;

pub use driver::LibvirtDriver;
pub use settings::{KVM_SCHEMA, KvmHost, KvmSettings, LocalDisks, MigrationSettings, SettingsError};
