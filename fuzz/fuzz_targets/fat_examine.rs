#![no_main]
//! libFuzzer around `fat_examine`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("fat_examine", bytes));
