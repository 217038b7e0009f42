#![no_main]
//! libFuzzer around `esx_disk`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("esx_disk", bytes));
