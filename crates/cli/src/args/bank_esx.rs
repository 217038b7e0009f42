//! Arguments of the verbs that look into banks and mend them.

use std::path::PathBuf;

use clap::Args;

use crate::size::parse_size;

/// Looking for damage.
#[derive(Debug, Args)]
pub(crate) struct CheckBankArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// Only file system and boot.cfg; no module is read
    #[arg(long)]
    pub(crate) quick: bool,
    /// Bytes that the next release needs in a bank
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) space: Option<u64>,
    /// Digests that files must have: lines as sha256sum writes them
    #[arg(long, value_name = "FILE")]
    pub(crate) digests: Option<PathBuf>,
}

/// How a change is made: the same for every verb that writes to an ESXi bank.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// Where the sectors are kept that are overwritten [default: a new file in the state directory's folder undo]
    #[arg(long, value_name = "FILE")]
    pub(crate) undo: Option<PathBuf>,
    /// Write although the disk is in use
    #[arg(long)]
    pub(crate) force: bool,
}

/// Removing foreign files.
#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// Only this bank [default: all]
    #[arg(long, value_name = "BANK")]
    pub(crate) bank: Option<String>,
    /// Folder for copies of what is removed [default: beside the undo file]
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// Making a bank anew.
#[derive(Debug, Args)]
pub(crate) struct RebuildArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The damaged bank: A, B
    #[arg(value_name = "BANK")]
    pub(crate) bank: String,
    /// The bank to copy
    #[arg(long, value_name = "BANK")]
    pub(crate) from: String,
    /// ESXi: make it a bank that the loader falls back to, not one that waits for the next update
    #[arg(long)]
    pub(crate) fall_back: bool,
    /// ESXi: whose saved state the new bank gets [default: its own if that is whole, else the other's]
    #[arg(long, value_name = "BANK")]
    pub(crate) state_of: Option<String>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// Choosing a bank.
#[derive(Debug, Args)]
pub(crate) struct SetNextArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The bank: A, B
    #[arg(value_name = "BANK")]
    pub(crate) bank: String,
    /// One try: mark it as an upgrade that has to prove itself (bootstate=1)
    #[arg(long)]
    pub(crate) trial: bool,
    /// Instead of raising its counter, mark the other bank invalid, as the loader's own roll-back does
    #[arg(long, conflicts_with = "trial")]
    pub(crate) other_invalid: bool,
    /// Choose it although it is damaged
    #[arg(long)]
    pub(crate) even_damaged: bool,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// Reading a saved state.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The bank: A, B
    #[arg(value_name = "BANK")]
    pub(crate) bank: String,
    /// The file to write; nothing is overwritten without --force
    #[arg(value_name = "OUT", required_unless_present = "list")]
    pub(crate) out: Option<PathBuf>,
    /// Only list what is in it
    #[arg(long)]
    pub(crate) list: bool,
    /// Overwrite OUT
    #[arg(long)]
    pub(crate) force: bool,
}

/// Writing a saved state.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Disk or image file
    #[arg(value_name = "DISK")]
    pub(crate) disk: PathBuf,
    /// The bank: A, B
    #[arg(value_name = "BANK")]
    pub(crate) bank: String,
    /// The saved state
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// Taking back.
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Disk or image file
    #[arg(value_name = "DISK", required_unless_present = "list")]
    pub(crate) disk: Option<PathBuf>,
    /// The undo file [default: the newest of this disk]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// List what can be taken back
    #[arg(long)]
    pub(crate) list: bool,
    /// Also where the disk was changed since, or is in use
    #[arg(long)]
    pub(crate) force: bool,
}

/// A stick to practise on.
#[derive(Debug, Args)]
pub(crate) struct PracticeArgs {
    /// The image file to make; nothing is overwritten
    #[arg(value_name = "IMG", required_unless_present = "list")]
    pub(crate) image: Option<PathBuf>,
    /// What is wrong with it; may be repeated
    #[arg(long, value_name = "KIND")]
    pub(crate) damage: Vec<String>,
    /// Layout of which ESXi: 4 to 8
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub(crate) layout: u8,
    /// Banks of 250 or 500 MB instead of 4 MiB
    #[arg(long)]
    pub(crate) real_size: bool,
    /// List the kinds of damage
    #[arg(long)]
    pub(crate) list: bool,
}
