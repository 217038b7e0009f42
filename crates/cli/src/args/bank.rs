//! `lifeboat bank …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lifeboat_model::Bank;

use super::OptionalRepoArgs;
use super::bank_esx::{
    CheckBankArgs, CleanArgs, ExportArgs, ImportArgs, PracticeArgs, RebuildArgs, SetNextArgs, UndoArgs,
};
use crate::size::parse_size;

/// Verbs of banks.
#[derive(Debug, Subcommand)]
pub(crate) enum BankCmd {
    /// Show both banks by identity, and which boots next and why
    #[command(after_help = "\
Examples:
  lifeboat bank show /dev/nvme0n1
  lifeboat bank show host1.img --vars host1.vars.fd -o json")]
    Show(ShowBankArgs),
    /// Partition a disk or a new image file for two banks
    #[command(after_help = "\
Examples:
  lifeboat bank init host1.img --size 2G
  lifeboat bank init /dev/sdb --root-size 8G --state-size 20G
A disk that is in use is refused. Foreign content is refused without --force, and named.")]
    Init(InitArgs),
    /// Write a release into the alternate bank, and verify every byte
    #[command(after_help = "\
Examples:
  lifeboat bank install host1.img r2.lfb --trust maker.pub
  lifeboat bank install /dev/sda r2.lfb --trust maker.pub --active A
  lifeboat bank install /dev/sda lab-host@2.0 --from https://repo.example/lab --root root.json --trust maker.pub
The active bank is never written. A power cut at any moment leaves a host that boots the old bank.")]
    Install(InstallArgs),
    /// Let the next boot, and only that one, try a bank
    #[command(after_help = "\
Examples:
  lifeboat bank activate /dev/sda --bank B
  lifeboat bank activate host1.img --bank B --vars host1.vars.fd
If the bank does not come up, the boot after that is the old bank again.")]
    Activate(ActivateArgs),
    /// Look for damage, foreign files and what would stop the next upgrade; nothing is written
    #[command(after_help = "\
Examples:
  lifeboat bank check /dev/sdb                     both banks, every module unpacked
  lifeboat bank check stick.img --quick            file system and boot.cfg only
  lifeboat bank check stick.img --space 350M -o json
Ends with 3 if something would stop an upgrade or a boot.")]
    Check(CheckBankArgs),
    /// Remove files that do not belong into a bank; a copy of each is kept
    #[command(after_help = "\
Examples:
  lifeboat bank clean /dev/sdb --dry-run
  lifeboat bank clean stick.img --bank B
What belongs into a bank is what its own boot.cfg names, and a few fixed names. Taken back by: bank undo")]
    Clean(CleanArgs),
    /// Make a damaged bank anew from the other one
    #[command(after_help = "\
Examples:
  lifeboat bank rebuild /dev/sdb B --from A
  lifeboat bank rebuild stick.img B --from A --fall-back
The bank that is copied is verified first and never written. An ESXi bank is marked invalid (bootstate=3) until the
next update fills it, or becomes the fall-back with --fall-back. Taken back by: bank undo")]
    Rebuild(RebuildArgs),
    /// Choose the bank that VMware's loader boots next
    #[command(after_help = "\
Examples:
  lifeboat bank set-next stick.img A
For banks of our own hosts: bank activate")]
    SetNext(SetNextArgs),
    /// Copy a bank's saved state (state.tgz) to a file
    #[command(after_help = "\
Examples:
  lifeboat bank export /dev/sdb A state-esx07.tgz
  lifeboat bank export stick.img A --list")]
    Export(ExportArgs),
    /// Put a saved state (state.tgz) into a bank
    #[command(after_help = "\
Examples:
  lifeboat bank import /dev/sdb B state-esx07.tgz
The file is looked through first: it must be whole, and no name in it may lead out of the host's root.")]
    Import(ImportArgs),
    /// Take back a change: every sector as it was before
    #[command(after_help = "\
Examples:
  lifeboat bank undo --list
  lifeboat bank undo /dev/sdb                      the last change of this disk
  lifeboat bank undo stick.img 2026-11-21T02-10-05Z-rebuild.lfundo")]
    Undo(UndoArgs),
    /// Make an image of an ESXi boot stick to practise on, with a kind of damage
    #[command(after_help = "\
Examples:
  lifeboat bank practice stick.img --damage ghost
  lifeboat bank practice --list
The modules are made up: the image shows how banks break and are mended, it boots nothing.")]
    Practice(PracticeArgs),
}

/// The disk, and where its machine keeps its firmware variables.
#[derive(Debug, Args)]
pub(crate) struct ShowBankArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// Firmware variables: an OVMF image (.fd), a JSON file, or an efivarfs directory [default: DISK.vars.json or
    /// DISK.vars.fd if there; the machine's own when DISK holds the running system]
    #[arg(long, value_name = "FILE")]
    pub(crate) vars: Option<PathBuf>,
}

/// Partitioning.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Disk, or image file that is made if it is not there
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// Size of a new image file
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<u64>,
    /// Size of each of the two boot volumes [default: an eighth of the disk, 4 MiB to 512 MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) boot_size: Option<u64>,
    /// Size of each of the two root volumes [default: what the disk leaves, at most 32 GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) root_size: Option<u64>,
    /// Size of the state volume [default: what the others leave, at least an eighth]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) state_size: Option<u64>,
    /// Overwrite foreign content, or banks that are there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Installing a release.
#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The release: a bundle; with --from its name, or NAME@VERSION
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// Fetch it from this repository, and only what is not on this disk already
    #[arg(long, value_name = "URL", requires = "root")]
    pub(crate) from: Option<String>,
    #[command(flatten)]
    pub(crate) repo: OptionalRepoArgs,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
    /// Bank to write [default: the alternate bank; A on an empty disk]
    #[arg(long, value_name = "A|B")]
    pub(crate) bank: Option<Bank>,
    /// The bank that is in use [default: what the running kernel, the boot variables or the bank record say]
    #[arg(long, value_name = "A|B")]
    pub(crate) active: Option<Bank>,
    /// A bundle that lies here and has much in common with the release; may be repeated. The active bank is always used
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) seed: Vec<PathBuf>,
    /// Take nothing from the active bank or another bundle
    #[arg(long, conflicts_with = "seed")]
    pub(crate) no_seed: bool,
    /// Try a release again that failed on this host before
    #[arg(long)]
    pub(crate) retry: bool,
    /// Write although the disk is in use or has partitions that are not ours
    #[arg(long)]
    pub(crate) force: bool,
    /// Firmware variables, as for `bank show`
    #[arg(long, value_name = "FILE")]
    pub(crate) vars: Option<PathBuf>,
}

/// One-shot boot.
#[derive(Debug, Args)]
pub(crate) struct ActivateArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// Bank to try
    #[arg(long, value_name = "A|B")]
    pub(crate) bank: Bank,
    /// Write although the disk is in use
    #[arg(long)]
    pub(crate) force: bool,
    /// Firmware variables, as for `bank show`
    #[arg(long, value_name = "FILE")]
    pub(crate) vars: Option<PathBuf>,
}
