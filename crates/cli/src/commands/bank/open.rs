//! Opening a disk for a command: what it holds, what runs from it, which bank is in use and how that is known.

use std::path::Path;

use lifeboat_bank::disk::{BankDisk, DiskReport};
use lifeboat_bank::esx::find_banks;
use lifeboat_bank::guid::Guid;
use lifeboat_bank::layout::{Layout, Partition};
use lifeboat_bank::record::BankRecord;
use lifeboat_device::{BlockFile, Force, SystemRoots, uses_of};
use lifeboat_model::io::{ReadAt, WriteAt};
use lifeboat_model::{Bank, BankState};

use super::errors::{device_error, disk_error};
use super::firmware::Next;
use crate::error::{CliError, Kind};

/// A disk with what it held when it was opened.
#[derive(Debug)]
pub(super) struct Disk {
    file: BlockFile,
    layout: Layout,
    record: BankRecord,
    report: DiskReport,
}

impl Disk {
    fn of(path: &Path, file: BlockFile) -> Result<Self, CliError> {
        let disk = BankDisk::open(&file).map_err(|cause| match find_banks(&file) {
            Ok(_) => CliError::usage(format!(
                "{} has banks of an ESXi host, not of a Lifeboat host",
                path.display()
            ))
            .remedy(
                "a bank of those is chosen by: lifeboat bank set-next DISK BANK; mended by: lifeboat bank rebuild; look with: lifeboat bank check",
            ),
            Err(_) => disk_error(path, cause),
        })?;
        let (layout, record, report) = (disk.layout().clone(), disk.record().clone(), disk.report());
        Ok(Self { file, layout, record, report })
    }

    /// The device.
    pub(super) fn disk(&self) -> &BlockFile {
        &self.file
    }

    /// Its partitions.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What was known of its banks.
    pub(super) fn record(&self) -> &BankRecord {
        &self.record
    }

    /// Both banks by identity.
    pub(super) fn report(&self) -> &DiskReport {
        &self.report
    }

    /// Device and partitions, for the operations of the core.
    pub(super) fn parts(&mut self) -> (&mut BlockFile, &Layout) {
        (&mut self.file, &self.layout)
    }
}

/// Opens a disk for looking.
pub(super) fn read(path: &Path) -> Result<Disk, CliError> {
    Disk::of(path, BlockFile::open_read(path).map_err(device_error)?)
}

/// Opens a disk for writing.
pub(super) fn write(path: &Path, force: bool) -> Result<Disk, CliError> {
    let force = if force { Force::Yes } else { Force::No };
    Disk::of(path, BlockFile::open_write(path, force).map_err(device_error)?)
}

/// The bank whose root the running kernel was given, if that root is on this disk.
pub(super) fn running_bank(layout: &Layout) -> Option<Bank> {
    let line = std::fs::read_to_string("/proc/cmdline").ok()?;
    running_by(&line, layout)
}

fn running_by(line: &str, layout: &Layout) -> Option<Bank> {
    let word = |key: &str| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(key));
    let root: Guid = word("root=PARTUUID=")?.parse().ok()?;
    let bank = layout.bank_of(root)?;
    // Both must agree: the id alone could be that of another disk's bank.
    (word("lifeboat.bank=")? == bank.to_string()).then_some(bank)
}

/// Whether a bank of the running system's own disk can be written: this disk is in use, but no volume of that bank
/// is. Anything that cannot be found out counts as in use.
pub(super) fn is_free(disk: &Disk, target: Bank) -> bool {
    let unused = |partition: Partition| {
        let device = Path::new("/dev/disk/by-partuuid").join(partition.guid.to_string());
        let uses = device.metadata().and_then(|metadata| uses_of(&metadata, &SystemRoots::default()));
        uses.is_ok_and(|uses| uses.is_empty())
    };
    let volumes = disk.layout().volumes(target);
    running_bank(disk.layout()) == Some(target.other()) && unused(volumes.boot) && unused(volumes.root)
}

/// The bank in use, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Active {
    /// This one.
    Known {
        /// The bank.
        bank: Bank,
        /// How it is known.
        by: &'static str,
    },
    /// Nothing was installed yet.
    New,
    /// It cannot be known from here.
    Unknown,
}

