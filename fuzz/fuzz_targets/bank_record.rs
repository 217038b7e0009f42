#![no_main]
//! libFuzzer around `bank_record`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("bank_record", bytes));
