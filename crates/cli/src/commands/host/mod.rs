//! `lifeboat host …`
//!
//! Owns: bringing a bare disk to a host that boots; keeping the state of a host and bringing it back. Promises: nothing is
//! written before everything that can be refused was refused. Does not: install into a disk that holds banks already (that
//! is `bank install`), unless it is forced.

mod backup;
mod config;
mod diff;
mod install;
mod restore;
mod state;

use crate::args::HostCmd;
use crate::error::CliError;
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &HostCmd) -> Result<(), CliError> {
    match cmd {
        HostCmd::Install(args) => install::install(ctx, args),
        HostCmd::Backup(args) => backup::back_up(ctx, args),
        HostCmd::Restore(args) => restore::restore(ctx, args),
        HostCmd::Diff(args) => diff::diff(ctx, args),
        HostCmd::ShowBackup(args) => backup::show(ctx, args),
    }
}
