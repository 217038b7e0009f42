//! The program on Linux hosts.
//!
//! Owns: what a host does by itself (judge its boot, bless it or fall back, report) and what it does when told
//! (stage, install, reboot into a bank). Promises: dials out and listens nowhere; every command may be given
//! twice; a lost controller costs nothing but waiting. Does not: decide which host is upgraded, or when.

mod boot;
mod boot_control;
mod commands;
mod config;
mod disks;
mod health;
mod host;
mod journal;
mod kernel_line;
mod log;
mod rescue;
mod root_image;
mod session;
mod stage;
mod state;
mod verity;

pub use boot::{BootAnswer, BootError, act_on_boot};
pub use boot_control::UefiControl;
pub use commands::{Commands, Reply};
pub use config::{AgentConfig, CONFIG_SCHEMA, ConfigError};
pub use disks::{DiskError, Found, find_partition, find_root};
pub use health::{CheckResult, run_checks};
pub use host::{Host, HostError, Paths};
pub use journal::{COMPACT_BYTES, Journal, JournalEntry, JournalError};
pub use kernel_line::{KernelLine, KernelLineError};
pub use log::Log;
pub use rescue::{Rescue, rescue};
pub use session::serve;
pub use stage::{StageError, bundle_path, open_bundle, stage};
pub use state::{Brought, KeepError, Marker, bring_up, carry};
pub use verity::{MAPPED_ROOT, RootError, damage_words, map_root, mapped_root, met_damage, read_through};
