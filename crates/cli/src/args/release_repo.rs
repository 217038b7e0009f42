//! `lifeboat release …` with repositories.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Verbs of repositories.
#[derive(Debug, Subcommand)]
pub(crate) enum RepoCmd {
    /// Make an empty repository in a directory, a bucket or a registry
    #[command(after_help = "\
Examples:
  lifeboat release init-repo /srv/releases --root-key root.key --out root.json
  lifeboat release init-repo s3://bucket/lab?endpoint=https://host:9000 --root-key r1.key --root-key r2.key \\
      --threshold 2 --targets-key maker.key --online-key online.key --out root.json
  lifeboat release init-repo oci://host:5000/lab --root-key root.key --online-key online.key --out root.json
Give root.json to everybody who is to trust this repository.")]
    InitRepo(InitRepoArgs),
    /// Upload what is missing of a bundle to a repository, and publish it
    #[command(after_help = "\
Examples:
  lifeboat release push r2.lfb /srv/releases --root root.json --trust maker.key.pub --key root.key
  lifeboat release push r2.lfb oci://host:5000/lab --root root.json --trust maker.key.pub --key maker.key --key online.key
With fewer keys than the threshold it waits there until others run: lifeboat release sign")]
    Push(PushArgs),
    /// List the releases of a repository
    #[command(after_help = "\
Examples:
  lifeboat release list https://host/releases --root root.json
  lifeboat release list https://host/releases --root root.json -o json")]
    List(PlaceArgs),
    /// Fetch a release from a repository as a bundle file, or into a cache
    #[command(after_help = "\
Examples:
  lifeboat release pull https://host/releases lab-host@2.0 --root root.json --out r2.lfb
  lifeboat release pull s3://bucket/lab lab-host --root root.json --out r2.lfb --seed r1.lfb --trust maker.key.pub
  lifeboat release pull oci://host:5000/lab lab-host --root root.json --cache /var/cache/lifeboat
What was fetched before a cut is not fetched again: run the same command.")]
    Pull(PullArgs),
    /// Remove old releases from a repository, and files that nothing needs any more
    #[command(after_help = "\
Examples:
  lifeboat release prune /srv/releases --keep 3 --root root.json --key root.key
  lifeboat release prune /srv/releases --keep 3 --root root.json --key root.key --dry-run
Files are removed when nothing has needed them for the grace period: run it again then.")]
    Prune(PruneArgs),
    /// Add a signature: to a bundle, or to what waits for signatures in a repository
    #[command(after_help = "\
Examples:
  lifeboat release sign r2.lfb --key second-maker.key --trust maker.key.pub
  lifeboat release sign /srv/releases --root root.json --key second.key
  lifeboat release sign /srv/releases --root root.json --key second.key --dry-run     shows what would be signed")]
    Sign(SignArgs),
    /// Change the keys of a repository, or renew its root
    #[command(after_help = "\
Examples:
  lifeboat release rotate /srv/releases --root root.json --key root.key --key online.key --key new.key --online-key new.key.pub
  lifeboat release rotate /srv/releases --root root.json --key r1.key --key r2.key --root-key r1.key.pub --root-key r3.key.pub
Roles whose keys are not named keep theirs. Readers follow by themselves.")]
    Rotate(RotateArgs),
    /// Renew the dates of a repository before it expires
    #[command(after_help = "\
Examples:
  lifeboat release refresh /srv/releases --root root.json --key online.key
Run it by a timer, some days before the timestamp expires: see `lifeboat release list`.")]
    Refresh(OwnerArgs),
}

/// How a repository is reached.
#[derive(Debug, Args)]
pub(crate) struct RepoArgs {
    /// root.json of the repository, which its owner gave you on a trusted way
    #[arg(long, value_name = "FILE", env = "LIFEBOAT_ROOT")]
    pub(crate) root: PathBuf,
    #[command(flatten)]
    pub(crate) net: NetArgs,
}

/// A repository that may be named: what is needed to trust it.
#[derive(Debug, Args)]
pub(crate) struct OptionalRepoArgs {
    /// With --from: root.json of the repository, which its owner gave you on a trusted way
    #[arg(long, value_name = "FILE", env = "LIFEBOAT_ROOT")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) net: NetArgs,
}

