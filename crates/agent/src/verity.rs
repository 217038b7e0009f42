//! The root under dm-verity: mapping it before it is mounted, and watching it afterwards.
//!
//! Owns: the device `lifeboat-root`, the decision whether a damaged block restarts the machine, reading the whole root
//! through it. Promises: a bank on trial restarts at its first damaged block and so falls back; a bank in use never
//! restarts by itself, the damage is told; the hash tree is the one of the kernel line, which the release's signature
//! vouched for when it was installed. Does not: mount, or mend a bank.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use lifeboat_bank::layout::read_layout;
use lifeboat_bank::record::read_record;
use lifeboat_bank::verity::BLOCK;
use lifeboat_device::{BlockFile, DeviceMapper, MapError};
use lifeboat_model::{Bank, BankState};
use thiserror::Error;

use crate::{DiskError, Found, KernelLine, KernelLineError, Paths, find_root};

/// Name of the mapped root.
pub const MAPPED_ROOT: &str = "lifeboat-root";

/// Bytes read at once.
const PIECE: usize = 1 << 20;
/// Damaged blocks that are named; reading goes no further.
const NAMED: usize = 16;

/// Why the root was not mapped.
#[derive(Debug, Error)]
pub enum RootError {
    /// The kernel line could not be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel line is not that of a bank.
    #[error("the kernel line names no root that can be mapped")]
    KernelLine {
        /// The cause.
        #[source]
        source: KernelLineError,
    },
    /// The partition was not found.
    #[error("the partition of the root was not found")]
    Find {
        /// The cause.
        #[source]
        source: DiskError,
    },
    /// The kernel refused it.
    #[error("mapping the root through its hash tree")]
    Map {
        /// The cause.
        #[source]
        source: MapError,
    },
}

/// The device to be mounted as root: the partition that the kernel line names, or the device that checks it by its hash
/// tree if the line has one. Called once, by the initial RAM file system.
pub fn map_root(paths: &Paths) -> Result<PathBuf, RootError> {
    let path = paths.proc.join("cmdline");
    let text = fs::read_to_string(&path).map_err(|source| RootError::Read { path, source })?;
    let line = KernelLine::parse(&text).map_err(|source| RootError::KernelLine { source })?;
    let found = find_root(&paths.sys, &paths.dev, line.root).map_err(|source| RootError::Find { source })?;
    let Some(verity) = &line.verity else { return Ok(found.partition) };
    let restart = is_on_trial(&found, line.bank);
    let map = |source| RootError::Map { source };
    let mapper = DeviceMapper::open(&paths.dev.join("mapper/control")).map_err(map)?;
    let target = verity.target(&found.partition.display().to_string(), restart);
    let uuid = format!("LIFEBOAT-{}", line.root);
    let mapped =
        mapper.create_read_only(MAPPED_ROOT, &uuid, verity.sectors(), "verity", &target).map_err(map)?;
    Ok(paths.dev.join(format!("dm-{}", mapped.minor)))
}

/// Whether the bank that boots is not proven yet. A record that cannot be read proves nothing, and a machine that
/// restarts for ever helps nobody: then a damaged block is an error of reading, which a trial does not pass either.
fn is_on_trial(found: &Found, bank: Bank) -> bool {
    let Ok(disk) = BlockFile::open_read(&found.disk) else { return false };
    let Ok(layout) = read_layout(&disk) else { return false };
    read_record(&disk, &layout)
        .is_ok_and(|read| matches!(read.record.bank(bank).state, BankState::Trying | BankState::Upgraded))
}

/// What the kernel says of the mapped root: `None` if there is none, else whether it met a damaged block.
pub fn met_damage(paths: &Paths) -> Option<bool> {
    let mapper = DeviceMapper::open(&paths.dev.join("mapper/control")).ok()?;
    let status = mapper.status(MAPPED_ROOT).ok()??;
    Some(status.starts_with('C'))
}

/// The device of the mapped root, by the kernel's list.
pub fn mapped_root(paths: &Paths) -> Option<PathBuf> {
    let class = paths.sys.join("class/block");
    let names = fs::read_dir(&class).ok()?.filter_map(|entry| Some(entry.ok()?.file_name()));
    let ours = |name: &std::ffi::OsString| {
        let path = class.join(name).join("dm/name");
        fs::read_to_string(path).is_ok_and(|text| text.trim() == MAPPED_ROOT)
    };
    names.into_iter().find(ours).map(|name| paths.dev.join(name))
}

/// Reads a device to its end, through whatever checks it, and names the blocks of 4096 bytes that cannot be read, at
/// most 16. `alive` is called between two pieces with the bytes read.
pub fn read_through(device: &Path, alive: &mut dyn FnMut(u64)) -> io::Result<Vec<u64>> {
    let mut file = File::open(device)?;
    let size = file.seek(SeekFrom::End(0))?;
    let mut piece = vec![0_u8; PIECE];
    let mut bad = Vec::new();
    let mut at = 0;
    while at < size && bad.len() < NAMED {
        let len = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..len).unwrap_or_default();
        if file.read_exact_at(part, at).is_err() {
            bad.extend(bad_blocks(&file, at, len));
        }
        at += len as u64;
        alive(at);
    }
    bad.truncate(NAMED);
    Ok(bad)
}

/// The blocks of a piece that cannot be read one by one.
fn bad_blocks(file: &File, at: u64, len: usize) -> Vec<u64> {
    let mut block = [0_u8; 4096];
    let count = (len as u64).div_ceil(BLOCK);
    (at / BLOCK..at / BLOCK + count)
        .filter(|number| {
            let from = number * BLOCK;
            let rest = usize::try_from(at + len as u64 - from).unwrap_or(4096).min(4096);
            file.read_exact_at(block.get_mut(..rest).unwrap_or_default(), from).is_err()
        })
        .collect()
}

/// A sentence about damaged blocks, for the notes of a host.
pub fn damage_words(bank: Bank, blocks: &[u64]) -> String {
    let list: Vec<String> = blocks.iter().map(u64::to_string).collect();
    let more = if blocks.len() >= NAMED { " and perhaps more" } else { "" };
    format!(
        "the root of bank {bank} is damaged: blocks {}{more} do not fit its hash tree and cannot be read; the host runs \
         on as far as it can: move its guests away, then rebuild the bank from the other one or install a release",
        list.join(", ")
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_root_that_can_be_read_has_no_bad_blocks_and_its_reader_is_told_of_each_piece() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root");
        fs::write(&path, vec![1_u8; PIECE * 2 + 77]).unwrap();
        let mut told = Vec::new();
        assert_eq!(read_through(&path, &mut |at| told.push(at)).unwrap(), Vec::<u64>::new());
        assert_eq!(told.len(), 3);
        assert!(read_through(&folder.path().join("none"), &mut |_| ()).is_err());
    }

    #[test]
    fn a_line_without_a_tree_names_the_partition_itself_and_a_lost_device_mapper_is_told() {
        let paths = Paths { proc: "/nonexistent".into(), dev: "/nonexistent".into(), ..Paths::default() };
        assert!(matches!(map_root(&paths), Err(RootError::Read { .. })));
        assert_eq!(met_damage(&paths), None);
    }
}
