#![no_main]
//! libFuzzer around `bank_manifest`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("bank_manifest", bytes));
