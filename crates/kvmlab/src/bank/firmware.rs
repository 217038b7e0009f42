//! The firmware of a host.
//!
//! Owns: one power-on: which bank, and what its first stage would find. Promises: chosen by the code that predicts real
//! firmware, over the variables and the disk as they lie; the one-shot boot is used up before anything runs. Does not:
//! load a kernel: what its line says is all that is used of it.

use lifeboat_bank::firmware;
use lifeboat_bank::guid::Guid;
use lifeboat_device::EfivarFs;
use lifeboat_model::{Bank, chain};

use super::PoweredDisk;
use crate::LabError;
use crate::folder::HostFolder;
use crate::host::BankOrder;

/// Firmware of a host whose power was just switched on.
pub(crate) struct Firmware<'a> {
    disk: &'a PoweredDisk,
    folder: &'a HostFolder,
}

/// What the firmware started.
pub(crate) struct Started {
    /// The bank.
    pub(crate) bank: Bank,
    /// Version of the release in it.
    pub(crate) release: String,
    /// Why this bank.
    pub(crate) why: String,
    /// What its boot needs.
    pub(crate) order: BankOrder,
}

impl<'a> Firmware<'a> {
    pub(crate) fn new(disk: &'a PoweredDisk, folder: &'a HostFolder) -> Self {
        Self { disk, folder }
    }

    /// Chooses and loads.
    pub(crate) fn power_on(&self) -> Result<Started, LabError> {
        let failed = |why: String| LabError::Disk { host: self.disk.name(), why };
        let (disk, layout) = self.disk.open()?;
        let mut vars = EfivarFs::open(&self.folder.variables()).map_err(|error| failed(chain(&error)))?;
        let result = firmware::boot(&disk, &mut vars);
        let why = result.why();
        let booted = result.booted.ok_or_else(|| failed(why.clone()))?;
        let word = |name: &str| {
            booted.cmdline.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned)
        };
        // From here on it is what an initial RAM file system does: the root by the GUID on the line.
        let root =
            word("root=PARTUUID=").ok_or_else(|| failed("its kernel line names no root".to_owned()))?;
        let root: Guid =
            root.parse().map_err(|why: String| failed(format!("the root of its kernel line: {why}")))?;
        let bank =
            layout.bank_of(root).ok_or_else(|| failed(format!("partition {root} is no root of a bank")))?;
        let partition = &layout.volumes(bank).root;
        if partition.guid != root {
            return Err(failed(format!("partition {root} is not the root of bank {bank}")));
        }
        let release = word("lifeboat.release=").unwrap_or_else(|| "?".to_owned());
        let digest: String = word("lifeboat.digest=").unwrap_or_default().chars().take(16).collect();
        Ok(Started {
            bank,
            release,
            why,
            order: BankOrder {
                bank,
                disk: self.disk.name(),
                root: partition.number,
                state: layout.state.number,
                cmdline: booted.cmdline,
                install: format!("{bank}-{digest}"),
            },
        })
    }
}
