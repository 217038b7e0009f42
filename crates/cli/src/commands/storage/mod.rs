//! `lifeboat storage …`

mod findings;
mod open;
mod resolve;
mod table;
mod topology;
mod tree;

use crate::args::StorageCmd;
use crate::error::CliError;
use crate::run::Ctx;

pub(super) fn run(ctx: &Ctx, cmd: &StorageCmd) -> Result<(), CliError> {
    match cmd {
        StorageCmd::Topology(args) => topology::run(ctx, args),
        StorageCmd::Resolve(args) => resolve::run(ctx, args),
    }
}
