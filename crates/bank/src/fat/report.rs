//! What an examination of a volume says.
//!
//! Owns: the words of a report. Promises: every kind of finding has a stable word; forms only grow. Does not: look at
//! anything.

use std::fmt;

use serde::Serialize;

/// The three kinds of FAT, told apart by the number of clusters alone (Microsoft FAT specification 1.03, "FAT Type
/// Determination").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FatKind {
    /// 12 bits to an entry, up to 4,084 clusters.
    Fat12,
    /// 16 bits to an entry, 4,085 to 65,524 clusters.
    Fat16,
    /// 28 bits to an entry of 32, more clusters.
    Fat32,
}

impl fmt::Display for FatKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        })
    }
}

/// Which of the two allocation tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FatCopy {
    /// FAT 1: the one that loaders and drivers read.
    First,
    /// FAT 2: its mirror.
    Second,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FatSeverity {
    /// No damage: a dirty bit, labels that differ, a counter that is only a hint.
    Innocent,
    /// A structure is wrong. What the report calls whole can still be read; nothing should be written by a driver.
    Damage,
    /// Nothing, or not enough, of the volume can be read.
    Unreadable,
}

/// A local time as FAT keeps it, to two seconds. Valid by construction when it comes from a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FatTime {
    /// 1980 to 2107.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 58, even.
    pub second: u8,
}

impl FatTime {
    /// 1 January 1980, 0:00: the first moment that FAT knows.
    pub const FIRST: Self = Self { year: 1980, month: 1, day: 1, hour: 0, minute: 0, second: 0 };

    /// From the two fields of a directory entry; none when they hold no date (which is no damage: many writers leave
    /// zeros).
    pub(super) fn from_fields(date: u16, time: u16) -> Option<Self> {
        let byte = |value: u16, mask: u16| u8::try_from(value & mask).unwrap_or(0);
        let out = Self {
            year: 1980 + (date >> 9),
            month: byte(date >> 5, 15),
            day: byte(date, 31),
            hour: byte(time >> 11, 31),
            minute: byte(time >> 5, 63),
            second: byte(time, 31) * 2,
        };
        out.is_valid().then_some(out)
    }

    /// The fields (date, time) of a directory entry; an impossible time becomes the first one.
    pub(super) fn to_fields(self) -> (u16, u16) {
        let time = if self.is_valid() { self } else { Self::FIRST };
        let date = (time.year - 1980) << 9 | u16::from(time.month) << 5 | u16::from(time.day);
        let clock = u16::from(time.hour) << 11 | u16::from(time.minute) << 5 | u16::from(time.second / 2);
        (date, clock)
    }

