//! `lifeboat-kvmlab`: what runs inside of a lab. People use `lifeboat kvmlab`.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    lifeboat_kvmlab::carry(&words)
}
