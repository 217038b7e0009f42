//! What of the running system uses a disk.
//!
//! Owns: reading the kernel's own lists: mounts, swap, holders (device mapper, md), loop devices. Promises: a
//! disk is in use if any of its partitions is. Does not: open the disk, and cannot see other mount namespaces;
//! the kernel's claim (`O_EXCL`) covers those when the disk is opened.
//!
//! Source: proc_pid_mountinfo(5), proc_swaps(5), sysfs ABI of block devices.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Folders where the system's lists are read.
#[derive(Debug, Clone)]
pub struct SystemRoots {
    /// Process information.
    pub proc: PathBuf,
    /// Devices.
    pub sys: PathBuf,
}

impl Default for SystemRoots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into() }
    }
}

/// One use of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// A file system on it, or on a partition of it, is mounted.
    Mounted {
        /// Where.
        at: PathBuf,
    },
    /// It, or a partition of it, is swap space.
    Swap {
        /// Name in the kernel's list.
        name: PathBuf,
    },
    /// Another block device is built on it.
    Holder {
        /// Name of that device, for example `dm-0`.
        name: String,
    },
    /// A loop device shows it as a disk.
    Loop {
        /// Name of that device, for example `loop0`.
        name: String,
    },
    /// The kernel refused the claim without saying for whom.
    Kernel,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mounted { at } => write!(f, "mounted at {}", at.display()),
            Self::Swap { name } => write!(f, "swap space ({})", name.display()),
            Self::Holder { name } => write!(f, "device {name} is built on it"),
            Self::Loop { name } => write!(f, "shown as disk {name}"),
            Self::Kernel => f.write_str("the kernel says that something has claimed it"),
        }
    }
}

/// A disk or file, told apart from all others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Block { major: u32, minor: u32 },
    File { device: u64, inode: u64 },
}

fn identity(meta: &Metadata) -> Identity {
    if meta.file_type().is_block_device() {
        Identity::Block { major: rustix::fs::major(meta.rdev()), minor: rustix::fs::minor(meta.rdev()) }
    } else {
        Identity::File { device: meta.dev(), inode: meta.ino() }
    }
}

/// What uses the disk or image file that `meta` describes; empty if nothing does.
pub fn uses_of(meta: &Metadata, roots: &SystemRoots) -> io::Result<Vec<Use>> {
    let whole = 0..u64::MAX;
    uses_within(meta, std::slice::from_ref(&whole), roots)
}

/// As [`uses_of`], but a use of a partition counts only if the partition shares a byte with one of `ranges` (byte
/// positions on the disk). A use of the disk as a whole always counts.
pub fn uses_within(meta: &Metadata, ranges: &[Range<u64>], roots: &SystemRoots) -> io::Result<Vec<Use>> {
    let own = identity(meta);
    let mut parts = BTreeSet::from([own.clone()]);
    let mut uses = Vec::new();
    if let Identity::Block { major, minor } = own {
        let folder = roots.sys.join(format!("dev/block/{major}:{minor}"));
        add_holders(&folder, &mut uses)?;
        for part in partitions(&folder)? {
            if !touches(&part, ranges)? {
                continue;
            }
            add_holders(&part, &mut uses)?;
            parts.extend(read_optional(&part.join("dev"))?.as_deref().and_then(parse_device));
        }
    }
    for mount in parse_mountinfo(&read_optional(&roots.proc.join("self/mountinfo"))?.unwrap_or_default()) {
        // Btrfs shows a device number of its own, so the source is asked, too.
        let source = fs::metadata(&mount.source).ok().map(|meta| identity(&meta));
        let by_number = parts.contains(&mount.device);
        if by_number || source.is_some_and(|source| is_block(&source) && parts.contains(&source)) {
            uses.push(Use::Mounted { at: mount.at });
        }
    }
    for name in parse_swaps(&read_optional(&roots.proc.join("swaps"))?.unwrap_or_default()) {
        if fs::metadata(&name).is_ok_and(|meta| parts.contains(&identity(&meta))) {
            uses.push(Use::Swap { name });
        }
    }
    add_loops(&roots.sys.join("block"), &parts, &mut uses)?;
    Ok(uses)
}

