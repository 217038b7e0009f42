//! The banks of one host on a real GPT disk image, with boot variables in a file.
//!
//! Owns: `disk.img`, `vars.json` and `staged.lfb` in the host's folder. Promises: every state of a bank is read
//! from the disk's bytes, every change goes through `lifeboat-bank`, and a boot is done once even if the controller
//! dies in it: the variables' file keeps the number and the result of the last one. Does not: hold anything open
//! between two calls, so that other programs can look at the disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use lifeboat_bank::disk::BankDisk;
use lifeboat_bank::efi::{HardDrive, MemVars, UefiBoot, VarStore};
use lifeboat_bank::firmware;
use lifeboat_bank::guid::Guid;
use lifeboat_bank::install::{Image, InstallRequest, bootstrap, install};
use lifeboat_bank::layout::{Geometry, Layout, LayoutGuids, create_layout};
use lifeboat_bank::ops::{activate, bless, close_failed, mark_failed};
use lifeboat_bundle::{Bundle, Rules, TrustStore, Verified, slot, verify_all};
use lifeboat_device::{BlockFile, Force};
use lifeboat_model::{Bank, BankState, BankView, ReleaseRef, Sha256Hex, chain};
use serde::{Deserialize, Serialize};

use super::banks::{Booted, InstallOrder, Judged, Refusal, check_rules};
use super::failing::FailingDisk;
use super::kernel::SimKernel;
use super::nvram::{self, InMemory, Nvram, NvramFile};
use super::prng::Prng;
use super::spec::SimSizes;

const DISK: &str = "disk.img";
const STAGED: &str = "staged.lfb";
/// Kernels, initial RAM disks and stubs of simulated releases are small.
const SLOT_LIMIT: u64 = 64 << 20;

/// The banks of one host on its disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct DiskBanks {
    /// The host's folder below the pool's.
    folder: String,
    /// The same, absolute.
    #[serde(skip)]
    path: PathBuf,
    /// What the disk says, as it was read last.
    #[serde(skip)]
    seen: Option<Judged>,
}

/// Opens a bundle and checks its signature and its rules.
pub(super) fn open_bundle(
    path: &Path,
    trust: &TrustStore,
    rules: &Rules,
) -> Result<Verified<Bundle<BlockFile>>, Refusal> {
    let file = BlockFile::open_read(path).map_err(|error| told("opening the bundle", &error))?;
    let bundle =
        lifeboat_bundle::open(file, trust, rules).map_err(|error| told("checking the bundle", &error))?;
    let slots = [slot::STUB, slot::KERNEL, slot::INITRD, slot::OSREL, slot::ROOT];
    bundle.require_slots(&slots).map_err(|error| told("checking the bundle", &error))?;
    Ok(bundle)
}

/// An error with all its causes, as a refusal that another try will not change.
pub(super) fn told(doing: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal::firm(format!("{doing}: {}", chain(error)))
}

