//! `lifeboat host …`
//!
//! Owns: bringing a bare disk to a host that boots. Promises: nothing is written before everything that can be refused
//! was refused. Does not: install into a disk that holds banks already (that is `bank install`), unless it is forced.

mod config;
mod install;
mod state;

use crate::args::HostCmd;
use crate::error::CliError;
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &HostCmd) -> Result<(), CliError> {
    match cmd {
        HostCmd::Install(args) => install::install(ctx, args),
    }
}
