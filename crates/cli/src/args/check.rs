//! `lifeboat check …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Verbs of checks.
#[derive(Debug, Subcommand)]
pub(crate) enum CheckCmd {
    /// Look at a pool with every check and tell all findings at once; with --fix mend what a program can mend
    #[command(after_help = "\
Examples:
  lifeboat check run prod                what stands in the way of any roll
  lifeboat check run prod --release r2.lfb --trust maker.key.pub --policy night.toml
  lifeboat check run prod --fix --dry-run
  lifeboat check run prod --fix guest-media-connected clock-skew
  lifeboat check run prod --ignore clock-drift:h3 --reason \"its clock is replaced on Monday\"
Exit code 3 if there are blockers. Every remedy is journaled and can be taken back: lifeboat check fixes prod")]
    Run(Box<RunCheckArgs>),
    /// List every finding that checks can have
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  lifeboat check list
  lifeboat check list -o name"
    )]
    List,
    /// Explain a finding: what is looked at, what it means, what to do
    #[command(after_help = "\
Examples:
  lifeboat check explain guest-without-target")]
    Explain {
        /// Code of the finding
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// List the remedies that were carried out on a pool, and what takes each back
    #[command(after_help = "\
Examples:
  lifeboat check fixes prod
  lifeboat check fixes prod -v           also those that were taken back")]
    Fixes {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
    },
    /// Take remedies back
    #[command(after_help = "\
Examples:
  lifeboat check undo prod 7
  lifeboat check undo prod --all --yes")]
    Undo {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
        /// Number of the remedy, from `check fixes` [default: the only one that stands]
        #[arg(value_name = "FIX", conflicts_with = "all")]
        fix: Option<u64>,
        /// Every remedy that stands
        #[arg(long)]
        all: bool,
    },
}

/// Looking.
#[derive(Debug, Args)]
pub(crate) struct RunCheckArgs {
    /// Name of the pool, or the beginning of one
    #[arg(value_name = "POOL")]
    pub(crate) pool: String,
    /// What the hosts shall run: its checks look too
    #[arg(long, value_name = "BUNDLE", requires = "trust")]
    pub(crate) release: Option<PathBuf>,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST")]
    pub(crate) trust: Vec<PathBuf>,
    /// How the pool is to be rolled (TOML) [default: the default policy]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Carry out the remedies that a program can carry out, of all findings or of these codes
    #[arg(long, value_name = "CODE", num_args = 0..)]
    pub(crate) fix: Option<Vec<String>>,
    /// Show and count only these findings
    #[arg(long, value_name = "CODE", num_args = 1..)]
    pub(crate) only: Vec<String>,
    /// Do not count a finding, for this time and for a reason; may be repeated
    #[arg(long, value_name = "CODE[:SUBJECT]", requires = "reason")]
    pub(crate) ignore: Vec<String>,
    /// Why it is ignored
    #[arg(long, value_name = "TEXT", requires = "ignore")]
    pub(crate) reason: Option<String>,
}
