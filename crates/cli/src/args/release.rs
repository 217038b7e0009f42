//! `lifeboat release …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Verbs of releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCmd {
    /// Make a key pair: OUT is the secret key, OUT.pub the public one
    #[command(after_help = "\
Examples:
  lifeboat release keygen maker.key          makes maker.key (keep it) and maker.key.pub (give it to hosts)")]
    Keygen {
        /// File of the secret key; nothing is overwritten
        #[arg(value_name = "OUT")]
        out: PathBuf,
    },
    /// Build a signed bundle from a directory with kernel, initrd and root image
    #[command(after_help = "\
Examples:
  lifeboat release build ./r2 --out r2.lfb --name lab-host --version 2.0 --serial 2 --key maker.key
DIR holds: kernel, initrd, root (or root.img); optional: stub, cmdline, osrel.
Without a stub the systemd stub of this machine is used (Debian: systemd-boot-efi).")]
    Build(BuildArgs),
    /// Show what a bundle holds and who signed it
    #[command(after_help = "\
Examples:
  lifeboat release show r2.lfb
  lifeboat release show r2.lfb --trust maker.key.pub -o json")]
    Show {
        /// The bundle
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Public key of a maker that is trusted; may be repeated
        #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST")]
        trust: Vec<PathBuf>,
    },
    /// Verify every byte of a bundle, its signature and its rules
    #[command(after_help = "\
Examples:
  lifeboat release verify r2.lfb --trust maker.key.pub
  lifeboat release verify r2.lfb --trust maker.key.pub --min-serial 2")]
    Verify(VerifyArgs),
}

/// Building.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Directory with the parts
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The bundle to write; takes the place of an older one
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Product line
    #[arg(long)]
    pub(crate) name: String,
    /// Version for people
    #[arg(long)]
    pub(crate) version: String,
    /// Number that only grows within the line
    #[arg(long)]
    pub(crate) serial: u64,
    /// Secret key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
    /// Date after which it is refused, for example 2027-06-30 or 2027-06-30T12:00:00Z
    #[arg(long, value_name = "DATE")]
    pub(crate) expires: Option<String>,
}

/// Verifying.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The bundle
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
    /// Refuse a lower serial
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) min_serial: u64,
}