impl DiskBanks {
    /// Makes the disk of a new host, with the release of `bundle` in bank A, good.
    pub(super) fn create(
        pool: &Path,
        folder: String,
        sizes: &SimSizes,
        seed: u64,
        bundle: &Verified<Bundle<BlockFile>>,
    ) -> Result<Self, Refusal> {
        let mut banks = Self { path: pool.join(&folder), folder, seen: None };
        let io = |error: std::io::Error| told("making the disk", &error);
        fs::create_dir_all(&banks.path).map_err(io)?;
        let (boot, root, state) = (sizes.boot << 20, sizes.root << 20, sizes.state << 20);
        let geometry = Geometry { boot, root, state };
        // A file with holes: most of a simulated disk is never written.
        let path = banks.path.join(DISK);
        File::create_new(&path).and_then(|file| file.set_len(geometry.disk_bytes())).map_err(io)?;
        let mut disk = banks.open_file()?;
        let mut prng = Prng::named(seed, &banks.folder);
        let mut guid = || Guid::from_random(prng.bytes16());
        let guids = LayoutGuids { disk: guid(), partitions: [guid(), guid(), guid(), guid(), guid()] };
        let layout =
            create_layout(&mut disk, &geometry, &guids).map_err(|error| told("partitioning", &error))?;
        let parts = Parts::read(bundle)?;
        let mut root = bundle.slot(slot::ROOT).map_err(|error| told("reading the bundle", &error))?;
        bootstrap(&mut disk, &layout, Bank::A, &parts.image(bundle)?, &mut root, &mut |_, _, _| {})
            .map_err(|error| told("installing into bank A", &error))?;
        drop(disk);
        let mut boot = control(&layout, MemVars::new());
        boot.ensure_entries().map_err(|error| told("making boot entries", &error))?;
        // Number 0 is the boot that the pool begins with.
        let vars = boot.into_vars();
        let nvram = Nvram { schema: nvram::SCHEMA, number: u32::MAX, booted: None, why: String::new(), vars };
        nvram.write(&banks.path)?;
        banks.look()?;
        banks.boot(0)?;
        Ok(banks)
    }

    /// Finds the disk of a pool that was opened, and reads it.
    pub(super) fn attach(&mut self, pool: &Path) -> Result<(), Refusal> {
        self.path = pool.join(&self.folder);
        self.look()
    }

    /// The host's folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The host's disk image.
    pub(super) fn disk(&self) -> PathBuf {
        self.path.join(DISK)
    }

    pub(super) fn views(&self) -> ([BankView; 2], Vec<Sha256Hex>) {
        match &self.seen {
            Some(seen) => (seen.views.clone(), seen.failed.clone()),
            None => ([BankView::empty(), BankView::empty()], Vec::new()),
        }
    }

    pub(super) fn check(&self, release: &ReleaseRef, active: Bank, retry: bool) -> Result<(), Refusal> {
        let disk = self.open()?;
        check_rules(&judge(&disk), release, active, retry)?;
        let findings = disk.verify(active).findings;
        if findings.is_empty() {
            return Ok(());
        }
        let reasons: Vec<String> = findings.into_iter().map(|finding| finding.text).collect();
        Err(Refusal::firm(format!("bank {active} runs but is not whole: {}", reasons.join("; "))))
    }

    /// Copies a bundle to the host and verifies every byte of it there.
    pub(super) fn stage(&self, bundle: &Path, trust: &TrustStore, mut rules: Rules) -> Result<(), Refusal> {
        let io = |error: std::io::Error| told("copying the bundle to the host", &error);
        if let Some(seen) = &self.seen {
            rules.min_serial = Some(seen.floor);
            rules.expected_name.clone_from(&seen.line);
        }
        let new = self.path.join(format!("{STAGED}.new"));
        fs::copy(bundle, &new).map_err(io)?;
        let staged = open_bundle(&new, trust, &rules)?;
        verify_all(&staged, |_| {}).map_err(|error| told("verifying the bundle on the host", &error))?;
        File::open(&new).and_then(|file| file.sync_all()).map_err(io)?;
        fs::rename(&new, self.path.join(STAGED)).map_err(io)
    }

    pub(super) fn install(
        &mut self,
        order: &InstallOrder<'_>,
        trust: &TrustStore,
        now: u64,
    ) -> Result<(), Refusal> {
        self.install_from(&self.path.join(STAGED), order, trust, now)
    }

