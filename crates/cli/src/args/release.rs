//! `lifeboat release …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RepoCmd;

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
    /// Build a signed bundle from a directory with kernel, initrd and root image, or from packages
    #[command(after_help = "\
Examples:
  lifeboat release build ./r2 --out r2.lfb --name lab-host --version 2.0 --serial 2 --key maker.key
  lifeboat release build ./r2 --out r1-r2.lfb --base r1.lfb --name lab-host --version 2.0 --serial 2 --key maker.key
  lifeboat release build --packages ./debs --out r2.lfb --name kvm-host --version 2.0 --serial 2 --key maker.key
DIR holds: kernel, initrd, root (or root.img); optional: stub, cmdline, osrel.
With --packages, for hosts without banks: .deb files, or .rpm files; optional: remove (names of packages to be removed,
one a line), packages.toml (reboot = \"always\" or \"if-needed\").
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
    /// Show what changed from one bundle to another, and what a host would fetch
    #[command(after_help = "\
Examples:
  lifeboat release diff r1.lfb r2.lfb --trust maker.key.pub
  lifeboat release diff r1.lfb r2.lfb --trust maker.key.pub -o json
A host that runs the first one has its root image; its kernel and initrd lie there inside another file.")]
    Diff(DiffArgs),
    /// Cut out of a whole bundle what hosts lack that run another release
    #[command(after_help = "\
Examples:
  lifeboat release delta r2.lfb --base r1.lfb --out r1-r2.lfb --trust maker.key.pub
The release in it is the same one, with the same digest; it can be installed where the base runs, or lies as a bundle.")]
    Delta(DeltaArgs),
    #[command(flatten)]
    Repo(RepoCmd),
}

/// Building.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// Directory with the parts
    #[arg(value_name = "DIR", required_unless_present = "packages", conflicts_with = "packages")]
    pub(crate) dir: Option<PathBuf>,
    /// Directory with packages, for hosts without banks
    #[arg(long, value_name = "DIR", conflicts_with_all = ["base", "no_verity"])]
    pub(crate) packages: Option<PathBuf>,
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
    /// Write only what hosts lack that run the release of this bundle. To have the whole bundle of the same release too,
    /// build that one and cut the difference out of it: `release delta`
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) base: Option<PathBuf>,
    /// Public key of the maker of the base, if it is another one; may be repeated
    #[arg(long, value_name = "KEY", requires = "base")]
    pub(crate) trust: Vec<PathBuf>,
    /// Compression level of zstd: 1 is fast, 19 is small; what hosts do is the same
    #[arg(long, value_name = "N", default_value_t = lifeboat_bundle::DEFAULT_LEVEL, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub(crate) level: i32,
    /// Leave out the hash tree of the root image, by which hosts check each block while they run
    #[arg(long)]
    pub(crate) no_verity: bool,
}

/// Cutting a difference.
#[derive(Debug, Args)]
pub(crate) struct DeltaArgs {
    /// The whole bundle
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The bundle of the release that hosts run
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) base: PathBuf,
    /// The bundle to write; takes the place of an older one
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
}

/// Comparing.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The bundle that hosts have
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,
    /// The bundle that they are to get
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
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
