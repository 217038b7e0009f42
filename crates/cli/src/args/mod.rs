//! The command line: nouns, verbs, options, help.
//!
//! Owns: the shape of every command and its help with examples. Promises: an option that is the same for all
//! commands stands anywhere on the line. Does not: check anything that needs a file.

mod bank;
mod bank_esx;
mod check;
mod depot;
mod host;
mod host_state;
mod kvmlab;
mod lab;
mod plan;
mod policy;
mod pool;
mod release;
mod release_repo;
mod roll;
mod storage;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bank::{ActivateArgs, BankCmd, InitArgs, InstallArgs, ShowBankArgs};
pub(crate) use bank_esx::{
    ChangeArgs, CheckBankArgs, CleanArgs, ExportArgs, ImportArgs, PracticeArgs, RebuildArgs, SetNextArgs,
    UndoArgs,
};
pub(crate) use check::{CheckCmd, RunCheckArgs};
pub(crate) use depot::{CheckDepotArgs, DepotCmd, ModeWord, ResolveArgs, TrustArgs};
pub(crate) use host::{HostCmd, HostInstallArgs};
pub(crate) use host_state::{
    DeviceWord, HostBackupArgs, HostDiffArgs, HostPlaceArgs, HostRestoreArgs, HostShowBackupArgs, NicWord,
};
pub(crate) use kvmlab::{
    DiskWord, GuestWord, KindWord, KvmLabCmd, KvmLabGuestArgs, KvmLabName, KvmLabUpArgs, PowerWord,
};
pub(crate) use lab::{LabCmd, LabUpArgs};
pub(crate) use plan::{CreatePlanArgs, PlanCmd};
pub(crate) use policy::{PolicyCmd, ShowPolicyArgs};
pub(crate) use pool::{AddKvmArgs, CreateSimArgs, PoolCmd, SimWord};
pub(crate) use release::{BuildArgs, DeltaArgs, DiffArgs, ReleaseCmd, VerifyArgs};
pub(crate) use release_repo::{
    InitRepoArgs, OptionalRepoArgs, OwnerArgs, PlaceArgs, PruneArgs, PullArgs, PushArgs, RepoArgs, RepoCmd,
    RotateArgs, SignArgs,
};
pub(crate) use roll::{DemoArgs, HostsArgs, LogArgs, RecoverArgs, ReportArgs, RollCmd, RollRef, StartArgs};
pub(crate) use storage::{ResolveNameArgs, SourceArgs, StorageCmd, TopologyArgs};

use crate::output::{ColourChoice, Format};

const ABOUT: &str = "Upgrade the hosts of a virtualization pool without losing a host, a guest or a byte";

const EXAMPLES: &str = "\
Examples:
  lifeboat demo                                    watch a simulated pool being upgraded
  lifeboat bank show /dev/sda                      both banks of this machine's disk, and which boots next
  lifeboat plan create prod --release r2.lfb --trust maker.pub
  lifeboat roll start 3f9c                         approve the plan by its hash, and carry it out
  lifeboat roll resume                             take up what was interrupted

Exit codes: 0 done, 1 failed, 2 usage, 3 blockers, 4 partly done (roll status), 5 needs a person,
6 not found or ambiguous, 7 conflict or locked, 8 unreachable, 9 authentication, 10 verification failed,
70 bug, 130 interrupted.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version, about = ABOUT, after_help = EXAMPLES, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true, infer_subcommands = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// Form of the result
    #[arg(
        short = 'o',
        long,
        global = true,
        value_name = "FORM",
        env = "LIFEBOAT_OUTPUT",
        default_value = "table"
    )]
    pub(crate) output: Format,
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE are honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColourChoice,
    /// Do not ask; for scripts
    #[arg(short = 'y', long, global = true)]
    pub(crate) yes: bool,
    /// Say what would be done, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Tell more; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Where pools, plans and the journal are kept [default: /var/lib/lifeboat for root, else
    /// ~/.local/state/lifeboat]
    #[arg(long, global = true, value_name = "DIR", env = "LIFEBOAT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// What a command is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Boot banks on a disk or an image file
    #[command(subcommand)]
    Bank(BankCmd),
    /// Hosts: from a bare disk to one that boots
    #[command(subcommand)]
    Host(HostCmd),
    /// Releases: what hosts shall run
    #[command(subcommand)]
    Release(ReleaseCmd),
    /// Depots: offline bundles and VIBs of ESXi, and what they would do to a host
    #[command(subcommand)]
    Depot(DepotCmd),
    /// Storage of a host: adapters, targets, LUNs, paths, and every name of a device
    #[command(subcommand)]
    Storage(StorageCmd),
    /// Pools that this installation knows
    #[command(subcommand)]
    Pool(PoolCmd),
    /// Checks: what stands in the way of a roll, and mending it
    #[command(subcommand)]
    Check(CheckCmd),
    /// Plans: order, waves, every guest move
    #[command(subcommand)]
    Plan(PlanCmd),
    /// Policies: how a pool is to be rolled
    #[command(subcommand)]
    Policy(PolicyCmd),
    /// Rolls: carrying out a plan
    #[command(subcommand)]
    Roll(RollCmd),
    /// A simulated pool is upgraded while you watch; then a bad release is stopped
    Demo(DemoArgs),
    /// A pool of real machines in QEMU
    #[command(subcommand)]
    Lab(LabCmd),
    /// A pool of libvirt hosts in namespaces of this machine
    #[command(subcommand, name = "kvmlab")]
    Kvmlab(KvmLabCmd),
    /// What is known and what is going on, at a glance
    Status,
    /// Settings from the environment, their values, and where each came from
    Env,
    /// Completions for a shell
    #[command(after_help = "\
Examples:
  lifeboat completion bash > /usr/share/bash-completion/completions/lifeboat
  lifeboat completion zsh > /usr/share/zsh/vendor-completions/_lifeboat
  lifeboat completion fish > /usr/share/fish/vendor_completions.d/lifeboat.fish")]
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Version of this program and of the forms it knows
    Version,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_is_explained() {
        let mut command = Cli::command();
        command.build();
        command.debug_assert();
        for noun in Cli::command().get_subcommands() {
            assert!(noun.get_about().is_some(), "{} has no help", noun.get_name());
            for verb in noun.get_subcommands() {
                assert!(verb.get_about().is_some(), "{} {} has no help", noun.get_name(), verb.get_name());
                assert!(
                    verb.get_after_help().is_some(),
                    "{} {} has no example",
                    noun.get_name(),
                    verb.get_name()
                );
            }
        }
    }
}