/// The network.
#[derive(Debug, Args)]
pub(crate) struct NetArgs {
    /// Certificates (PEM) of authorities to trust instead of the system's
    #[arg(long, value_name = "FILE", env = "LIFEBOAT_CA")]
    pub(crate) ca: Option<PathBuf>,
}

/// A repository to look at.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Address of the repository: a directory, https://…, s3://… or oci://…
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) repo: RepoArgs,
}

/// A repository to change.
#[derive(Debug, Args)]
pub(crate) struct OwnerArgs {
    /// Address of the repository: a directory, s3://… or oci://…
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    #[command(flatten)]
    pub(crate) repo: RepoArgs,
    /// Secret key of a role of the repository; may be repeated
    #[arg(long = "key", value_name = "KEY", required = true)]
    pub(crate) keys: Vec<PathBuf>,
    /// Days for which the timestamp is good
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) timestamp_days: u32,
}

/// Making.
#[derive(Debug, Args)]
pub(crate) struct InitRepoArgs {
    /// Address of the repository: a directory, s3://… or oci://…
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Secret key of the root; may be repeated
    #[arg(long = "root-key", value_name = "KEY", required = true)]
    pub(crate) root_keys: Vec<PathBuf>,
    /// Signatures that a root needs
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) threshold: u64,
    /// Secret key that publishes releases, if it is not the root's; may be repeated
    #[arg(long = "targets-key", value_name = "KEY")]
    pub(crate) targets_keys: Vec<PathBuf>,
    /// Signatures that a release needs to be published
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) targets_threshold: u64,
    /// Secret key for snapshot and timestamp, if it is not that of the targets; may be repeated
    #[arg(long = "online-key", value_name = "KEY")]
    pub(crate) online_keys: Vec<PathBuf>,
    /// Where root.json is written for readers; nothing is overwritten
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) net: NetArgs,
}

/// Pushing.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
    /// Public key of a maker that is trusted; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST", required = true)]
    pub(crate) trust: Vec<PathBuf>,
}

/// Pulling.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// The release: its name for the newest one, or NAME@VERSION
    #[arg(value_name = "NAME[@VERSION]")]
    pub(crate) release: String,
    /// The bundle file to write; takes the place of an older one
    #[arg(long, value_name = "FILE", required_unless_present = "cache")]
    pub(crate) out: Option<PathBuf>,
    /// Directory where packs are kept for the next time
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Bundle of another release, whose chunks are copied instead of fetched; may be repeated
    #[arg(long = "seed", value_name = "BUNDLE", requires = "trust")]
    pub(crate) seeds: Vec<PathBuf>,
    /// Public key of a maker that is trusted; may be repeated. Without one the repository alone vouches
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST")]
    pub(crate) trust: Vec<PathBuf>,
}

/// Pruning.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
    /// How many releases of each line stay, newest first
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Hours that readers are given to finish
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub(crate) grace: u32,
}

/// Signing.
#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// A bundle file, or the address of a repository
    #[arg(value_name = "WHAT")]
    pub(crate) what: String,
    /// Secret key; may be repeated
    #[arg(long = "key", value_name = "KEY", required = true)]
    pub(crate) keys: Vec<PathBuf>,
    /// root.json of the repository
    #[arg(long, value_name = "FILE", env = "LIFEBOAT_ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// Public key of a maker who has signed the bundle; may be repeated
    #[arg(long, value_name = "KEY", env = "LIFEBOAT_TRUST")]
    pub(crate) trust: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) net: NetArgs,
}

/// Rotating.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
    /// Public key of the root from now on; may be repeated
    #[arg(long = "root-key", value_name = "PUB")]
    pub(crate) root_keys: Vec<PathBuf>,
    /// Signatures that a root needs from now on
    #[arg(long, value_name = "N")]
    pub(crate) threshold: Option<u64>,
    /// Public key that publishes releases from now on; may be repeated
    #[arg(long = "targets-key", value_name = "PUB")]
    pub(crate) targets_keys: Vec<PathBuf>,
    /// Signatures that a release needs from now on
    #[arg(long, value_name = "N")]
    pub(crate) targets_threshold: Option<u64>,
    /// Public key for snapshot and timestamp from now on; may be repeated
    #[arg(long = "online-key", value_name = "PUB")]
    pub(crate) online_keys: Vec<PathBuf>,
}
