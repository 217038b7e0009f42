//! The disk of a host while its power is on.
//!
//! Owns: the loop device. Promises: the kernel lets go of the device when the fabric ends, however it ends. Does not:
//! mount anything.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lifeboat_bank::layout::{Layout, read_layout};
use lifeboat_bank::record::{BankRecord, read_record};
use lifeboat_device::BlockFile;
use lifeboat_model::{Bank, chain};

use crate::{LabError, tool};

/// A disk with power.
#[derive(Debug)]
pub(crate) struct PoweredDisk {
    host: String,
    device: PathBuf,
    /// Keeps the device, which was told to go away at the last close.
    held: File,
}

impl PoweredDisk {
    /// Attaches the image at `path` with its partitions.
    pub(crate) fn attach(host: &str, path: &Path) -> Result<Self, LabError> {
        let losetup = tool::needed("losetup")?;
        let mut command = Command::new(&losetup);
        let text = tool::run(
            command.args(["--find", "--partscan", "--show"]).arg(path),
            "attach the disk of a host",
        )?;
        let device = PathBuf::from(text.trim());
        let held = File::open(&device).map_err(LabError::file("open", &device))?;
        let mut command = Command::new(losetup);
        tool::run(command.arg("--detach").arg(&device), "mark the disk of a host to go away")?;
        let this = Self { host: host.to_owned(), device, held };
        this.show_partitions()?;
        Ok(this)
    }

    /// Tells the kernel of the partitions, which it may have been built not to find by itself.
    fn show_partitions(&self) -> Result<(), LabError> {
        let (_, layout) = self.open()?;
        let [a, b] = Bank::BOTH.map(|bank| *layout.volumes(bank));
        for part in [a.boot, a.root, b.boot, b.root, layout.state] {
            let (disk, number) = (self.name(), part.number);
            if Path::new("/sys/class/block").join(format!("{disk}p{number}")).exists() {
                continue;
            }
            let words = [u64::from(number), part.first_lba, part.sectors].map(|number| number.to_string());
            let mut command = Command::new(tool::needed("addpart")?);
            tool::run(command.arg(&self.device).args(words), "show a partition of a host")?;
        }
        Ok(())
    }

    /// The device.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// The name of the device in the kernel.
    pub(crate) fn name(&self) -> String {
        self.device.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The disk for reading, and its layout.
    pub(crate) fn open(&self) -> Result<(BlockFile, Layout), LabError> {
        let failed = |why: String| LabError::Disk { host: self.host.clone(), why };
        let disk = BlockFile::open_read(&self.device).map_err(|error| failed(chain(&error)))?;
        let layout = read_layout(&disk).map_err(|error| failed(chain(&error)))?;
        Ok((disk, layout))
    }

    /// Whether `bank` is on trial by the record on the disk.
    pub(crate) fn on_trial(&self, bank: Bank) -> bool {
        let Ok((disk, layout)) = self.open() else { return false };
        read_record(&disk, &layout).is_ok_and(|read| BankRecord::on_trial(&read.record) == Some(bank))
    }

    /// Lets go of the device, and waits until the kernel did so too: the mounts of a host end a moment after it.
    pub(crate) fn detach(self) {
        let backing = Path::new("/sys/class/block").join(self.name()).join("loop/backing_file");
        let before = fs::read(&backing).ok();
        drop(self.held);
        let begin = Instant::now();
        while before.is_some()
            && fs::read(&backing).ok() == before
            && begin.elapsed() < Duration::from_secs(5)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
