//! A lab from outside: what tests, benchmarks and the command line call.
//!
//! Owns: making and ending labs, power, cables, commands in hosts, guests. Promises: every wait has a deadline and says
//! what it waits for. Does not: keep anything in memory that another process would need.

mod banks;
mod guests;
mod options;
mod power;
mod run;
mod status;
mod updown;

use crate::{LabFolder, LabSettings};

pub use options::LabOptions;
pub use status::{HostStatus, LabStatus, PlacedGuest};

/// A lab that is there. Cheap to make; any number of processes may have one for the same lab.
#[derive(Debug, Clone)]
pub struct KvmLab {
    folder: LabFolder,
    settings: LabSettings,
}