    /// Installs from a bundle that lies anywhere.
    pub(super) fn install_from(
        &mut self,
        bundle: &Path,
        order: &InstallOrder<'_>,
        trust: &TrustStore,
        now: u64,
    ) -> Result<(), Refusal> {
        let bundle = open_bundle(bundle, trust, &Rules::at(now))?;
        let wanted = &order.release.release;
        if bundle.release() != wanted {
            let staged = bundle.release();
            return Err(Refusal::for_now(format!("{staged} is staged, not {wanted}: stage it again")));
        }
        let parts = Parts::read(&bundle)?;
        let image = parts.image(&bundle)?;
        let request = InstallRequest { active: order.active, target: order.bank, image, retry: order.retry };
        let mut root = bundle.slot(slot::ROOT).map_err(|error| told("reading the bundle", &error))?;
        let (layout, disk) = self.open_layout()?;
        let mut disk = FailingDisk::new(disk, order.fails_at);
        let installed = install(&mut disk, &layout, &request, &mut root, &mut |_, _, _| {});
        drop(disk);
        self.look()?;
        installed.map(drop).map_err(|error| told(&format!("installing into bank {}", order.bank), &error))
    }

    pub(super) fn activate(&mut self, bank: Bank) -> Result<(), Refusal> {
        let (layout, mut disk) = self.open_layout()?;
        let mut boot = control(&layout, NvramFile::open(&self.path)?);
        // The watchdog of a simulated host is armed by its pool, before this is called.
        let done = activate(&mut disk, &layout, bank, &mut || Ok(()), &mut boot);
        drop(disk);
        self.look()?;
        done.map(drop).map_err(|error| told(&format!("activating bank {bank}"), &error))
    }

    /// Firmware runs, from the bytes of the disk and the boot variables.
    pub(super) fn boot(&mut self, number: u32) -> Result<Booted, Refusal> {
        let mut nvram = Nvram::read(&self.path)?;
        if nvram.number != number {
            let mut disk = self.open()?;
            nvram.vars.reset();
            let result = firmware::boot(&*disk.disk_mut(), &mut nvram.vars);
            nvram.number = number;
            nvram.why = result.why();
            // Bytes that are no text are no kernel of a simulated release; they are judged when they run.
            nvram.booted = result.booted.map(|booted| InMemory {
                cmdline: booted.cmdline,
                kernel: String::from_utf8_lossy(&booted.kernel).into_owned(),
            });
            nvram.write(&self.path)?;
        }
        let image = nvram.booted.ok_or_else(|| Refusal::firm(nvram.why))?;
        let kernel =
            SimKernel::parse(image.kernel.as_bytes()).map_err(|error| told("running the kernel", &error))?;
        // The kernel line is the one word on which bank runs.
        let bank: Bank = image.says("lifeboat.bank").parse().map_err(Refusal::firm)?;
        let digest = image.says("lifeboat.digest");
        let release = self.open()?.record().bank(bank).release.clone();
        let release = release.filter(|release| release.digest.to_string() == digest).ok_or_else(|| {
            Refusal::firm(format!(
                "the kernel line of bank {bank} names another release than the bank record"
            ))
        })?;
        Ok(Booted { bank, release, kernel })
    }

