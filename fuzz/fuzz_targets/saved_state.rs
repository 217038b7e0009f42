#![no_main]
//! libFuzzer around `saved_state`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("saved_state", bytes));
