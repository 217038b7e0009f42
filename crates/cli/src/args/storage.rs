//! `lifeboat storage …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Verbs of storage.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageCmd {
    /// Adapters, targets, LUNs and paths of a host in one table, and what is odd about them
    #[command(after_help = "\
Examples:
  lifeboat storage topology                                 this machine, one line per LUN
  lifeboat storage topology --paths                         one line per path
  lifeboat storage topology --tree                          from adapters down to mount points
  lifeboat storage topology --root /mnt/dump                the files of another machine
  lifeboat storage topology --from mpath.txt                a saved output of multipath -ll, esxcfg-mpath -l, virsh nodedev-dumpxml…
  lifeboat storage topology --root / --from mpath.txt       this machine, with policies and checker states from the output
  lifeboat storage topology --lun naa.600508b1001c4d2e      one LUN, by any of its names
Files of --from: a folder with sys/ in it, a probe of an installer (JSON), node devices (XML), outputs of multipath -ll, lsscsi,
iscsiadm -m session, sg_vpd, /proc/scsi/scsi, esxcfg-mpath, esxcfg-scsidevs, esxcli storage.")]
    Topology(TopologyArgs),
    /// The device that a name means, and every other name of it
    #[command(after_help = "\
Examples:
  lifeboat storage resolve /dev/disk/by-id/cciss-3600508b1001c4d2e600508b1001c4d2e-part1
  lifeboat storage resolve scsi-3600508b1001c4d2e600508b1001c4d2ep1       the same partition, as others write it
  lifeboat storage resolve UUID=70115965-56dd-4de3-bdb2-8ecdb9a5c715
  lifeboat storage resolve sda1 --root /mnt/dump
A name that fits two devices is refused, never guessed.")]
    Resolve(ResolveNameArgs),
}

/// Where the storage is looked at.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Root of the files of a Linux host [default: / unless --from is given]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// A saved file or dump of the same host; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
}

/// Looking at storage.
#[derive(Debug, Args)]
pub(crate) struct TopologyArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// As a tree, down to partitions, volumes and mount points
    #[arg(long, conflicts_with_all = ["table", "paths"])]
    pub(crate) tree: bool,
    /// As a table; so it is without --tree too
    #[arg(long)]
    pub(crate) table: bool,
    /// One line per path
    #[arg(long)]
    pub(crate) paths: bool,
    /// Only this LUN, by its identity or any name
    #[arg(long, value_name = "ID")]
    pub(crate) lun: Option<String>,
}

/// Resolving a name.
#[derive(Debug, Args)]
pub(crate) struct ResolveNameArgs {
    /// The name: a path under /dev, UUID=…, a WWID, naa.…, H:C:T:L, an identity
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}