    /// Lowest serial that may be installed.
    pub(super) fn floor(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.floor)
    }

    /// What is damaged in a bank by its own bytes. A bank that holds nothing, or that failed and was therefore made
    /// unbootable, is not damaged.
    pub(super) fn damage(&self, bank: Bank) -> Vec<String> {
        let disk = match self.open() {
            Ok(disk) => disk,
            Err(refusal) => return vec![refusal.reason],
        };
        match disk.record().bank(bank).state {
            BankState::Empty | BankState::Invalid | BankState::Failed => Vec::new(),
            BankState::Upgraded | BankState::Trying | BankState::Good => {
                disk.verify(bank).findings.into_iter().map(|finding| finding.text).collect()
            }
        }
    }

    pub(super) fn bless(&mut self, running: Bank) -> Result<(), Refusal> {
        let (layout, mut disk) = self.open_layout()?;
        let mut boot = control(&layout, NvramFile::open(&self.path)?);
        let done = bless(&mut disk, &layout, running, &mut boot);
        drop(disk);
        self.look()?;
        done.map(drop).map_err(|error| told(&format!("blessing bank {running}"), &error))
    }

    pub(super) fn fail(&mut self, bank: Bank, reason: &str) -> Result<(), Refusal> {
        let (layout, mut disk) = self.open_layout()?;
        let mut boot = control(&layout, NvramFile::open(&self.path)?);
        let done = mark_failed(&mut disk, &layout, bank, reason, &mut boot)
            .and_then(|_| close_failed(&mut disk, &layout, bank));
        drop(disk);
        self.look()?;
        done.map(drop).map_err(|error| told(&format!("marking bank {bank} failed"), &error))
    }

    fn open(&self) -> Result<BankDisk<BlockFile>, Refusal> {
        let file =
            BlockFile::open_read(&self.path.join(DISK)).map_err(|error| told("opening the disk", &error))?;
        BankDisk::open(file)
            .map_err(|error| told(&format!("reading {}", self.path.join(DISK).display()), &error))
    }

    fn open_file(&self) -> Result<BlockFile, Refusal> {
        BlockFile::open_write(&self.path.join(DISK), Force::No)
            .map_err(|error| told("opening the disk", &error))
    }

    fn open_layout(&self) -> Result<(Layout, BlockFile), Refusal> {
        let layout = self.open()?.layout().clone();
        Ok((layout, self.open_file()?))
    }

    /// Reads the state of the banks anew.
    fn look(&mut self) -> Result<(), Refusal> {
        self.seen = Some(judge(&self.open()?));
        Ok(())
    }
}

/// What a disk says of its banks.
fn judge(disk: &BankDisk<BlockFile>) -> Judged {
    let record = disk.record();
    let view = |bank: Bank| {
        let entry = record.bank(bank);
        BankView {
            state: entry.state,
            version: entry.release.as_ref().map(|release| release.version.clone()),
            digest: entry.release.as_ref().map(|release| release.digest),
            updated: entry.updated,
            note: entry.note.clone(),
        }
    };
    let line = Bank::BOTH.into_iter().find_map(|bank| record.bank(bank).release.as_ref());
    Judged {
        views: Bank::BOTH.map(view),
        failed: record.failed.iter().map(|failed| failed.digest).collect(),
        floor: record.floor,
        line: line.map(|release| release.name.clone()),
    }
}

fn control<V: VarStore>(layout: &Layout, vars: V) -> UefiBoot<V> {
    let drive = |bank: Bank| {
        let boot = layout.volumes(bank).boot;
        HardDrive::gpt(boot.number, boot.first_lba, boot.sectors, boot.guid)
    };
    UefiBoot::new(vars, drive(Bank::A), drive(Bank::B))
}

/// The small slots of a bundle, in memory.
struct Parts {
    stub: Vec<u8>,
    kernel: Vec<u8>,
    initrd: Vec<u8>,
    osrel: String,
}

impl Parts {
    fn read(bundle: &Verified<Bundle<BlockFile>>) -> Result<Self, Refusal> {
        let slot =
            |name| bundle.slot_bytes(name, SLOT_LIMIT).map_err(|error| told("reading the bundle", &error));
        let osrel =
            String::from_utf8(slot(slot::OSREL)?).map_err(|error| told("reading os-release", &error))?;
        Ok(Self { stub: slot(slot::STUB)?, kernel: slot(slot::KERNEL)?, initrd: slot(slot::INITRD)?, osrel })
    }

    fn image<'a>(&'a self, bundle: &'a Verified<Bundle<BlockFile>>) -> Result<Image<'a>, Refusal> {
        let root = bundle
            .manifest()
            .slot(slot::ROOT)
            .ok_or_else(|| Refusal::firm("the bundle has no root image"))?;
        Ok(Image {
            release: bundle.release().clone(),
            cmdline_extra: &bundle.manifest().cmdline,
            stub: &self.stub,
            kernel: &self.kernel,
            initrd: &self.initrd,
            osrel: &self.osrel,
            root_len: root.len,
            root_sha256: root.sha256,
            verity: None,
        })
    }
}
