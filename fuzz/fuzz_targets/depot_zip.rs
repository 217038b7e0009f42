#![no_main]
//! libFuzzer around `depot_zip`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("depot_zip", bytes));
