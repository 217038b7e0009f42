//! `lifeboat pool …`

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use lifeboat_hypervisor::sim::{Condition, Fault};
use lifeboat_model::{FeatureKind, HostId, PoolName};

/// Verbs of pools.
#[derive(Debug, Subcommand)]
pub(crate) enum PoolCmd {
    /// List the pools that this installation knows
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  lifeboat pool list
  lifeboat pool list -o name"
    )]
    List,
    /// Show hosts, banks, guests and features of a pool
    #[command(after_help = "\
Examples:
  lifeboat pool show prod
  lifeboat pool show prod -v             with every guest
  lifeboat pool show prod -o json")]
    Show {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
    },
    /// Make a simulated pool: real disk images, modelled firmware, no machines
    #[command(after_help = "\
Examples:
  lifeboat pool create-sim play
  lifeboat pool create-sim play --hosts 8 --guests 60 --release r1.lfb --trust maker.key.pub
  lifeboat pool create-sim play --condition ghost:h02:B --condition media:g07:debian.iso")]
    CreateSim(CreateSimArgs),
    /// Add a pool of hosts with KVM or QEMU and libvirt
    #[command(after_help = "\
The address is the one of `virsh -c`: qemu+ssh://root@h1/system, qemu+tls://h1/system, qemu+tcp://h1/system,
qemu:///system. Hosts reach one another by it too when guests move; say so where that is another one:
  --host h1=qemu+ssh://root@h1/system,peer=qemu+tls://h1/system,memory=96G,rack=r1

Examples:
  lifeboat pool add-kvm prod --host h1=qemu+tls://h1/system --host h2=qemu+tls://h2/system
  lifeboat pool add-kvm prod --host h1=qemu+ssh://root@h1/system --no-controller      only to look and to check
The settings lie in kvm.toml in the pool's directory; how guests are moved is set there.")]
    AddKvm(AddKvmArgs),
    /// Let faults and conditions be so in a simulated pool, also while a roll runs
    #[command(after_help = "\
Faults: no-boot:HOST, migration-fails:GUEST[:TIMES], never-returns:HOST, coordinator-lost[:forever],
disk-error:HOST:BYTE, never-ends:HOST:STEP, nothing-installed:HOST, slow:HOST:FACTOR

Conditions of hosts: pending-reboot:HOST:REASON, clock:HOST:OFFSET_MS, space:HOST:PLACE:BYTES,
foreign-file:HOST:BANK:PATH, ghost:HOST:BANK, damage:HOST:BANK:WORDS, loader:HOST:BANK:VERSION,
offers:HOST:CAPABILITY, gains:HOST:CAPABILITY, drops:HOST:CAPABILITY, network-down:HOST:NET,
no-network:HOST:NET, storage-paths:HOST:NAME:ALIVE/PATHS, unreachable:HOST, maintenance:HOST,
runs-newer:HOST
Of guests: media:GUEST:IMAGE, device:GUEST:NAME, local-disk:GUEST:NAME, auto-start:GUEST,
fault-tolerant:GUEST, needs:GUEST:CAPABILITY
Of the pool: task:backup|guest|host|roll:WORDS, admission:HOSTS

Examples:
  lifeboat pool sim-set play ghost:h02:B media:g07:debian.iso
  lifeboat pool sim-set play migration-fails:g03:2
  lifeboat pool sim-set play --release 2.0.lfb runs-newer:h03")]
    SimSet {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
        /// A fault or a condition
        #[arg(value_name = "CONDITION", required = true)]
        words: Vec<SimWord>,
        /// Offer this release to the hosts before
        #[arg(long, value_name = "BUNDLE")]
        release: Option<PathBuf>,
    },
    /// End faults and conditions of a simulated pool
    #[command(after_help = "\
Examples:
  lifeboat pool sim-clear play ghost:h02:B
  lifeboat pool sim-clear play --all")]
    SimClear {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
        /// A fault or a condition, as `pool show` lists it
        #[arg(value_name = "CONDITION", required_unless_present = "all")]
        words: Vec<SimWord>,
        /// All of them
        #[arg(long, conflicts_with = "words")]
        all: bool,
    },
    /// Change a feature of a simulated pool, as a person would, also while a roll runs
    #[command(after_help = "\
