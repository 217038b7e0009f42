#![no_main]
//! libFuzzer around `chunk_index`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("chunk_index", bytes));
