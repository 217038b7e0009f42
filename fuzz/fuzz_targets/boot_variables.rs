#![no_main]
//! libFuzzer around `boot_variables`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("boot_variables", bytes));
