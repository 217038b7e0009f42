//! `lifeboat host backup|restore|diff|show-backup`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lifeboat_hoststate::Section;

/// Where a host's files and devices are.
#[derive(Debug, Args)]
pub(crate) struct HostPlaceArgs {
    /// Root of the host: another one than this machine's when its disk is mounted in a rescue system
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(crate) root: PathBuf,
    /// Folder that holds `sys`, `dev`, `run` of the machine; for tests, and for dumps of other machines
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub(crate) machine: PathBuf,
    /// Disk whose bank record tells the releases of the host
    #[arg(long, value_name = "DISK")]
    pub(crate) bank_disk: Option<PathBuf>,
}

/// Making a backup.
#[derive(Debug, Args)]
pub(crate) struct HostBackupArgs {
    /// The backup; a file of this name is replaced when the new one is whole
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) place: HostPlaceArgs,
}

/// What to do about network cards with other names.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum NicWord {
    /// Give each card its old name back at the next boot
    Pin,
    /// Leave the names as they stand
    AsIs,
}

/// What to do about names of devices.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DeviceWord {
    /// Leave the names as they stand
    AsIs,
}

/// Bringing a backup back.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(crate) struct HostRestoreArgs {
    /// The backup
    #[arg(value_name = "FILE", required_unless_present_any = ["resume", "undo"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: HostPlaceArgs,
    /// Only these sections: identity, network, storage, libvirt, users, schedule, configuration
    #[arg(long, value_name = "SECTION", value_delimiter = ',')]
    pub(crate) only: Vec<Section>,
    /// Path that the host keeps, with all below it; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) keep: Vec<String>,
    /// Accept a backup of this version on a host with another one; needs --only with sections that outlive versions
    #[arg(long, value_name = "VERSION")]
    pub(crate) accept_version: Option<String>,
    /// This host takes the place of the one of the backup; its own identity stays
    #[arg(long)]
    pub(crate) as_other_host: bool,
    /// Network cards that have other names here
    #[arg(long, value_name = "WHAT")]
    pub(crate) nics: Option<NicWord>,
    /// Devices that have other names here, or are missing
    #[arg(long, value_name = "WHAT")]
    pub(crate) devices: Option<DeviceWord>,
    /// Make device nodes that are in the backup
    #[arg(long)]
    pub(crate) device_nodes: bool,
    /// Finish a restore that was left half done
    #[arg(long, conflicts_with_all = ["file", "undo"])]
    pub(crate) resume: bool,
    /// Take the last restore back, whether it was finished or not
    #[arg(long, conflicts_with = "file")]
    pub(crate) undo: bool,
    /// With --resume or --undo: overwrite files that somebody changed since the restore
    #[arg(long)]
    pub(crate) overwrite_changed: bool,
}

/// Comparing.
#[derive(Debug, Args)]
pub(crate) struct HostDiffArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Another backup [default: the present state of --root]
    #[arg(value_name = "OTHER_FILE")]
    pub(crate) other: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: HostPlaceArgs,
    /// Show lines of files that not everybody may read, such as /etc/shadow
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// Looking into a backup.
#[derive(Debug, Args)]
pub(crate) struct HostShowBackupArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// List every path
    #[arg(long)]
    pub(crate) paths: bool,
}
