//! The disk of a host, as the lab itself reads and writes it.
//!
//! Owns: making it, and upgrading a bank beside the running one with the library, where no agent does it. Promises: by
//! the code that installs on real hosts; the running bank is never written. Does not: reboot the host.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_bank::efi::UefiBoot;
use lifeboat_bank::install::{Image, InstallRequest, bootstrap_from, install_from};
use lifeboat_bank::layout::{Geometry, Layout, LayoutGuids, create_layout, read_layout};
use lifeboat_bank::ops::activate;
use lifeboat_bank::record::{BankRecord, read_record};
use lifeboat_bundle::{Assembly, Bundle, Rules, TrustStore, Verified, open, slot};
use lifeboat_device::{BlockFile, EfivarFs, Force, SystemRoots, WriteScope};
use lifeboat_model::io::WriteAt as _;
use lifeboat_model::{Bank, BankState, chain};

use super::agent_json;
use crate::folder::{HostFolder, make_folder};
use crate::settings::HostSettings;
use crate::{LabError, tool};

const MIB: u64 = 1 << 20;

/// Largest part of a release that is taken into memory.
const PART_LIMIT: u64 = 16 * MIB;

/// The disk of one host.
#[derive(Debug, Clone)]
pub struct HostDisk {
    host: String,
    /// The image, or the device while the host has power.
    path: PathBuf,
    variables: PathBuf,
}

impl HostDisk {
    /// The disk of `host` at `path`, with the firmware variables in `variables`.
    pub(crate) fn new(host: &str, path: PathBuf, variables: PathBuf) -> Self {
        Self { host: host.to_owned(), path, variables }
    }

    fn failed(&self, why: impl Into<String>) -> LabError {
        LabError::Disk { host: self.host.clone(), why: why.into() }
    }

    /// Makes the disk with the release of `bundle` in bank A, and its first boot entries. `image_bytes` is the size of
    /// the largest root that a bank must hold.
    pub(crate) fn make(
        host: &HostSettings,
        folder: &HostFolder,
        bundle: &Path,
        trust: &TrustStore,
        image_bytes: u64,
    ) -> Result<(), LabError> {
        let this = Self::new(&host.name, folder.disk(), folder.variables());
        let root = (image_bytes + 2 * MIB).next_multiple_of(8 * MIB).max(16 * MIB);
        // Bundles are staged on the state volume.
        let geometry = Geometry { boot: 8 * MIB, root, state: (2 * root).max(64 * MIB) };
        let created = File::create_new(&this.path).and_then(|file| file.set_len(geometry.disk_bytes()));
        created.map_err(LabError::file("create", &this.path))?;
        let mut disk =
            BlockFile::open_write(&this.path, Force::No).map_err(|error| this.failed(chain(&error)))?;
        let guids = LayoutGuids::from_random(&random()?);
        let layout =
            create_layout(&mut disk, &geometry, &guids).map_err(|error| this.failed(chain(&error)))?;
        this.fill(&mut disk, &layout, bundle, trust)?;
        disk.flush().map_err(LabError::file("flush", &this.path))?;
        drop(disk);
        this.make_state(&layout, host, folder)?;
        this.boot_entries(&layout)?.commit(Bank::A).map_err(|error| this.failed(chain(&error)))
    }

    fn fill(
        &self,
        disk: &mut BlockFile,
        layout: &Layout,
        bundle: &Path,
        trust: &TrustStore,
    ) -> Result<(), LabError> {
        let parts = Parts::read(bundle, trust).map_err(|why| self.failed(why))?;
        let release = parts.bundle.chunked().ok_or_else(|| self.failed("the release has no chunks"))?;
        let root = Assembly::new(release, slot::ROOT, &parts.bundle, Vec::new());
        let mut root = root.map_err(|error| self.failed(chain(&error)))?;
        let image = parts.image().map_err(|why| self.failed(why))?;
        bootstrap_from(disk, layout, Bank::A, &image, &mut root, &mut |_, _, _| ())
            .map(drop)
            .map_err(|error| self.failed(chain(&error)))
    }

    fn make_state(&self, layout: &Layout, host: &HostSettings, folder: &HostFolder) -> Result<(), LabError> {
        let content = folder.path().join("state.new");
        make_folder(&content.join("saved"))?;
        let config = content.join("agent.json");
        fs::write(&config, agent_json(host)).map_err(LabError::file("write", config))?;
        let mut command = Command::new(tool::needed("mke2fs")?);
        command
            .args(["-q", "-F", "-t", "ext4", "-m", "0", "-b", "4096", "-L", "lifeboat-state", "-E"])
            .arg(format!("root_owner=0:0,nodiscard,offset={}", layout.state.offset()))
            .arg("-d")
            .arg(&content)
            .arg(&self.path)
            .arg(format!("{}k", layout.state.bytes() / 1024));
        tool::run(&mut command, "make the state of a host")?;
        fs::remove_dir_all(&content).map_err(LabError::file("remove", content))
    }

