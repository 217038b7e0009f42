//! A simulated pool in a folder: making it with real disks, opening it again, and what its hosts keep there.
//!
//! ```text
//! sim.json                 everything the pool remembers; replaced whole after each change
//! lock                     held by the controller that has the pool open
//! bundles/DIGEST.lfb       releases that hosts can fetch
//! hosts/ID/disk.img        GPT disk with both banks
//! hosts/ID/vars.json       boot variables, and what the last boot loaded
//! hosts/ID/staged.lfb      the release that was brought to the host
//! hosts/ID/state/saved.json  the state that the host saved
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use lifeboat_bundle::{Rules, TrustStore, verify_all};
use lifeboat_device::lock_patiently;
use lifeboat_model::{HostId, ReleaseRef, Timestamp};

use super::banks::{HostBanks, Refusal};
use super::clock::ClockMode;
use super::create::new_state;
use super::disk::{DiskBanks, open_bundle, told};
use super::pool::SimPool;
use super::release::SIM_LINE;
use super::spec::SimSpec;
use super::state::{FILE, Offered, SimState, write_durably};
use crate::{DriverError, Hypervisor};

const BUNDLES: &str = "bundles";
const LOCK: &str = "lock";

impl SimPool {
    /// Makes a pool in the folder `dir`, which must not exist or be empty. Every host gets a disk of its own with
    /// the release of `bundle` in bank A, and runs it. `trust` says whose releases the hosts take, now and later;
    /// one signature is enough.
    ///
    /// # Errors
    /// [`DriverError`] if the folder is taken, the bundle is not trusted, or a file cannot be written.
    pub fn create(
        dir: &Path,
        spec: &SimSpec,
        bundle: &Path,
        trust: &TrustStore,
        mode: ClockMode,
    ) -> Result<Self, DriverError> {
        fs::create_dir_all(dir).map_err(file("making the folder", dir))?;
        if fs::read_dir(dir).map_err(file("reading the folder", dir))?.next().is_some() {
            return Err(DriverError::Unreachable {
                doing: format!("making a simulated pool in {}", dir.display()),
                reason: "the folder is not empty".to_owned(),
                remedy: "remove it, or name another one".to_owned(),
            });
        }
        let dir = fs::canonicalize(dir).map_err(file("finding", dir))?;
        let lock = take_lock(&dir)?;
        let spec = SimSpec { disks: true, ..spec.clone() };
        let inventory = spec.inventory()?;
        let offered = keep_bundle(&dir, bundle, trust, spec.start)?;
        let release = offered.release.clone();
        let kept = kept_path(&dir, &offered);
        let opened =
            open_bundle(&kept, trust, &rules(spec.start)).map_err(refused("reading the first release"))?;
        let banks = |id: &HostId| {
            let disk = DiskBanks::create(&dir, format!("hosts/{id}"), &spec.sizes, spec.seed, &opened);
            disk.map(HostBanks::Disk).map_err(refused(&format!("making host {id}")))
        };
        let mut state = new_state(&spec, &inventory, &release, banks)?;
        state.releases.push(offered);
        state.trusted_keys = trust.to_text();
        let mut pool = Self::running(Some(dir), state, mode);
        pool.trust = Some(trust.clone());
        pool.lock = Some(lock);
        pool.save()?;
        Ok(pool)
    }

    /// Opens the pool in the folder `dir` where it was left, whatever ended the controller before.
    ///
    /// # Errors
    /// [`DriverError`] if there is no pool, if it is damaged, or if another controller has it open.
    pub fn open(dir: &Path, mode: ClockMode) -> Result<Self, DriverError> {
        let dir = fs::canonicalize(dir).map_err(file("opening the simulated pool", dir))?;
        let lock = take_lock(&dir)?;
        let mut state = SimState::read(&dir)?;
        let path = dir.join(FILE).display().to_string();
        let remedy = "make the simulated pool anew".to_owned();
        let trust = TrustStore::parse(&state.trusted_keys).map_err(|error| DriverError::Damaged {
            path: path.clone(),
            reason: format!("trusted keys: {error}"),
            remedy: remedy.clone(),
        })?;
        for (id, host) in &mut state.hosts {
            match &mut host.banks {
                HostBanks::Values(_) => {}
                HostBanks::Disk(banks) => banks.attach(&dir).map_err(|refusal| DriverError::Damaged {
                    path: dir.join("hosts").join(id.as_str()).display().to_string(),
                    reason: refusal.reason,
                    remedy: remedy.clone(),
                })?,
            }
        }
        let mut pool = Self::running(Some(dir), state, mode);
        pool.trust = Some(trust);
        pool.lock = Some(lock);
        pool.save()?;
        Ok(pool)
    }