    fn is_valid(self) -> bool {
        (1980..=2107).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=31).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $word:literal,)+) => {
        /// The kinds of findings. The word of each is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FatCode {
            $($(#[$doc])+ $name,)+
        }

        impl FatCode {
            /// All kinds, in the order of a report's documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word for programs, for example `fat-chain-loop`.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

codes! {
    /// The disk gave an error.
    Io = "fat-io",
    /// The boot sector is all zeros.
    BootZero = "fat-boot-zero",
    /// A field of the boot sector is impossible: nothing behind it can be found.
    BootField = "fat-boot-field",
    /// The boot sector does not end with 55 AA.
    BootSignature = "fat-boot-signature",
    /// A field is possible, but the rest of the volume contradicts it: what lies where is in doubt.
    BootDoubt = "fat-boot-doubt",
    /// The volume claims more sectors than its partition has.
    TooLarge = "fat-too-large",
    /// The volume uses much less than its partition has.
    Tail = "fat-unused-tail",
    /// The disk or image ends before the volume does.
    ImageCut = "fat-image-cut",
    /// The volume is beyond the limits of this examination.
    Limit = "fat-limit",
    /// The media byte is none of the defined ones.
    Media = "fat-media",
    /// The backup boot sector of FAT32 differs.
    BackupBoot = "fat-backup-boot",
    /// FSInfo of FAT32 is wrong.
    FsInfo = "fat-fsinfo",
    /// Dirty bit in the boot sector.
    DirtyBoot = "fat-dirty-boot",
    /// "Not shut down cleanly" in entry 1 of the FAT.
    DirtyTable = "fat-dirty-table",
    /// "A disk error was met" in entry 1 of the FAT.
    DiskErrorBit = "fat-disk-error-bit",
    /// There is one FAT only, or more than two.
    Copies = "fat-copies",
    /// The two FATs differ.
    CopiesDiffer = "fat-copies-differ",
    /// Entries 0 and 1 of a FAT are not what they have to be.
    Reserved = "fat-reserved-entries",
    /// Clusters are marked as bad.
    BadClusters = "fat-bad-clusters",
    /// A chain comes back to itself.
    ChainLoop = "fat-chain-loop",
    /// A chain leads to a cluster that the volume does not have.
    ChainRange = "fat-chain-range",
    /// A chain leads to a free cluster.
    ChainFree = "fat-chain-free",
    /// A chain leads into a cluster that is marked as bad.
    ChainBad = "fat-chain-bad",
    /// A chain ends before the file does.
    ChainShort = "fat-chain-short",
    /// A chain is longer than its file.
    ChainLong = "fat-chain-long",
    /// The first cluster is none that the volume has.
    StartRange = "fat-start-range",
    /// The first cluster is free, or marked as bad.
    StartFree = "fat-start-free",
    /// A file has a size and no cluster.
    StartZero = "fat-start-zero",
    /// A file has no size and a cluster.
    EmptyWithCluster = "fat-empty-with-cluster",
    /// A file's size is larger than the volume.
    SizeAbsurd = "fat-size-absurd",
    /// Two owners of one cluster.
    CrossLink = "fat-cross-link",
    /// Clusters in use that belong to nobody.
    Lost = "fat-lost",
    /// An entry is neither file nor directory.
    Neither = "fat-entry-neither",
    /// A directory starts at a free or bad cluster, or at none that exists: a ghost.
    DirGhost = "fat-dir-ghost",
    /// A directory starts at cluster 0, which is the root.
    DirRoot = "fat-dir-root",
    /// A directory lies inside itself, or two directories are one.
    DirTwice = "fat-dir-twice",
    /// A directory has a size.
    DirSize = "fat-dir-size",
    /// A directory's cluster does not hold a directory.
    DirGarbage = "fat-dir-garbage",
    /// `.` or `..` of a directory is missing or names another cluster.
    Dots = "fat-dots",
    /// A directory is deeper than allowed.
    DirDeep = "fat-dir-deep",
    /// A directory is longer than allowed.
    DirLong = "fat-dir-long",
    /// A name has characters that no name may have.
    BadName = "fat-name-bad",
    /// Two entries of a directory have the same name.
    DuplicateName = "fat-name-duplicate",
    /// Parts of a long name without the entry that they belong to.
    LongOrphan = "fat-long-orphan",
    /// A long name that belongs to another short name, or whose parts do not go together.
    LongMismatch = "fat-long-mismatch",
    /// Entries behind the end of a directory.
    AfterEnd = "fat-entries-after-end",
    /// The labels in boot sector and root differ.
    LabelDiffers = "fat-label-differs",
    /// More than one label in the root.
    LabelTwice = "fat-label-twice",
    /// More findings of a kind than are listed.
    More = "fat-more",
}

impl Serialize for FatCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl fmt::Display for FatCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FatFinding {
    /// What kind.
    pub code: FatCode,
    /// How bad.
    pub severity: FatSeverity,
    /// The [`FatNode::path`] it is about; none when it is about the volume.
    pub path: Option<String>,
    /// What, where, and what follows for reading or writing the volume.
    pub text: String,
}

/// A file, a directory, or an entry that is neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FatNode {
    /// Unique path from the root, parts divided by `/`, without a leading one: the long name if it is good, else the
    /// 8.3 name. Bytes that are not printable stand as `\xNN`; the second owner of a name has `#2` behind it.
    pub path: String,
    /// The 8.3 name, for example `BOOT.CFG`.
    pub short: String,
    /// The same as its 11 bytes on the disk.
    #[serde(skip)]
    pub short_bytes: [u8; 11],
    /// Whether the entry says that it is a directory.
    pub is_dir: bool,
    /// Neither file nor directory, or a directory without a cluster of its own: a driver cannot delete it.
    pub ghost: bool,
    /// Size that the entry states, in bytes; of a directory too, where it has to be 0.
    pub len: u64,
    /// First cluster that the entry states; 0 is none.
    pub cluster: u32,
    /// Its chain fits its size, is shared with nobody, and nothing casts doubt on the tables it was read by. That
    /// the content is right can only be told by a checksum.
    pub whole: bool,
    /// When it was written last, in the writer's local time.
    pub modified: Option<FatTime>,
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FatReport {
    /// None when the boot sector is unusable; the rest is empty then.
    pub kind: Option<FatKind>,
    /// Who made the volume, as the boot sector has it.
    pub oem: String,
    /// Label in the root directory, or else in the boot sector.
    pub label: Option<String>,
    /// Serial number of the volume.
    pub serial: u32,
    /// Bytes to a sector.
    pub sector_bytes: u32,
    /// Bytes to a cluster.
    pub cluster_bytes: u32,
    /// Number of clusters.
    pub clusters: u32,
    /// Free clusters by FAT 1.
    pub free_clusters: u32,
    /// Sectors before the first FAT. A bank of ESXi has 2 or more, since its identity is in the second.
    pub reserved_sectors: u16,
    /// Entries of the fixed root directory; 0 on FAT32.
    pub root_entries: u16,
    /// Everything that was seen, in the order in which it is met: boot sector, tables, entries, lost clusters.
    pub findings: Vec<FatFinding>,
    /// Everything that has a name, depth first.
    pub nodes: Vec<FatNode>,
    /// Which FAT to believe.
    pub saner: FatCopy,
}

impl FatReport {
    /// The worst severity; none when nothing was found.
    #[must_use]
    pub fn worst(&self) -> Option<FatSeverity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether no structure is damaged; dirty bits and labels that differ do not count.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.worst().is_none_or(|worst| worst == FatSeverity::Innocent)
    }

    /// Whether there is a finding of this kind.
    #[must_use]
    pub fn has(&self, code: FatCode) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// Bytes in free clusters.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        u64::from(self.free_clusters) * u64::from(self.cluster_bytes)
    }

    /// The file or directory at this path; case does not matter.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<&FatNode> {
        self.nodes.iter().find(|node| node.path.eq_ignore_ascii_case(path))
    }
}
