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
  lifeboat roll pause                    now: hosts stay where they are before their point of no return
  lifeboat roll pause --after-host       hosts in flight come to their end first
  lifeboat roll resume")]
    Pause {
        #[command(flatten)]
        roll: RollRef,
        /// Bring the hosts in flight to their end, then pause
        #[arg(long)]
        after_host: bool,
    },
    /// Take back what can be taken back, restore every feature, and end for now; it can be taken up again
    #[command(after_help = "\
Examples:
  lifeboat roll stop
  lifeboat roll resume                   take it up again")]
    Stop(RollRef),
    /// Leave hosts out
    #[command(after_help = "\
Examples:
  lifeboat roll skip h3
  lifeboat roll skip h3 h7 --roll roll-7")]
    Skip(HostsArgs),
    /// Try hosts again that failed or fell back
    #[command(after_help = "\
Examples:
  lifeboat roll retry h3
  lifeboat roll retry h3 --roll roll-7")]
    Retry(HostsArgs),
    /// Let the next wave begin, where the policy wants a person's word for it
    #[command(after_help = "\
Examples:
  lifeboat roll approve                  the next wave
  lifeboat roll approve --wave 5         all waves up to the fifth")]
    Approve {
        #[command(flatten)]
        roll: RollRef,
        /// Approve the waves up to this one [default: the next that waits]
        #[arg(long, value_name = "WAVE", value_parser = clap::value_parser!(u32).range(1..))]
        wave: Option<u32>,
    },
    /// Go on by another policy; what the plan is bound to cannot change
    #[command(after_help = "\
Examples:
  lifeboat roll set-policy night.toml
  lifeboat policy show --roll roll-7     what is in force, and where each value comes from")]
    SetPolicy {
        /// The policy file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        roll: RollRef,
    },
    /// Take a roll up again: after a pause, a stop, a crash of this program or of the machine
    #[command(after_help = "\
Examples:
  lifeboat roll resume
  lifeboat roll resume --retry h3        try a host again that failed or fell back
  lifeboat roll resume --skip h3         leave it out
  lifeboat roll resume --take-over       ask the controller that is at work to leave the roll to this one")]
    Resume {
        #[command(flatten)]
        roll: RollRef,
        /// Try a host again that failed or fell back; may be repeated
        #[arg(long, value_name = "HOST")]
        retry: Vec<HostId>,
        /// Leave a host out; may be repeated
        #[arg(long, value_name = "HOST")]
        skip: Vec<HostId>,
        /// Ask the controller that is at work to leave the roll to this one
        #[arg(long)]
        take_over: bool,
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
  lifeboat roll log --host h3 --since '2026-11-20 22:00'
  lifeboat roll log --kind operator --kind halted
  lifeboat roll log roll-7 --follow -o jsonl")]
    Log(LogArgs),
    /// Write what a roll was: times, moves, features, orders, with a picture
    #[command(after_help = "\
Examples:
  lifeboat roll report --html --out roll.html
  lifeboat roll report roll-7 -o json")]
    Report(ReportArgs),
    /// Write the journal of a roll as one text file, for an archive or another machine
    #[command(after_help = "\
Examples:
  lifeboat roll export --out roll-7.jsonl
  lifeboat roll verify --file roll-7.jsonl")]
    Export {
        #[command(flatten)]
        roll: RollRef,
        /// Where to write it [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check that the journal of a roll is whole: chain, plan, end, order of events, controllers
    #[command(after_help = "\
Examples:
  lifeboat roll verify
  lifeboat roll verify --file roll-7.jsonl
A journal that is not whole ends with exit code 10, and the first damaged event is named.")]
    Verify {
        #[command(flatten)]
        roll: RollRef,
        /// An exported journal instead of this installation's
        #[arg(long, value_name = "FILE", conflicts_with = "roll")]
        file: Option<PathBuf>,
    },
    /// Take up from the world what a roll with a damaged journal left behind
    #[command(after_help = "\
Examples:
  lifeboat roll recover --dry-run              what is damaged, and what can be proved
  lifeboat roll recover                        end the roll, give its hosts back to the pool
  lifeboat roll recover --restore              and restore its features
  lifeboat roll recover --value ha-admission-control='reserve 25 %'
Go on with: lifeboat plan create, then lifeboat roll start PLAN --adopt ROLL")]
    Recover(RecoverArgs),
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

/// Hosts of a roll.
#[derive(Debug, Args)]
pub(crate) struct HostsArgs {
    /// The hosts
    #[arg(value_name = "HOST", required = true)]
    pub(crate) hosts: Vec<HostId>,
    /// Name of the roll, or its beginning [default: the one that has not ended, else the last]
    #[arg(long, value_name = "ROLL")]
    pub(crate) roll: Option<String>,
}

/// Which events.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) roll: RollRef,
    /// Only events about this host, or about a guest that goes there
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Only events about this guest
    #[arg(long, value_name = "GUEST")]
    pub(crate) guest: Option<String>,
    /// Only events of this kind; may be repeated
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(EVENT_KINDS))]
    pub(crate) kind: Vec<String>,
    /// From this event or time on: a number, or a time in UTC like '2026-11-20 22:00'
    #[arg(long, value_name = "TIME|SEQ")]
    pub(crate) since: Option<String>,
    /// Up to this event or time
    #[arg(long, value_name = "TIME|SEQ")]
    pub(crate) until: Option<String>,
    /// Go on showing what comes, until the roll ends
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// Kinds of events, as they stand in journals.
const EVENT_KINDS: [&str; 18] = [
    "roll-started",
    "controller-started",
    "intent",
    "outcome",
    "host-phase",
    "halted",
    "coordinator-lost",
    "coordinator-back",
    "operator",
    "roll-ended",
    "held",
    "feature-touched",
    "feature-kept",
    "window-opened",
    "window-closed",
    "warned",
    "suspension-adopted",
    "unknown",
];

/// A report.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) roll: RollRef,
    /// A page for browsers that needs nothing but itself
    #[arg(long)]
    pub(crate) html: bool,
    /// Where to write it [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Recovering.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) roll: RollRef,
    /// Restore the features too, instead of leaving that to a new roll
    #[arg(long)]
    pub(crate) restore: bool,
    /// The value that a feature had, where the journal does not prove it; may be repeated
    #[arg(long, value_name = "FEATURE=VALUE")]
    pub(crate) value: Vec<String>,
    /// Let this host leave maintenance although the journal does not tell that the roll put it there; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) leave_maintenance: Vec<HostId>,
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
    /// Restore at the end what this roll, whose journal was lost, had switched off; see `roll recover`
    #[arg(long, value_name = "ROLL")]
    pub(crate) adopt: Option<String>,
    /// Start although checks of severity blocker found something; the journal names who said so
    #[arg(long)]
    pub(crate) despite_findings: bool,
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
