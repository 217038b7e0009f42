//! `lifeboat host …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::size::parse_size;

/// Verbs of hosts.
#[derive(Debug, Subcommand)]
pub(crate) enum HostCmd {
    /// Make a bare disk bootable: partitions, a release in both banks, boot entries, agent configuration
    #[command(after_help = "\
Examples:
  lifeboat host install /dev/nvme0n1 --release r1.lfb --trust maker.pub --agent-config agent.json
  lifeboat host install host1.img --size 8G --release r1.lfb --trust maker.pub --name host-1 --agent-config agent.json
  lifeboat host install /dev/sdb --release r1.lfb --trust maker.pub --dry-run
Bank A holds the release and boots. Bank B holds a copy that proves itself when it boots: a fall-back from the first day.
A disk that is in use is refused. Foreign content is refused without --force, and named.
Needs mke2fs (Debian: e2fsprogs) for the state volume.")]
    Install(HostInstallArgs),
}

/// Installing on a bare disk.
#[derive(Debug, Args)]
pub(crate) struct HostInstallArgs {
    /// Disk, or image file that is made if it is not there
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The release
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) release: PathBuf,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
    /// Name of the host in its pool [default: the one in the agent's configuration]
    #[arg(long, value_name = "HOST")]
    pub(crate) name: Option<String>,
    /// The agent's configuration: a JSON file with schema, host, controller, token
    #[arg(long, value_name = "FILE")]
    pub(crate) agent_config: Option<PathBuf>,
    /// Size of a new image file
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) size: Option<u64>,
    /// Size of each of the two boot volumes [default: as `bank init`]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) boot_size: Option<u64>,
    /// Size of each of the two root volumes [default: as `bank init`]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) root_size: Option<u64>,
    /// Size of the state volume [default: as `bank init`]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) state_size: Option<u64>,
    /// Overwrite foreign content, or banks that are there
    #[arg(long)]
    pub(crate) force: bool,
    /// Firmware variables that get the boot entries: an OVMF image (.fd), a JSON file, or an efivarfs directory
    /// [default: this machine's own if DISK is a fixed disk of it]
    #[arg(long, value_name = "FILE")]
    pub(crate) vars: Option<PathBuf>,
}
