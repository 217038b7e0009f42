//! `lifeboat lab …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_model::PoolName;

/// Verbs of the lab.
#[derive(Debug, Subcommand)]
pub(crate) enum LabCmd {
    /// Start machines in QEMU that boot from banks which Lifeboat wrote
    #[command(after_help = "\
Examples:
  lifeboat lab up --hosts 3
  lifeboat plan create lab --release …   the command that `lab up` prints at its end")]
    Up(LabUpArgs),
    /// Stop the machines and remove everything that `lab up` made
    #[command(after_help = "\
Examples:
  lifeboat lab down")]
    Down {
        /// Name of the lab
        #[arg(long, default_value = "lab")]
        name: PoolName,
    },
    /// Show the machines
    #[command(after_help = "\
Examples:
  lifeboat lab status
  lifeboat lab status -o json")]
    Status {
        /// Name of the lab
        #[arg(long, default_value = "lab")]
        name: PoolName,
    },
    /// Show what a machine wrote to its serial console
    #[command(after_help = "\
Examples:
  lifeboat lab console host-1
  lifeboat lab console host-1 --follow")]
    Console {
        /// The machine
        #[arg(value_name = "HOST")]
        host: String,
        /// Name of the lab
        #[arg(long, default_value = "lab")]
        name: PoolName,
        /// Go on as more is written
        #[arg(short, long)]
        follow: bool,
    },
}

/// Starting a lab.
#[derive(Debug, Args)]
pub(crate) struct LabUpArgs {
    /// Number of machines
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) hosts: u32,
    /// Name of the lab and of its pool
    #[arg(long, default_value = "lab")]
    pub(crate) name: PoolName,
    /// Directory of its files [default: in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Memory of each machine in MiB
    #[arg(long, value_name = "MIB", default_value_t = 384, value_parser = clap::value_parser!(u32).range(256..=65536))]
    pub(crate) memory: u32,
    /// The static agent [default: beside this program, or where cargo puts it]
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
}
