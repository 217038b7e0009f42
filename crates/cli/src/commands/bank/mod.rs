//! `lifeboat bank …`

mod activate;
pub(super) mod errors;
mod esx;
mod firmware;
pub(super) mod init;
pub(super) mod install;
mod linux;
mod open;
mod origin;
mod root;
mod seeds;
mod show;
pub(super) mod vars;

use self::esx::open::Banks;
use crate::args::{BankCmd, CheckBankArgs, RebuildArgs};
use crate::error::CliError;
use crate::run::Ctx;

pub(crate) fn run(ctx: &Ctx, cmd: &BankCmd) -> Result<(), CliError> {
    match cmd {
        BankCmd::Show(args) => show::show(ctx, args),
        BankCmd::Check(args) => check(ctx, args),
        BankCmd::Clean(args) => esx::clean(ctx, args),
        BankCmd::Rebuild(args) => rebuild(ctx, args),
        BankCmd::SetNext(args) => esx::set_next(ctx, args),
        BankCmd::Export(args) => esx::state::export(ctx, args),
        BankCmd::Import(args) => esx::import(ctx, args),
        BankCmd::Undo(args) => esx::undo::run(ctx, args),
        BankCmd::Practice(args) => esx::practice::run(ctx, args),
        BankCmd::Init(args) => init::init(ctx, args),
        BankCmd::Install(args) => install::install(ctx, args),
        BankCmd::Activate(args) => activate::activate(ctx, args),
    }
}

fn check(ctx: &Ctx, args: &CheckBankArgs) -> Result<(), CliError> {
    match esx::open::look(&args.disk)? {
        (file, Banks::Esx(esx)) => esx::check::run(ctx, args, &file, &esx),
        (_, Banks::Ours) => linux::check(ctx, args),
    }
}

fn rebuild(ctx: &Ctx, args: &RebuildArgs) -> Result<(), CliError> {
    match esx::open::look(&args.disk)? {
        (file, Banks::Esx(esx)) => esx::rebuild(ctx, args, &file, &esx),
        (_, Banks::Ours) => linux::rebuild(ctx, args),
    }
}
