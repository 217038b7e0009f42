//! `lifeboat bank …`

mod activate;
mod errors;
mod firmware;
mod init;
mod install;
mod open;
mod show;
mod vars;

use crate::args::BankCmd;
use crate::error::CliError;
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &BankCmd) -> Result<(), CliError> {
    match cmd {
        BankCmd::Show(args) => show::show(ctx, args),
        BankCmd::Init(args) => init::init(ctx, args),
        BankCmd::Install(args) => install::install(ctx, args),
        BankCmd::Activate(args) => activate::activate(ctx, args),
    }
}
