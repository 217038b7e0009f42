//! Promises of the bank crate that need a whole disk.
#![expect(
    clippy::disallowed_methods,
    reason = "this test looks at files and programs; the code under test does not"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these small disks fit everywhere")]

mod bank_disk;
mod esx_change;
mod esx_check;
mod esx_find;
mod esx_image;
mod esx_state;
mod esx_truth;
mod fat_bank;
mod fat_damage;
mod fat_data;
mod fat_edits;
mod fat_hostile;
mod fat_peers;
mod fat_plan;
mod fault_disk;
mod fixture;
mod golden;
mod gpt;
mod hostile;
mod install;
mod layout;
mod lying_disk;
mod peers;
mod pieces;
mod power_cut;
mod power_esx;
mod power_linux;
mod rebuild;
mod recorder;
mod saved_state;
mod trial;
mod verity;