Examples:
  lifeboat pool sim-feature play ha-admission-control off
  lifeboat pool sim-feature play power-management automatic")]
    SimFeature {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
        /// Which feature
        #[arg(value_name = "FEATURE", value_parser = feature)]
        feature: FeatureKind,
        /// Its new value; `off` switches it off
        #[arg(value_name = "VALUE")]
        value: String,
    },
    /// Press the reset button of a simulated host, also while a roll runs
    #[command(after_help = "\
Examples:
  lifeboat pool sim-reset play h03")]
    SimReset {
        /// Name of the pool, or the beginning of one
        #[arg(value_name = "POOL")]
        pool: String,
        /// The host
        #[arg(value_name = "HOST")]
        host: HostId,
    },
}

/// A fault or a condition of a simulated pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SimWord {
    /// Something goes wrong.
    Fault(Fault),
    /// Something is so.
    Condition(Condition),
}

impl FromStr for SimWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if Fault::is_meant(text) {
            text.parse().map(Self::Fault).map_err(|error| error.to_string())
        } else {
            text.parse().map(Self::Condition).map_err(|error| error.to_string())
        }
    }
}

const FEATURES: [FeatureKind; 7] = [
    FeatureKind::Ha,
    FeatureKind::HaAdmissionControl,
    FeatureKind::PowerManagement,
    FeatureKind::LoadBalancer,
    FeatureKind::FaultTolerance,
    FeatureKind::BackupSchedules,
    FeatureKind::AutoPowerOn,
];

fn feature(word: &str) -> Result<FeatureKind, String> {
    FEATURES.into_iter().find(|kind| kind.word() == word).ok_or_else(|| {
        let words: Vec<&str> = FEATURES.iter().map(|kind| kind.word()).collect();
        format!("features are {}", words.join(", "))
    })
}

/// A simulated pool.
#[derive(Debug, Args)]
pub(crate) struct CreateSimArgs {
    /// Name of the new pool
    #[arg(value_name = "NAME")]
    pub(crate) name: PoolName,
    /// Number of hosts
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) hosts: u32,
    /// Number of guests
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) guests: u32,
    /// The release that the hosts run at first [default: a key and three releases are made to play with]
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) release: Option<PathBuf>,
    /// Public key of a maker that is trusted, with --release; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) trust: Vec<PathBuf>,
    /// Directory of the pool's files [default: in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Number from which the sizes of guests are drawn
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// So many times as fast as real time; 0: without waiting
    #[arg(long, default_value_t = 60)]
    pub(crate) speed: u32,
    /// A fault or a condition that is so from the beginning, as for sim-set; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(crate) condition: Vec<SimWord>,
    /// A host that runs a newer release than the coordinator finds no network
    #[arg(long)]
    pub(crate) members_follow: bool,
}

/// A pool of libvirt hosts.
#[derive(Debug, Args)]
pub(crate) struct AddKvmArgs {
    /// Name of the new pool
    #[arg(value_name = "NAME")]
    pub(crate) name: PoolName,
    /// A host: NAME=ADDRESS, and what else is to be said of it; may be repeated
    #[arg(
        long = "host",
        value_name = "NAME=ADDRESS[,peer=ADDRESS][,migrate=ADDRESS][,memory=SIZE][,rack=WORD]",
        required = true
    )]
    pub(crate) hosts: Vec<String>,
    /// Control socket of the controller that the hosts' agents dial
    #[arg(long, value_name = "SOCKET", default_value = "/run/lifeboat/lifeboatd.sock")]
    pub(crate) controller: PathBuf,
    /// No agents: hosts can be looked at and checked, not upgraded
    #[arg(long, conflicts_with = "controller")]
    pub(crate) no_controller: bool,
    /// A folder that is the same on every host; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) shared_folder: Vec<String>,
    /// Shared folders are trusted although libvirt cannot tell that they are coherent
    #[arg(long)]
    pub(crate) trust_shared_folders: bool,
    /// Disks that only one host has are copied with their guest
    #[arg(long)]
    pub(crate) copy_local_disks: bool,
    /// Most that one migration may send
    #[arg(long, value_name = "MIB/S")]
    pub(crate) bandwidth: Option<u64>,
}
