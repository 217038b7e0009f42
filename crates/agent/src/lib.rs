//! The program on Linux hosts.
//!
//! Owns: what a host does by itself (judge its boot, bless it or fall back, report, renew its certificate) and what it
//! does when told (stage, install, reboot). Promises: dials out and listens nowhere; every command may be given
//! twice; a lost controller costs nothing but waiting. Does not: decide which host is upgraded, or when.

mod boot;
mod boot_control;
mod commands;
mod config;
mod connection;
mod disks;
mod enroll;
mod fences;
mod generation;
mod health;
mod health_config;
mod host;
mod inhibitor;
mod journal;
mod kernel_line;
mod log;
mod machine;
mod package_host;
mod renewal;
mod rescue;
mod root_image;
mod session;
mod stage;
mod state;
mod system;
mod verity;

pub use boot::{BootAnswer, BootError, act_on_boot};
pub use boot_control::UefiControl;
pub use commands::{Commands, Reply};
pub use config::{AgentConfig, CONFIG_SCHEMA, ConfigError};
pub use disks::{DiskError, Found, find_partition, find_root};
pub use enroll::{EnrolError, enroll};
pub use fences::{FenceError, Fences};
pub use generation::{
    CopiesError, FailedPackages, GENERATIONS_SCHEMA, Generations, MOST_STARTS, Next, PackageVerdict, bank_of,
    judge_packages, read_generations, write_generations,
};
pub use health::{CheckResult, check_machine, health_patience, run_checks};
pub use health_config::{HealthConfig, HealthConfigError, Places, StorageCheck};
pub use host::{Host, HostError};
pub use inhibitor::Inhibitor;
pub use journal::{COMPACT_BYTES, Journal, JournalEntry, JournalError};
pub use kernel_line::{KernelLine, KernelLineError};
pub use log::Log;
pub use machine::{Machine, Paths};
pub use package_host::{PackageHost, PackageHostError};
pub use rescue::{Rescue, rescue};
pub use session::{Ended, serve};
pub use stage::{StageError, Terms, bundle_path, open_bundle, stage};
pub use state::{Brought, KeepError, Marker, bring_up, carry};
pub use system::System;
pub use verity::{MAPPED_ROOT, RootError, damage_words, map_root, mapped_root, met_damage, read_through};
