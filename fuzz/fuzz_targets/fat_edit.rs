#![no_main]
//! libFuzzer around `fat_edit`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("fat_edit", bytes));