impl Active {
    /// The person's word, the running kernel, the boot variables, the bank record, in this order.
    pub(super) fn of(given: Option<Bank>, disk: &Disk, next: &Next, vars: bool) -> Self {
        let state = |bank| disk.record().bank(bank).state;
        let never = |bank| matches!(state(bank), BankState::Empty | BankState::Invalid);
        if let Some(bank) = running_bank(disk.layout()) {
            return Self::Known { bank, by: "the running kernel's line" };
        }
        if let Some(bank) = given {
            return Self::Known { bank, by: "--active" };
        }
        if Bank::BOTH.into_iter().all(never) {
            return Self::New;
        }
        if vars {
            return match next.bank {
                Some(bank) => Self::Known { bank, by: "what boots next" },
                None => Self::Unknown,
            };
        }
        let good: Vec<Bank> = Bank::BOTH.into_iter().filter(|bank| state(*bank) == BankState::Good).collect();
        match good.as_slice() {
            [bank] => Self::Known { bank: *bank, by: "the bank record: the other is not good" },
            _ => Self::Unknown,
        }
    }

    /// The bank, if it is known.
    pub(super) fn bank(&self) -> Option<Bank> {
        match self {
            Self::Known { bank, .. } => Some(*bank),
            Self::New | Self::Unknown => None,
        }
    }

    /// `active` or `alternate`, or nothing if it is not known.
    pub(super) fn role(&self, bank: Bank) -> &'static str {
        match self.bank() {
            Some(active) if active == bank => "active",
            Some(_) => "alternate",
            None => "-",
        }
    }
}

/// Refuses a person's word that contradicts the running kernel.
pub(super) fn check_given(given: Option<Bank>, layout: &Layout) -> Result<(), CliError> {
    match (given, running_bank(layout)) {
        (Some(given), Some(running)) if given != running => Err(CliError::new(
            Kind::Conflict,
            format!("--active {given}, but bank {running} runs by the kernel's line"),
        )
        .remedy("leave --active out")),
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

/// A disk on which nothing is written: the first write ends the command, after everything that can be refused
/// was refused.
#[derive(Debug)]
pub(super) struct DryDisk<'a, D> {
    disk: &'a D,
    reached: bool,
}

impl<'a, D: ReadAt> DryDisk<'a, D> {
    /// Stands before `disk`.
    pub(super) fn new(disk: &'a D) -> Self {
        Self { disk, reached: false }
    }

    /// Whether a write was asked for.
    pub(super) fn reached(&self) -> bool {
        self.reached
    }
}

impl<D: ReadAt> ReadAt for DryDisk<'_, D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.disk.read_at(offset, buf)
    }
}

impl<D: ReadAt> WriteAt for DryDisk<'_, D> {
    fn write_at(&mut self, _offset: u64, _data: &[u8]) -> std::io::Result<()> {
        self.reached = true;
        Err(std::io::Error::other("nothing is written with --dry-run"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_bank::layout::{Geometry, LayoutGuids, create_layout};

    use super::*;

    #[test]
    fn a_disk_runs_only_if_kernel_line_and_partition_agree() {
        let geometry = Geometry { boot: 4 << 20, root: 1 << 20, state: 1 << 20 };
        let mut random = [0_u8; 96];
        for (at, byte) in (0_u8..).zip(&mut random) {
            *byte = at;
        }
        let mut disk = vec![0_u8; usize::try_from(geometry.disk_bytes()).unwrap()];
        let layout = create_layout(&mut disk, &geometry, &LayoutGuids::from_random(&random)).unwrap();
        let root = layout.volumes(Bank::B).root.guid;
        let line =
            |bank: &str, root: &str| format!("quiet lifeboat.bank={bank} root=PARTUUID={root} panic=5");
        assert_eq!(running_by(&line("B", &root.to_string()), &layout), Some(Bank::B));
        assert_eq!(running_by(&line("A", &root.to_string()), &layout), None);
        assert_eq!(running_by(&line("B", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"), &layout), None);
        assert_eq!(running_by("root=/dev/sda2", &layout), None);
    }
}