    /// Offers a release to the hosts: its bundle is checked and copied into the pool's folder.
    ///
    /// # Errors
    /// [`DriverError`] if the bundle is not trusted or damaged, if the pool has no disks, or if a file cannot be
    /// written.
    pub fn offer_bundle(&mut self, bundle: &Path) -> Result<ReleaseRef, DriverError> {
        let now = self.now();
        let (Some(dir), Some(trust)) = (&self.dir, &self.trust) else {
            return Err(DriverError::Unreachable {
                doing: format!("offering {}", bundle.display()),
                reason: "this simulated pool has no disks".to_owned(),
                remedy: "make a pool with disks".to_owned(),
            });
        };
        let offered = keep_bundle(dir, bundle, trust, now)?;
        let release = offered.release.clone();
        self.offer(offered)?;
        Ok(release)
    }

    /// Where the disk image of a host lies, if it has one.
    pub fn disk_path(&self, host: &HostId) -> Option<PathBuf> {
        match &self.state.hosts.get(host)?.banks {
            HostBanks::Values(_) => None,
            HostBanks::Disk(banks) => Some(banks.disk()),
        }
    }

    /// Brings a release to a host's disk; a host without one has nothing to do.
    pub(super) fn stage_on_disk(
        &self,
        id: &HostId,
        offered: &Offered,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match &self.host_up(id)?.banks {
            HostBanks::Values(_) => Ok(()),
            HostBanks::Disk(banks) => {
                let (Some(dir), Some(trust)) = (&self.dir, &self.trust) else {
                    return Err(Refusal::firm("the pool has no folder to fetch releases from"));
                };
                banks.stage(&kept_path(dir, offered), trust, rules(now))
            }
        }
    }

    /// Writes the host's own state with the version that wrote it; a host without a disk keeps it in memory.
    pub(super) fn save_state_on_disk(&self, id: &HostId) -> Result<(), Refusal> {
        let host = self.host_up(id)?;
        match &host.banks {
            HostBanks::Values(_) => Ok(()),
            HostBanks::Disk(banks) => {
                let saved = serde_json::json!({
                    "schema": 1,
                    "host": id,
                    "version": host.running.version,
                    "digest": host.running.digest,
                    "boot_id": host.boot_id,
                });
                let dir = banks.path().join("state");
                fs::create_dir_all(&dir).map_err(|error| told("saving the host's state", &error))?;
                let bytes = format!("{saved:#}\n");
                write_durably(&dir, "saved.json", bytes.as_bytes())
                    .map_err(|error| told("saving the host's state", &error))
            }
        }
    }
}

fn rules(now: Timestamp) -> Rules {
    Rules { expected_name: Some(SIM_LINE.to_owned()), ..Rules::at(now.0 / 1000) }
}

fn kept_path(dir: &Path, offered: &Offered) -> PathBuf {
    dir.join(offered.bundle.clone().unwrap_or_default())
}

/// Checks a bundle and copies it into the pool's folder.
fn keep_bundle(
    dir: &Path,
    bundle: &Path,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Offered, DriverError> {
    let opened = open_bundle(bundle, trust, &rules(now))
        .map_err(refused(&format!("offering the release in {}", bundle.display())))?;
    verify_all(&opened, |_| {})
        .map_err(|error| told("verifying the bundle", &error))
        .map_err(refused(&format!("offering the release in {}", bundle.display())))?;
    let release = opened.release().clone();
    let name = format!("{}.lfb", release.digest);
    let bytes = fs::read(bundle).map_err(file("reading", bundle))?;
    let bundles = dir.join(BUNDLES);
    fs::create_dir_all(&bundles).map_err(file("making the folder", &bundles))?;
    write_durably(&bundles, &name, &bytes)?;
    Ok(Offered { release, kernel: None, bundle: Some(format!("{BUNDLES}/{name}")) })
}

fn take_lock(dir: &Path) -> Result<File, DriverError> {
    let path = dir.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(file("opening", &path))?;
    lock_patiently(&lock).map_err(|error| DriverError::Unreachable {
        doing: format!("opening the simulated pool in {}", dir.display()),
        reason: format!("its lock cannot be taken ({error})"),
        remedy: "wait until the other controller has ended".to_owned(),
    })?;
    Ok(lock)
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DriverError {
    let path = path.display().to_string();
    move |source| DriverError::File { doing, path, source }
}

fn refused(doing: &str) -> impl FnOnce(Refusal) -> DriverError {
    let doing = doing.to_owned();
    move |refusal| DriverError::Unreachable {
        doing,
        reason: refusal.reason,
        remedy: "mend that cause and try again".to_owned(),
    }
}
