//! `lifeboat kvmlab …`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use lifeboat_model::PoolName;

/// Verbs of the lab in namespaces.
#[derive(Debug, Subcommand)]
pub(crate) enum KvmLabCmd {
    /// Make a lab: hosts with libvirt on this machine, and guests that prove that nothing was lost
    #[command(after_help = "\
Examples:
  lifeboat kvmlab up --hosts 3 --guests 6
  lifeboat kvmlab up --kind banks --agent target/debug/lifeboat-agent
  lifeboat kvmlab exec -- virsh -c qemu+tcp://h1/system list --all
Needs root; see docs/ops/kvm-lab.md for the packages.")]
    Up(Box<KvmLabUpArgs>),
    /// End a lab and remove everything that it made
    #[command(after_help = "\
Examples:
  lifeboat kvmlab down
  lifeboat kvmlab down --name second --yes")]
    Down(KvmLabName),
    /// Show hosts, their power, and where guests are
    #[command(after_help = "\
Examples:
  lifeboat kvmlab status
  lifeboat kvmlab status -o json")]
    Status(KvmLabName),
    /// Run a command where the hosts can be reached, or on a host; its exit code is passed on
    #[command(after_help = "\
Examples:
  lifeboat kvmlab exec -- virsh -c qemu+tcp://h1/system list
  lifeboat kvmlab exec --host h1 -- dpkg -l qemu-system-x86")]
    Exec {
        #[command(flatten)]
        lab: KvmLabName,
        /// The host; without it where all hosts can be reached
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
        /// The command
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// A shell where the hosts can be reached, or on a host
    #[command(after_help = "\
Examples:
  lifeboat kvmlab enter
  lifeboat kvmlab enter h1")]
    Enter {
        /// The host; without it where all hosts can be reached
        #[arg(value_name = "HOST")]
        host: Option<String>,
        #[command(flatten)]
        lab: KvmLabName,
    },
    /// Switch a host: its power, or its network cable
    #[command(after_help = "\
Examples:
  lifeboat kvmlab power h1 cut        as if the cord was pulled: its guests die
  lifeboat kvmlab power h1 on
  lifeboat kvmlab power h1 unplug     its network cable; plug brings it back")]
    Power {
        /// The host
        #[arg(value_name = "HOST")]
        host: String,
        /// What to do
        #[arg(value_name = "WHAT")]
        what: PowerWord,
        #[command(flatten)]
        lab: KvmLabName,
    },
    /// Make guests and start them, or remove them
    #[command(after_help = "\
Examples:
  lifeboat kvmlab guest web1 --host h1
  lifeboat kvmlab guest heavy --host h1 --kind elastic --pages 4096
  lifeboat kvmlab guest stuck --host h2 --pinned       cannot be migrated
  lifeboat kvmlab guest web1 --remove")]
    Guest(Box<KvmLabGuestArgs>),
    /// Watch guests count: restarts, lost counts, the longest silence
    #[command(after_help = "\
Examples:
  lifeboat kvmlab watch                     until interrupted
  lifeboat kvmlab watch --for 30 -o json    for 30 seconds, then one document
Exit code 1 if a guest was restarted or lost something.")]
    Watch {
        /// The guests [default: all that ever ran]
        #[arg(value_name = "GUEST")]
        guests: Vec<String>,
        /// Seconds; without it until interrupted
        #[arg(long = "for", value_name = "SECONDS")]
        seconds: Option<u64>,
        #[command(flatten)]
        lab: KvmLabName,
    },
    /// Releases of a lab whose hosts boot from banks; install one as the agent does
    #[command(after_help = "\
Examples:
  lifeboat kvmlab release                      list them, with their bundles
  lifeboat kvmlab release 2 --install h1       into the bank that does not run; the next boot tries it
  lifeboat kvmlab release 4 --serial 4 --layer qemu-11/     build one with unpacked packages in its root")]
    Release {
        /// Version of the release; without it all are listed
        #[arg(value_name = "VERSION")]
        version: Option<String>,
        /// Install it on this host
        #[arg(long, value_name = "HOST", requires = "version")]
        install: Option<String>,
        /// Build it: its number, by which the newer one is told
        #[arg(long, value_name = "NUMBER", requires = "version", conflicts_with = "install")]
        serial: Option<u64>,
        /// Folder whose content goes into its root; may be given again
        #[arg(long, value_name = "DIR", requires = "serial")]
        layer: Vec<PathBuf>,
        #[command(flatten)]
        lab: KvmLabName,
    },
    /// What a lab calls by itself
    #[command(hide = true, after_help = "Examples:\n  none: people do not call it")]
    Carry {
        /// Words of the lab
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// Which lab.
#[derive(Debug, Clone, Args)]
pub(crate) struct KvmLabName {
    /// Name of the lab
    #[arg(long, default_value = "kvm", value_name = "NAME")]
    pub(crate) name: PoolName,
    /// Directory of its files [default: kvmlab/NAME in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Making a lab.
#[derive(Debug, Args)]
pub(crate) struct KvmLabUpArgs {
    /// Number of hosts: h1, h2…
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) hosts: u8,
    /// How the hosts' systems come and go
    #[arg(long, default_value = "packages", value_name = "KIND")]
    pub(crate) kind: KindWord,
    /// Number of counting guests, spread over the hosts: g1, g2…
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) guests: u16,
    /// Memory of each host that a plan may give to guests, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    pub(crate) memory: u32,
    /// The agent for the hosts; hosts without one are only reached through libvirt
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: Option<PathBuf>,
    /// libvirt over TLS too
    #[arg(long)]
    pub(crate) tls: bool,
    /// sshd on each host
    #[arg(long)]
    pub(crate) ssh: bool,
    /// Seconds until the watchdog ends the trial of a bank that was not blessed
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) watchdog: u64,
    #[command(flatten)]
    pub(crate) lab: KvmLabName,
}

/// A guest.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(crate) struct KvmLabGuestArgs {
    /// Its name
    #[arg(value_name = "GUEST")]
    pub(crate) guest: String,
    /// Its host
    #[arg(long, value_name = "HOST", required_unless_present = "remove")]
    pub(crate) host: Option<String>,
    /// Forget it everywhere and remove its files
    #[arg(long, conflicts_with = "host")]
    pub(crate) remove: bool,
    /// What it does
    #[arg(long, default_value = "tick", value_name = "KIND")]
    pub(crate) kind: GuestWord,
    /// Ticks of 55 ms from one count to the next, for tick
    #[arg(long, default_value_t = 18, value_name = "TICKS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) period: u16,
    /// Pages that it keeps dirty, for elastic
    #[arg(long, default_value_t = 1024, value_name = "PAGES", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) pages: u16,
    /// Its memory in MiB [default: what it needs]
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u32>,
    /// Where its disk lies
    #[arg(long, default_value = "nbd", value_name = "WHERE")]
    pub(crate) disk: DiskWord,
    /// Started with its host
    #[arg(long)]
    pub(crate) autostart: bool,
    /// With a device that cannot be migrated
    #[arg(long)]
    pub(crate) pinned: bool,
    /// With a CD from a file of its host
    #[arg(long)]
    pub(crate) local_cdrom: bool,
    /// Define it only
    #[arg(long)]
    pub(crate) off: bool,
    #[command(flatten)]
    pub(crate) lab: KvmLabName,
}

/// How the hosts' systems come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindWord {
    /// A root that can be written, with package databases of its own
    Packages,
    /// A disk with Lifeboat's banks
    Banks,
}

/// What a guest does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GuestWord {
    /// Counts, and sleeps in between
    Tick,
    /// Proves its memory without a pause
    Churn,
    /// Dirties more memory than a slow link can take
    Elastic,
}

/// Where the disk of a guest lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiskWord {
    /// On the lab's NBD server: it migrates as it is
    Nbd,
    /// A file in the shared folder: libvirt calls that unsafe
    Shared,
    /// A file of its host
    Local,
}

/// What to do with the power or the cable of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PowerWord {
    /// Switch it on
    On,
    /// Let it power itself off
    Off,
    /// Pull the power cord
    Cut,
    /// Pull the power cord and plug it in again
    Reset,
    /// Let it reboot
    Reboot,
    /// Pull the network cable
    Unplug,
    /// Plug the network cable in
    Plug,
}
