//! A simulated pool in a folder: making it with real disks, opening it again, and what its hosts keep there.
//!
//! ```text
//! sim.json                 everything the pool remembers; replaced whole after each change
//! lock                     held by the controller that has the pool open
//! inbox/                   orders from outside for that controller
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
        let (home, making) = begin_folder(dir)?;
        let made = Self::make(&making, spec, bundle, trust, mode);
        if made.is_err() {
            // The error that counts is the first one.
            drop(fs::remove_dir_all(&making));
        }
        let mut pool = made?;
        // The name of the pool's folder appears with everything in it, or not at all.
        fs::rename(&making, &home).map_err(file("naming", &home))?;
        pool.move_to(home)?;
        pool.begin_with(&spec.conditions)?;
        Ok(pool)
    }

    fn make(
        dir: &Path,
        spec: &SimSpec,
        bundle: &Path,
        trust: &TrustStore,
        mode: ClockMode,
    ) -> Result<Self, DriverError> {
        let dir = dir.to_owned();
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

    /// The folder has another name now.
    fn move_to(&mut self, dir: PathBuf) -> Result<(), DriverError> {
        for host in self.state.hosts.values_mut() {
            if let HostBanks::Disk(banks) = &mut host.banks {
                banks.attach(&dir).map_err(refused("opening a new disk"))?;
            }
        }
        self.dir = Some(dir);
        Ok(())
    }

    /// Opens the pool in the folder `dir` only to look at it, also while a controller has it open. It is seen as it was
    /// written last: nothing goes on, nothing can be ordered, nothing is written.
    ///
    /// # Errors
    /// [`DriverError`] if there is no pool or if it is damaged.
    pub fn open_to_look(dir: &Path, mode: ClockMode) -> Result<Self, DriverError> {
        let dir = fs::canonicalize(dir).map_err(file("opening the simulated pool", dir))?;
        // A controller may be writing a disk while it is read; a second look is of another moment.
        let mut seen = read_pool(&dir);
        for _ in 0..20 {
            if !matches!(seen, Err(DriverError::Damaged { .. })) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            seen = read_pool(&dir);
        }
        let (state, trust) = seen?;
        let mut pool = Self::running(Some(dir), state, mode);
        pool.trust = Some(trust);
        pool.looks = true;
        Ok(pool)
    }

    /// Opens the pool in the folder `dir` where it was left, whatever ended the controller before.
    ///
    /// # Errors
    /// [`DriverError`] if there is no pool, if it is damaged, or if another controller has it open.
    pub fn open(dir: &Path, mode: ClockMode) -> Result<Self, DriverError> {
        let dir = fs::canonicalize(dir).map_err(file("opening the simulated pool", dir))?;
        let lock = take_lock(&dir)?;
        let (state, trust) = read_pool(&dir)?;
        let mut pool = Self::running(Some(dir), state, mode);
        pool.trust = Some(trust);
        pool.lock = Some(lock);
        pool.save()?;
        Ok(pool)
    }

    /// Offers a release to the hosts: its bundle is checked and copied into the pool's folder. In a pool that is only
    /// looked at it stays where it is, and the look knows of it.
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
        let offered = if self.looks {
            look_at_bundle(bundle, trust, now)?.0
        } else {
            keep_bundle(dir, bundle, trust, now)?
        };
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

    /// Where the bundle of a release lies, if it has one.
    pub(super) fn kept_bundle(&self, offered: &Offered) -> Option<PathBuf> {
        offered.bundle.as_ref()?;
        self.dir.as_ref().map(|dir| kept_path(dir, offered))
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

/// Reads the state and what the disks say.
fn read_pool(dir: &Path) -> Result<(SimState, TrustStore), DriverError> {
    let mut state = SimState::read(dir)?;
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
            HostBanks::Disk(banks) => banks.attach(dir).map_err(|refusal| DriverError::Damaged {
                path: dir.join("hosts").join(id.as_str()).display().to_string(),
                reason: refusal.reason,
                remedy: remedy.clone(),
            })?,
        }
    }
    Ok((state, trust))
}

fn rules(now: Timestamp) -> Rules {
    Rules { expected_name: Some(SIM_LINE.to_owned()), ..Rules::at(now.0 / 1000) }
}

fn kept_path(dir: &Path, offered: &Offered) -> PathBuf {
    dir.join(offered.bundle.clone().unwrap_or_default())
}

/// Checks a bundle where it lies.
fn look_at_bundle(
    bundle: &Path,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<(Offered, Vec<u8>), DriverError> {
    let doing = format!("offering the release in {}", bundle.display());
    let opened = open_bundle(bundle, trust, &rules(now)).map_err(refused(&doing))?;
    verify_all(&opened, |_| {})
        .map_err(|error| told("verifying the bundle", &error))
        .map_err(refused(&doing))?;
    let bytes = fs::read(bundle).map_err(file("reading", bundle))?;
    let path = fs::canonicalize(bundle).map_err(file("finding", bundle))?;
    let offered = Offered {
        release: opened.release().clone(),
        kernel: None,
        bundle: Some(path.to_string_lossy().into_owned()),
        staged_bytes: bytes.len() as u64,
        bank_bytes: opened.manifest().decoded_len(),
    };
    Ok((offered, bytes))
}

/// Checks a bundle and copies it into the pool's folder.
fn keep_bundle(
    dir: &Path,
    bundle: &Path,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Offered, DriverError> {
    let (offered, bytes) = look_at_bundle(bundle, trust, now)?;
    let name = format!("{}.lfb", offered.release.digest);
    let bundles = dir.join(BUNDLES);
    fs::create_dir_all(&bundles).map_err(file("making the folder", &bundles))?;
    write_durably(&bundles, &name, &bytes)?;
    Ok(Offered { bundle: Some(format!("{BUNDLES}/{name}")), ..offered })
}

/// The folder that a new pool gets, and the one beside it in which it is made.
fn begin_folder(dir: &Path) -> Result<(PathBuf, PathBuf), DriverError> {
    let taken = |reason: &str| DriverError::Unreachable {
        doing: format!("making a simulated pool in {}", dir.display()),
        reason: reason.to_owned(),
        remedy: "remove it, or name another one".to_owned(),
    };
    match fs::read_dir(dir) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(taken("the folder is not empty"));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(file("reading the folder", dir)(error)),
    }
    let name = dir.file_name().ok_or_else(|| taken("its path does not end in a name"))?.to_string_lossy();
    let above = match dir.parent().filter(|above| !above.as_os_str().is_empty()) {
        Some(above) => above,
        None => Path::new("."),
    };
    fs::create_dir_all(above).map_err(file("making the folder", above))?;
    let above = fs::canonicalize(above).map_err(file("finding", above))?;
    // Processes that were killed while they made this pool left their halves behind.
    let prefix = format!(".{name}.making-");
    for entry in fs::read_dir(&above).map_err(file("reading the folder", &above))?.flatten() {
        let old = entry.file_name().to_string_lossy().into_owned();
        let alive = |pid: &str| pid.parse::<u32>().is_ok() && Path::new("/proc").join(pid).exists();
        if old.strip_prefix(&prefix).is_some_and(|pid| !alive(pid)) {
            let path = entry.path();
            fs::remove_dir_all(&path).map_err(file("removing", &path))?;
        }
    }
    let making = above.join(format!("{prefix}{}", std::process::id()));
    fs::create_dir(&making).map_err(file("making the folder", &making))?;
    Ok((above.join(&*name), making))
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
