//! Which disk and which partition, on a running Linux.
//!
//! Owns: the search through `/sys/class/block`. Promises: a partition is found by its GUID or its name in the table
//! of its own disk, read by our own code; two that fit are an error. Does not: mount or write.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use lifeboat_bank::gpt::{GptEntry, read_table};
use lifeboat_bank::guid::Guid;
use lifeboat_model::io::ReadAt;
use thiserror::Error;

/// Why a partition could not be found.
#[derive(Debug, Error)]
pub enum DiskError {
    /// The kernel's list of disks cannot be read.
    #[error("reading the list of disks {}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// No partition fits.
    #[error("no partition {wanted} on the disks {disks}")]
    NotFound {
        /// What was looked for.
        wanted: String,
        /// Where, and what kept a disk from being read.
        disks: String,
    },
    /// More than one fits.
    #[error("partition {wanted} is there more than once: {found}")]
    Ambiguous {
        /// What was looked for.
        wanted: String,
        /// Where it was found.
        found: String,
    },
}

/// A partition and the disk that it lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Device of the disk.
    pub disk: PathBuf,
    /// Device of the partition.
    pub partition: PathBuf,
}

/// The partition with the identity `guid`.
pub fn find_root(sys: &Path, dev: &Path, guid: Guid) -> Result<Found, DiskError> {
    search(sys, dev, &format!("with GUID {guid}"), |entry| entry.guid == guid)
}

/// The partition with the name `name`.
pub fn find_partition(sys: &Path, dev: &Path, name: &str) -> Result<Found, DiskError> {
    search(sys, dev, &format!("{name:?}"), |entry| entry.name == name)
}

fn search(
    sys: &Path,
    dev: &Path,
    wanted: &str,
    fits: impl Fn(&GptEntry) -> bool,
) -> Result<Found, DiskError> {
    let class = sys.join("class/block");
    let list = |source| DiskError::List { path: class.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&class).map_err(list)? {
        let name = entry.map_err(list)?.file_name().to_string_lossy().into_owned();
        if !class.join(&name).join("partition").exists() {
            names.push(name);
        }
    }
    names.sort();
    let mut found = Vec::new();
    let mut told = Vec::new();
    for name in names {
        let path = dev.join(&name);
        let table = File::open(&path).and_then(DiskFile::new).map_err(|error| error.to_string());
        match table.and_then(|disk| read_table(&disk).map_err(|error| error.to_string())) {
            Ok(read) => {
                told.push(name.clone());
                for entry in read.table.entries.iter().filter(|entry| fits(entry)) {
                    let partition = partition_name(&class, &name, entry.number)
                        .unwrap_or_else(|| by_rule(&name, entry.number));
                    found.push(Found { disk: path.clone(), partition: dev.join(partition) });
                }
            }
            Err(error) => told.push(format!("{name} ({error})")),
        }
    }
    let wanted = wanted.to_owned();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(DiskError::NotFound { wanted, disks: told.join(", ") }),
        many => {
            let found =
                many.iter().map(|one| one.partition.display().to_string()).collect::<Vec<_>>().join(", ");
            Err(DiskError::Ambiguous { wanted, found })
        }
    }
}

/// Name of a partition as the kernel gives it: the folder below the disk's own that has this number.
fn partition_name(class: &Path, disk: &str, number: u32) -> Option<String> {
    fs::read_dir(class.join(disk)).ok()?.flatten().find_map(|entry| {
        let text = fs::read_to_string(entry.path().join("partition")).ok()?;
        (text.trim() == number.to_string()).then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

/// The kernel's rule, for a partition that it does not show (yet): `vda` → `vda2`, `nvme0n1` → `nvme0n1p2`.
fn by_rule(disk: &str, number: u32) -> String {
    let p = if disk.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
    format!("{disk}{p}{number}")
}

/// A disk that is only read. Its size is asked by seeking, which works for devices and files.
struct DiskFile {
    file: File,
    size: u64,
}

impl DiskFile {
    fn new(mut file: File) -> io::Result<Self> {
        let size = io::Seek::seek(&mut file, io::SeekFrom::End(0))?;
        Ok(Self { file, size })
    }
}

impl ReadAt for DiskFile {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};

    use super::*;

    #[test]
    fn a_partition_is_found_by_the_table_of_its_disk_and_a_twin_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (sys, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        let mib = 1 << 20;
        let geometry = Geometry { boot: 4 * mib, root: 2 * mib, state: mib };
        let mut disk = vec![0_u8; usize::try_from(geometry.disk_bytes()).unwrap()];
        let guids = LayoutGuids::from_random(&std::array::from_fn(|at| u8::try_from(at).unwrap()));
        create_layout(&mut disk, &geometry, &guids).unwrap();
        fs::create_dir_all(&dev).unwrap();
        fs::create_dir_all(sys.join("class/block/vda/vda5")).unwrap();
        fs::create_dir_all(sys.join("class/block/sr0")).unwrap();
        fs::write(sys.join("class/block/vda/vda5/partition"), "5\n").unwrap();
        fs::write(dev.join("vda"), &disk).unwrap();
        let root = find_root(&sys, &dev, guids.partitions[3]).unwrap();
        assert_eq!(root, Found { disk: dev.join("vda"), partition: dev.join("vda4") });
        assert_eq!(find_partition(&sys, &dev, "lifeboat-state").unwrap().partition, dev.join("vda5"));
        assert!(find_partition(&sys, &dev, "lifeboat-C-root").unwrap_err().to_string().contains("vda"));
        fs::create_dir_all(sys.join("class/block/vdb")).unwrap();
        fs::write(dev.join("vdb"), &disk).unwrap();
        assert!(matches!(find_root(&sys, &dev, guids.partitions[3]), Err(DiskError::Ambiguous { .. })));
    }
}