    fn boot_entries(&self, layout: &Layout) -> Result<UefiBoot<EfivarFs>, LabError> {
        let vars = EfivarFs::open(&self.variables).map_err(|error| self.failed(chain(&error)))?;
        let mut boot = UefiBoot::of_layout(vars, layout);
        boot.ensure_entries().map_err(|error| self.failed(chain(&error)))?;
        Ok(boot)
    }

    /// The bank record as it lies on the disk.
    pub fn record(&self) -> Result<BankRecord, LabError> {
        let disk = BlockFile::open_read(&self.path).map_err(|error| self.failed(chain(&error)))?;
        let layout = read_layout(&disk).map_err(|error| self.failed(chain(&error)))?;
        Ok(read_record(&disk, &layout).map_err(|error| self.failed(chain(&error)))?.record)
    }

    /// Installs the release of `bundle` into the bank that does not run, and orders its trial. What the agent does,
    /// for tests without one; the host is to be rebooted then. The bank that will be tried.
    pub(crate) fn install_and_activate(
        &self,
        running: Bank,
        bundle: &Path,
        trust: &TrustStore,
    ) -> Result<Bank, LabError> {
        let failed = |error: &dyn std::error::Error| self.failed(chain(error));
        let looked = BlockFile::open_read(&self.path).map_err(|error| failed(&error))?;
        let layout = read_layout(&looked).map_err(|error| failed(&error))?;
        drop(looked);
        let scope = WriteScope::beside(&layout, running);
        let mut disk = BlockFile::open_write_within(&self.path, scope, &SystemRoots::default())
            .map_err(|error| failed(&error))?;
        let parts = Parts::read(bundle, trust).map_err(|why| self.failed(why))?;
        let release = parts.bundle.chunked().ok_or_else(|| self.failed("the release has no chunks"))?;
        let mut root =
            Assembly::new(release, slot::ROOT, &parts.bundle, Vec::new()).map_err(|error| failed(&error))?;
        let image = parts.image().map_err(|why| self.failed(why))?;
        let request = InstallRequest { active: running, target: running.other(), image, retry: false };
        install_from(&mut disk, &layout, &request, &mut root, &mut |_, _, _| ())
            .map_err(|error| failed(&error))?;
        let mut boot = self.boot_entries(&layout)?;
        // The power loop is the watchdog, and is armed by the record.
        activate(&mut disk, &layout, running.other(), &mut || Ok(()), &mut boot)
            .map_err(|error| failed(&error))?;
        Ok(running.other())
    }

    /// The state of a bank.
    pub fn bank_state(&self, bank: Bank) -> Result<BankState, LabError> {
        Ok(self.record()?.bank(bank).state)
    }
}

/// A bundle and the parts of it that go into memory.
struct Parts {
    bundle: Verified<Bundle<BlockFile>>,
    stub: Vec<u8>,
    kernel: Vec<u8>,
    initrd: Vec<u8>,
    osrel: String,
}

impl Parts {
    fn read(bundle: &Path, trust: &TrustStore) -> Result<Self, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let file = BlockFile::open_read(bundle).map_err(|error| chain(&error))?;
        let bundle = open(file, trust, &Rules::at(now)).map_err(|error| chain(&error))?;
        let part = |name: &str| bundle.slot_bytes(name, PART_LIMIT).map_err(|error| chain(&error));
        let (stub, kernel, initrd) = (part(slot::STUB)?, part(slot::KERNEL)?, part(slot::INITRD)?);
        let osrel = String::from_utf8(part(slot::OSREL)?).map_err(|error| error.to_string())?;
        Ok(Self { bundle, stub, kernel, initrd, osrel })
    }

    fn image(&self) -> Result<Image<'_>, String> {
        let described = self.bundle.manifest().slot(slot::ROOT).ok_or("the release has no root image")?;
        Ok(Image {
            release: self.bundle.release().clone(),
            cmdline_extra: &self.bundle.manifest().cmdline,
            stub: &self.stub,
            kernel: &self.kernel,
            initrd: &self.initrd,
            osrel: &self.osrel,
            root_len: described.len,
            root_sha256: described.sha256,
            // There is no device mapper that every machine of a lab has.
            verity: None,
        })
    }
}

/// Random bytes from the kernel.
fn random<const N: usize>() -> Result<[u8; N], LabError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; N];
    let mut file = File::open(path).map_err(LabError::file("open", path))?;
    file.read_exact(&mut bytes).map_err(LabError::file("read", path))?;
    Ok(bytes)
}
