#![no_main]
//! libFuzzer around `signed_bundle`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("signed_bundle", bytes));
