#![no_main]
//! libFuzzer around `visor_tar`.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| lifeboat_lab::targets::run("visor_tar", bytes));
