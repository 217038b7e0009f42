//! One file per noun.

mod ask;
mod bank;
mod check;
mod demo;
mod depot;
mod env;
mod host;
mod kvmlab;
mod lab;
mod plan;
mod policy;
mod pool;
mod pool_kvm;
mod pool_order;
mod pool_sim;
mod release;
mod roll;
mod status;
mod storage;

use clap::CommandFactory as _;

pub(crate) use ask::ask;
pub(crate) use lab::lab_error;
pub(crate) use release::{now, open_bundle};

use crate::args::{Cli, Noun};
use crate::error::CliError;
use crate::run::Ctx;

/// Runs what was asked for.
pub(crate) fn run(ctx: &Ctx, cli: &Cli) -> Result<(), CliError> {
    match &cli.noun {
        Noun::Bank(cmd) => bank::run(ctx, cmd),
        Noun::Host(cmd) => host::run(ctx, cmd),
        Noun::Release(cmd) => release::run(ctx, cmd),
        Noun::Depot(cmd) => depot::run(ctx, cmd),
        Noun::Storage(cmd) => storage::run(ctx, cmd),
        Noun::Pool(cmd) => pool::run(ctx, cmd),
        Noun::Check(cmd) => check::run(ctx, cmd),
        Noun::Plan(cmd) => plan::run(ctx, cmd),
        Noun::Policy(cmd) => policy::run(ctx, cmd),
        Noun::Roll(cmd) => roll::run(ctx, cmd),
        Noun::Demo(args) => demo::run(ctx, args),
        Noun::Lab(cmd) => lab::run(ctx, cmd),
        Noun::Kvmlab(cmd) => kvmlab::run(ctx, cmd),
        Noun::Status => status::run(ctx),
        Noun::Env => env::run(ctx, cli),
        Noun::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "lifeboat", &mut script);
            ctx.out.text(&String::from_utf8_lossy(&script))
        }
        Noun::Version => env::version(ctx),
    }
}
