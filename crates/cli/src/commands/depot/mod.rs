//! `lifeboat depot …`: releases of ESXi.
//!
//! Owns: opening bundles, VIBs and folders, and telling what the room `depot` found. Does not: change anything,
//! neither depot nor host.

mod check;
mod diff;
mod findings;
mod open;
mod resolve;
mod show;
mod trust;

use crate::args::DepotCmd;
use crate::error::CliError;
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &DepotCmd) -> Result<(), CliError> {
    match cmd {
        DepotCmd::Show { path } => show::show(ctx, path),
        DepotCmd::Check(args) => check::check(ctx, args),
        DepotCmd::Diff { from, to } => diff::diff(ctx, from, to),
        DepotCmd::Resolve(args) => resolve::resolve(ctx, args),
    }
}
