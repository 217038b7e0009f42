//! The program `lifeboat`: the command line of Lifeboat.
//!
//! Owns: arguments, what people and scripts read, exit codes, the state directory. Promises: results go to
//! standard output, everything else to standard error; every failure names what failed, why and the remedy.
//! Does not: decide anything that a core decides (banks, plans, rolls).

#![expect(clippy::format_push_string, reason = "texts for people are short and built once")]

mod args;
mod commands;
mod drivers;
mod error;
mod files;
mod nearest;
mod output;
mod policy;
mod random;
mod report;
mod run;
mod size;
mod state;
mod view;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
