//! Promises of the bank crate that need a whole disk.
#![expect(
    clippy::disallowed_methods,
    reason = "this test looks at files and programs; the code under test does not"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these small disks fit everywhere")]

mod bank_disk;
mod fat_peers;
mod fault_disk;
mod fixture;
mod golden;
mod gpt;
mod hostile;
mod install;
mod layout;
mod lying_disk;
mod peers;
mod power_cut;
mod trial;
