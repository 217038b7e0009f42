//! The command line of `lifeboatd`.

mod args;
mod commands;
mod notify;
mod serve;
mod show;

pub use commands::run_command;
