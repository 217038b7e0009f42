//! `lifeboat host …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{HostBackupArgs, HostDiffArgs, HostRestoreArgs, HostShowBackupArgs};
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
    /// Keep the state of a host in a file: configuration, network, storage, definitions, accounts
    #[command(after_help = "\
Examples:
  lifeboat host backup --out /mnt/usb/kvm-1.lfhs
  lifeboat host backup --root /mnt/host --out kvm-1.lfhs      the host's disk is mounted in a rescue system
The file holds secrets (keys, /etc/shadow): it is made for its owner alone. Disks and memory of guests are not in it.")]
    Backup(HostBackupArgs),
    /// Bring the state of a host back: refused for another version, host or device before anything is written
    #[command(after_help = "\
Examples:
  lifeboat host restore kvm-1.lfhs --dry-run                  what would be done to every file
  lifeboat host restore kvm-1.lfhs --only network,libvirt
  lifeboat host restore kvm-1.lfhs --root /mnt/host
  lifeboat host restore --resume                              finish what was interrupted
  lifeboat host restore --undo                                take the last restore back
What only the host has stays. What is overwritten is kept in /var/lib/lifeboat/host-restore until the next restore.")]
    Restore(Box<HostRestoreArgs>),
    /// What changed on a host since a backup, or between two backups
    #[command(after_help = "\
Examples:
  lifeboat host diff kvm-1.lfhs
  lifeboat host diff monday.lfhs friday.lfhs -o json
Exit code 0 whether there are differences or not; with -o name, one changed path per line.")]
    Diff(HostDiffArgs),
    /// What a backup holds, after every byte of it was checked
    #[command(after_help = "\
Examples:
  lifeboat host show-backup kvm-1.lfhs
  lifeboat host show-backup kvm-1.lfhs --paths")]
    ShowBackup(HostShowBackupArgs),
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
