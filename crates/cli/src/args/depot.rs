//! `lifeboat depot …`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::size::parse_size;

/// Verbs of depots.
#[derive(Debug, Subcommand)]
pub(crate) enum DepotCmd {
    /// Show what an offline bundle, a VIB or a folder of them holds
    #[command(after_help = "\
Examples:
  lifeboat depot show VMware-ESXi-7.0U3-depot.zip
  lifeboat depot show driver.vib
  lifeboat depot show /srv/vibs -o json")]
    Show {
        /// Offline bundle, VIB, or folder of them
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
    /// Read all of it: every sum, every signature, the index, equal ids
    #[command(after_help = "\
Examples:
  lifeboat depot check depot.zip
  lifeboat depot check driver.vib --trust vmware.pem
  lifeboat depot check /srv/vibs --trust partners.pem=partner --at 2024-05-01
Exit code 10 if something in it must not be relied upon. Without --trust, sums are verified and signatures are not.")]
    Check(CheckDepotArgs),
    /// Compare the newest VIBs of two depots
    #[command(after_help = "\
Examples:
  lifeboat depot diff 7.0U2-depot.zip 7.0U3-depot.zip
  lifeboat depot diff old/ new/ -o json")]
    Diff {
        /// The one before
        #[arg(value_name = "A")]
        from: PathBuf,
        /// The one after
        #[arg(value_name = "B")]
        to: PathBuf,
    },
    /// Tell what an update from it would install, remove and skip on a host, and whether it fits; nothing is changed
    #[command(after_help = "\
Examples:
  esxcli software vib list > h1.txt; esxcli software vib get >> h1.txt          on the host
  lifeboat depot resolve depot.zip --host h1.txt --profile ESXi-7.0U3-standard
  lifeboat depot resolve patch.zip --host h1.txt --mode vib-update --bank-size 250M
  lifeboat depot resolve depot.zip --host h1.txt --mode profile-install --ok-to-remove --bank stick.img:B
Exit code 3 if something stands in the way.")]
    Resolve(Box<ResolveArgs>),
}

/// Reading all of it.
#[derive(Debug, Args)]
pub(crate) struct CheckDepotArgs {
    /// Offline bundle, VIB, or folder of them
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// Whom to trust, and when.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Certificates (PEM) that are trusted, with the highest level that they may vouch for [default level: certified]; may
    /// be repeated
    #[arg(long, value_name = "CA.pem[=LEVEL]")]
    pub(crate) trust: Vec<String>,
    /// Date at which certificates must be valid, as 2024-05-01 or 2024-05-01T12:00:00Z [default: now]
    #[arg(long, value_name = "DATE")]
    pub(crate) at: Option<String>,
}

/// How an update is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeWord {
    /// Only what is installed, only up
    VibUpdate,
    /// Everything in the depot; may go down
    VibInstall,
    /// Everything in the profile, only up; nothing is removed
    ProfileUpdate,
    /// Exactly the profile; may go down and remove
    ProfileInstall,
}

/// Telling what would happen.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// Offline bundle, VIB, or folder of them
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// What the host has: output of `esxcli software vib list` or `vib get`, also as CSV, JSON or XML; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) host: Vec<PathBuf>,
    /// How [default: profile-update if the depot holds a profile, else vib-update]
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<ModeWord>,
    /// Name of the image profile, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Only these VIBs: name, name:version, vendor:name or vendor:name:version; may be repeated
    #[arg(long = "vib", value_name = "VIB")]
    pub(crate) only: Vec<String>,
    /// VIBs may be replaced by older ones
    #[arg(long)]
    pub(crate) allow_downgrades: bool,
    /// VIBs may be removed without a successor
    #[arg(long)]
    pub(crate) ok_to_remove: bool,
    /// The lowest level that the host accepts, as printed by `esxcli software acceptance get`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) host_level: Option<String>,
    /// Vendor of the host, and its model behind a colon
    #[arg(long, value_name = "VENDOR[:MODEL]")]
    pub(crate) hardware: Option<String>,
    /// Size of a boot bank, which must hold the result
    #[arg(long, value_name = "SIZE", value_parser = parse_size, conflicts_with = "bank")]
    pub(crate) bank_size: Option<u64>,
    /// A boot bank, which must hold the result: disk or image, and the letter of the bank
    #[arg(long, value_name = "DISK:BANK")]
    pub(crate) bank: Option<String>,
    /// Room in the bank for what is no VIB: saved state, image database
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "8M")]
    pub(crate) reserve: u64,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}
