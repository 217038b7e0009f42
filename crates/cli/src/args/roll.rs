//! `lifeboat roll …` and `lifeboat demo`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_model::HostId;

/// Verbs of rolls.
#[derive(Debug, Subcommand)]
pub(crate) enum RollCmd {
    /// Approve a plan by its hash and carry it out
    #[command(after_help = "\
Examples:
  lifeboat roll start 3f9c
  lifeboat roll start 3f9c --yes -o jsonl > events.jsonl
If this process dies, nothing is lost: lifeboat roll resume")]
    Start(StartArgs),
    /// Follow a roll that another process carries out
    #[command(after_help = "\
Examples:
  lifeboat roll watch
  lifeboat roll watch roll-7 -o jsonl")]
    Watch(RollRef),
    /// Begin nothing new; hosts past the point of no return come to their end
    #[command(after_help = "\
Examples:
  lifeboat roll pause
  lifeboat roll resume")]
    Pause(RollRef),
    /// Take a roll up again: after a pause, a stop, a crash of this program or of the machine
    #[command(after_help = "\
Examples:
  lifeboat roll resume
  lifeboat roll resume --retry h3        try a host again that failed or fell back
  lifeboat roll resume --skip h3         leave it out")]
    Resume {
        #[command(flatten)]
        roll: RollRef,
        /// Try a host again that failed or fell back; may be repeated
        #[arg(long, value_name = "HOST")]
        retry: Vec<HostId>,
        /// Leave a host out; may be repeated
        #[arg(long, value_name = "HOST")]
        skip: Vec<HostId>,
    },
    /// Undo what can be undone, finish what cannot, restore every feature, end
    #[command(after_help = "\
Examples:
  lifeboat roll abort
  lifeboat roll abort roll-7 --yes")]
    Abort {
        #[command(flatten)]
        roll: RollRef,
        /// End a roll whose journal cannot be read; nothing is undone or restored
        #[arg(long)]
        give_up: bool,
    },
    /// Show where every host stands, and what is waited for since when
    #[command(after_help = "\
Examples:
  lifeboat roll status
  lifeboat roll status roll-7 -o json")]
    Status(RollRef),
    /// Show the journal of a roll
    #[command(after_help = "\
Examples:
  lifeboat roll log
  lifeboat roll log roll-7 -o jsonl")]
    Log(RollRef),
    /// List rolls
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  lifeboat roll list
  lifeboat roll list -o name"
    )]
    List,
}

/// Which roll.
#[derive(Debug, Args)]
pub(crate) struct RollRef {
    /// Name of the roll, or its beginning [default: the one that has not ended, else the last]
    #[arg(value_name = "ROLL")]
    pub(crate) roll: Option<String>,
}

/// Starting.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Hash of the plan, or its beginning: giving it approves the plan
    #[arg(value_name = "PLAN")]
    pub(crate) plan: String,
    /// Try a release again on hosts where it failed before; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) retry: Vec<HostId>,
}

/// The demonstration.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lifeboat demo
  lifeboat demo --fast                   the same without pauses for the eye
  lifeboat demo --keep ./demo            keep the pool's files")]
pub(crate) struct DemoArgs {
    /// Number of hosts
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(3..=1000))]
    pub(crate) hosts: u32,
    /// Number of guests
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) guests: u32,
    /// No pauses for the eye
    #[arg(long)]
    pub(crate) fast: bool,
    /// Keep the pool's files in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
}
