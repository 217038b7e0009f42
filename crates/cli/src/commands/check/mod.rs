//! `lifeboat check …`
//!
//! Owns: looking at a pool with the checks, showing what they found, carrying out remedies and taking them back.
//! Promises: all findings are told at once; what could not be looked at is told and never counted as good; a remedy's
//! intent is durable before it is carried out, and one that was interrupted is taken up. Does not: judge (that is
//! `lifeboat_plan::check`) or know how a remedy is carried out (that is the driver).

mod codes;
mod gate;
mod look;
mod mend;
mod page;
mod remedies;
mod report;
mod run;
mod show;

use crate::args::CheckCmd;
use crate::error::CliError;
use crate::run::Ctx;

pub(crate) use gate::{before_roll, is_retried, of_plan, refuse};
pub(crate) use look::survey;
pub(crate) use mend::take_back;
pub(crate) use remedies::standing;
pub(crate) use show::findings as show_findings;

pub(crate) fn run(ctx: &Ctx, cmd: &CheckCmd) -> Result<(), CliError> {
    match cmd {
        CheckCmd::Run(args) => run::run(ctx, args),
        CheckCmd::List => page::list(ctx),
        CheckCmd::Explain { code } => page::explain(ctx, code),
        CheckCmd::Fixes { pool } => remedies::list(ctx, pool),
        CheckCmd::Undo { pool, fix, all } => remedies::undo(ctx, pool, *fix, *all),
    }
}
