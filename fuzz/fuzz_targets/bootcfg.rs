#![no_main]
//! libFuzzer around `bootcfg`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("bootcfg", bytes));
