//! `lifeboat policy …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Verbs of policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCmd {
    /// Show every value of a policy, and where it comes from
    #[command(after_help = "\
Examples:
  lifeboat policy show                   the defaults
  lifeboat policy show night.toml        which line says what, and what is left at its default
  lifeboat policy show --plan 3f9c       as it was approved
  lifeboat policy show --roll roll-7     with what was changed while it went on
  lifeboat policy show night.toml --toml > full.toml")]
    Show(ShowPolicyArgs),
    /// Check a policy file: every mistake at once, each with its line
    #[command(after_help = "\
Examples:
  lifeboat policy check night.toml
  lifeboat policy check night.toml -o json
Exit code 1 if the file cannot be used. Programs of hooks and gates and time zones are looked for on this machine.")]
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print a policy file with every key, its default and its meaning
    #[command(after_help = "\
Examples:
  lifeboat policy example
  lifeboat policy example > night.toml")]
    Example,
    /// Write that example to a new file
    #[command(after_help = "\
Examples:
  lifeboat policy init night.toml")]
    Init {
        /// The file; it must not be there yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Showing.
#[derive(Debug, Args)]
pub(crate) struct ShowPolicyArgs {
    /// A policy file [default: the defaults]
    #[arg(value_name = "FILE", conflicts_with_all = ["plan", "roll"])]
    pub(crate) file: Option<PathBuf>,
    /// The policy of a plan: its hash, the beginning of it, or a file
    #[arg(long, value_name = "PLAN", conflicts_with = "roll")]
    pub(crate) plan: Option<String>,
    /// The policy of a roll as it is now: its name or the beginning of it
    #[arg(long, value_name = "ROLL")]
    pub(crate) roll: Option<String>,
    /// As a policy file, with the origin of every value behind it
    #[arg(long)]
    pub(crate) toml: bool,
}
