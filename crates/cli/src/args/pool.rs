//! `lifeboat pool …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_model::PoolName;

/// Verbs of pools.
#[derive(Debug, Subcommand)]
pub(crate) enum PoolCmd {
    /// List the pools that this installation knows
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  lifeboat pool list
  lifeboat pool list -o name"
    )]
    List,
    /// Show hosts, banks, guests and features of a pool
    #[command(after_help = "\
Examples:
  lifeboat pool show prod
  lifeboat pool show prod -v             with every guest
  lifeboat pool show prod -o json")]
    Show {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
    },
    /// Make a simulated pool: real disk images, modelled firmware, no machines
    #[command(after_help = "\
Examples:
  lifeboat pool create-sim play
  lifeboat pool create-sim play --hosts 8 --guests 60 --release r1.lfb --trust maker.key.pub")]
    CreateSim(CreateSimArgs),
}

/// A simulated pool.
#[derive(Debug, Args)]
pub(crate) struct CreateSimArgs {
    /// Name of the new pool
    #[arg(value_name = "NAME")]
    pub(crate) name: PoolName,
    /// Number of hosts
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) hosts: u32,
    /// Number of guests
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) guests: u32,
    /// The release that the hosts run at first [default: a key and three releases are made to play with]
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) release: Option<PathBuf>,
    /// Public key of a maker that is trusted, with --release; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) trust: Vec<PathBuf>,
    /// Directory of the pool's files [default: in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Number from which the sizes of guests are drawn
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// So many times as fast as real time; 0: without waiting
    #[arg(long, default_value_t = 60)]
    pub(crate) speed: u32,
}
