//! `lifeboat plan …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_model::HostId;

/// Verbs of plans.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCmd {
    /// Plan the upgrade of a pool; nothing is changed
    #[command(after_help = "\
Examples:
  lifeboat plan create prod --release r2.lfb --trust maker.key.pub
  lifeboat plan create prod --release r2.lfb --trust maker.key.pub --policy night.toml --exclude h7
Exit code 3 if a host is blocked: the plan is kept, and says what stands in the way.")]
    Create(CreatePlanArgs),
    /// Show a plan: waves, figures beside their lower bounds, what is blocked, how to approve it
    #[command(after_help = "\
Examples:
  lifeboat plan show 3f9c
  lifeboat plan show 3f9c -v             with every move")]
    Show {
        /// Hash of the plan, its beginning, or a file
        #[arg(value_name = "PLAN")]
        plan: String,
    },
    /// List the plans that were made
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  lifeboat plan list
  lifeboat plan list -o name"
    )]
    List,
    /// Show what differs between two plans
    #[command(after_help = "\
Examples:
  lifeboat plan diff 3f9c 81d0")]
    Diff {
        /// The older plan: hash, its beginning, or a file
        #[arg(value_name = "A")]
        old: String,
        /// The newer plan
        #[arg(value_name = "B")]
        new: String,
    },
}

/// Planning.
#[derive(Debug, Args)]
pub(crate) struct CreatePlanArgs {
    /// Name of the pool, or the beginning of one
    #[arg(value_name = "POOL")]
    pub(crate) pool: String,
    /// What the hosts shall run
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) release: PathBuf,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
    /// How the pool is to be rolled (TOML) [default: one host at a time, stop at the first failure]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Leave a host out; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) exclude: Vec<HostId>,
    /// Plan a turn for a host on which this release failed before; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) retry: Vec<HostId>,
    /// Write the plan to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
