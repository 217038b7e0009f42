#![no_main]
//! libFuzzer around `release_manifest`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("release_manifest", bytes));
