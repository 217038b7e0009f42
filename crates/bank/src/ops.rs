//! Activate, bless, fail: the steps around a trial boot, each in its one safe order.
//!
//! Owns: the transitions of the bank record that are not part of an install, and their order beside the boot
//! variables (through [`BootControl`]) and the watchdog. Promises: the record knows of a trial before the firmware
//! does; a bank is blessed only by its own id on the running kernel line; a failed release is remembered. Does not:
//! reboot, judge health, or touch a volume, except for the boot sector of a bank that failed.

mod close;
mod control;
mod judge;
mod trial;

pub use close::close_failed;
pub use control::{BootControl, BootControlError, BootStatus};
pub use judge::{BootVerdict, judge_boot};
pub use trial::{OpsError, activate, bless, mark_failed, record_failed};
