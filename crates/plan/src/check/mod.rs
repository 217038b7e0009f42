//! Checks: what stands in the way of a roll, all of it at once, before anything is changed.
//!
//! Owns: one file for each check with its pages beside its code, the order in which they are listed, and the catalogue
//! that is made from the pages. Promises: [`run()`] looks at everything and never stops at the first finding; it does not
//! panic, whatever a driver tells; every finding has a page of the same code and severity; what a driver cannot tell is
//! [`Looked::Unknown`] and never counted as good; a pool of any size costs time in proportion to it.
//! Does not: ask a driver, or mend anything. A remedy that a program can carry out stands in the finding as a
//! [`Fix`](lifeboat_model::Fix); a person orders it.
//!
//! A feature that is not in the world is one that the pool does not have. Hosts *with a turn* are those that do not run
//! the release yet and that a plan, if there is one, does not leave out; most checks look at these alone.

mod auto_power_on;
mod backup;
mod backup_schedules;
mod bank_writable;
mod banks;
mod capacity;
mod catalogue;
mod clock;
mod coordinator;
mod cpu_features;
mod emulator;
mod fault_tolerance;
mod found;
mod ground;
mod guest_movable;
mod guest_target;
mod ha;
mod ha_admission;
mod host_reachable;
mod keep_apart;
mod load_balancer;
mod local_guests;
mod networks;
mod pending_reboot;
mod plan_fits;
mod policy;
mod pool;
mod pool_settled;
mod power_management;
mod release;
mod rolls;
mod run;
mod space;
mod storage;

pub use catalogue::{Page, catalogue, catalogue_markdown, explain};
pub use ground::{Checked, Ground, Looked, RollInProgress};
pub use run::run;
