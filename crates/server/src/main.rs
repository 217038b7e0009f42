//! `lifeboatd`: the controller as a service.

use std::process::ExitCode;

fn main() -> ExitCode {
    lifeboat_server::run_command()
}
