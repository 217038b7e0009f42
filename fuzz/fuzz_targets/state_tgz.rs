#![no_main]
//! libFuzzer around `state_tgz`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("state_tgz", bytes));