fn is_block(identity: &Identity) -> bool {
    match identity {
        Identity::Block { .. } => true,
        Identity::File { .. } => false,
    }
}

fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn names_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn last_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn add_holders(folder: &Path, uses: &mut Vec<Use>) -> io::Result<()> {
    let holders = names_in(&folder.join("holders"))?;
    uses.extend(holders.iter().map(|path| Use::Holder { name: last_name(path) }));
    Ok(())
}

fn partitions(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(names_in(folder)?.into_iter().filter(|path| path.join("partition").exists()).collect())
}

/// Whether a partition shares a byte with a range; one whose place is not told does.
fn touches(part: &Path, ranges: &[Range<u64>]) -> io::Result<bool> {
    let number = |name: &str| -> io::Result<Option<u64>> {
        let text = read_optional(&part.join(name))?.unwrap_or_default();
        Ok(std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()))
    };
    let (Some(start), Some(sectors)) = (number("start")?, number("size")?) else { return Ok(true) };
    // The kernel counts in 512 bytes whatever the sectors of the device are.
    let (start, end) = (start.saturating_mul(512), start.saturating_add(sectors).saturating_mul(512));
    Ok(ranges.iter().any(|range| range.start < end && start < range.end))
}

fn add_loops(block: &Path, parts: &BTreeSet<Identity>, uses: &mut Vec<Use>) -> io::Result<()> {
    for folder in names_in(block)? {
        let Some(mut backing) = read_optional(&folder.join("loop/backing_file"))? else { continue };
        while backing.last() == Some(&b'\n') {
            backing.pop();
        }
        let backing = PathBuf::from(std::ffi::OsString::from_vec(backing));
        if fs::metadata(backing).is_ok_and(|meta| parts.contains(&identity(&meta))) {
            uses.push(Use::Loop { name: last_name(&folder) });
        }
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    device: Identity,
    at: PathBuf,
    source: PathBuf,
}

fn parse_device(text: &[u8]) -> Option<Identity> {
    let (major, minor) = std::str::from_utf8(text).ok()?.trim().split_once(':')?;
    Some(Identity::Block { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

/// Lines of mountinfo; a line that cannot be read is skipped.
fn parse_mountinfo(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').filter_map(parse_mount).collect()
}

fn parse_mount(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let device = parse_device(fields.nth(2)?)?;
    let at = unescape(fields.nth(1)?);
    // Optional fields end at a lone hyphen; file system type and source follow.
    fields.find(|field| field == b"-")?;
    Some(Mount { device, at, source: unescape(fields.nth(1)?) })
}

/// Names of swap spaces: the first column below the heading.
fn parse_swaps(text: &[u8]) -> Vec<PathBuf> {
    let lines = text.split(|&byte| byte == b'\n').skip(1);
    lines
        .filter_map(|line| line.split(|&b| b == b' ' || b == b'\t').next())
        .filter(|name| !name.is_empty())
        .map(unescape)
        .collect()
}

/// Undoes the kernel's octal escapes: `\040` is a blank.
fn unescape(field: &[u8]) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', digits @ ..] => digits.get(..3).and_then(octal),
            _ => None,
        };
        if let Some(byte) = escaped {
            out.push(byte);
            rest = rest.get(4..).unwrap_or_default();
        } else {
            out.push(first);
            rest = tail;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

fn octal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    if text.starts_with('+') { None } else { u8::from_str_radix(text, 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_with_blanks_is_read_and_the_optional_fields_are_skipped() {
        let text = b"36 35 8:2 / /mnt/a\\040b rw,noatime shared:1 master:2 - ext4 /dev/sda2 rw\nrubbish\n";
        let mounts = parse_mountinfo(text);
        let device = Identity::Block { major: 8, minor: 2 };
        assert_eq!(mounts, vec![Mount { device, at: "/mnt/a b".into(), source: "/dev/sda2".into() }]);
    }

    #[test]
    fn swap_spaces_are_the_first_column_below_the_heading() {
        let text = b"Filename\t\tType\t\tSize\n/dev/sda3   partition 1 0 -2\n/swap\\040file\tfile 1 0 -3\n";
        assert_eq!(parse_swaps(text), vec![PathBuf::from("/dev/sda3"), PathBuf::from("/swap file")]);
    }
}
