//! The program as its users run it: every test starts the real binary in a folder of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::format_push_string, reason = "texts of tests are short")]

mod bank;
mod check;
mod common;
mod depot;
mod esx_bank;
mod esx_refusals;
mod help;
mod host;
mod host_state;
mod hostile;
mod incidents;
mod journal;
mod kvm_roll;
mod lab;
mod plan;
mod policy;
mod pool;
mod release;
mod report;
mod repository;
mod rescue;
mod sigkill;
mod state;
mod storage;
