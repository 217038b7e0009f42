//! From a pool file to the driver that speaks to the pool.

use std::fs::File;
use std::path::Path;

use lifeboat_bundle::{Rules, TrustStore};
use lifeboat_hypervisor::lab::{Lab, LabDriver};
use lifeboat_hypervisor::libvirt::{KvmSettings, LibvirtDriver};
use lifeboat_hypervisor::sim::{ClockMode, SimPool};
use lifeboat_hypervisor::{DriverError, Hypervisor};

use lifeboat_model::ReleaseRef;

use crate::commands::{lab_error, now, open_bundle};
use crate::error::{CliError, Kind};
use crate::files::read_toml;
use crate::state::{DriverKind, PlanSource, PoolFile};

/// Opens the driver of a pool whose files are in `dir`; `source` says where the release of a roll lies.
pub(crate) fn open(
    pool: &PoolFile,
    dir: &Path,
    source: Option<&PlanSource>,
) -> Result<Box<dyn Hypervisor>, CliError> {
    match pool.driver {
        DriverKind::Sim => {
            let held = sim_is_held(dir);
            let mut sim = SimPool::open(dir, clock(pool.speed))
                .map_err(|cause| if held { held_error(pool, cause) } else { driver_error(pool, cause) })?;
            if let Some(source) = source {
                sim.offer_bundle(&source.bundle).map_err(|cause| driver_error(pool, cause))?;
            }
            Ok(Box::new(sim))
        }
        DriverKind::Lab => {
            let fail = |cause| lab_error(&pool.name, cause);
            let lab = Lab::open(dir).map_err(fail)?;
            let mut driver = LabDriver::open(lab, pool.name.clone()).map_err(fail)?;
            if let Some(source) = source {
                driver.offer(source_release(source)?, source.bundle.clone());
            }
            Ok(Box::new(driver))
        }
        DriverKind::Libvirt => {
            let mut driver = open_libvirt(pool, dir)?;
            if let Some(source) = source {
                let trust = source_trust(source)?;
                driver
                    .offer(&source_release(source)?, &source.bundle, &trust)
                    .map_err(|cause| driver_error(pool, cause))?;
            }
            Ok(Box::new(driver))
        }
    }
}

/// Opens a pool of libvirt hosts whose settings are in `dir`.
pub(crate) fn open_libvirt(pool: &PoolFile, dir: &Path) -> Result<LibvirtDriver, CliError> {
    let settings: KvmSettings = read_toml(&dir.join("kvm.toml"), "settings of the pool")?;
    LibvirtDriver::open(pool.name.clone(), settings, dir).map_err(|cause| driver_error(pool, cause))
}

/// Opens the driver of a pool only to look at it: no lock is needed and nothing is written, also while a roll runs.
pub(crate) fn look(
    pool: &PoolFile,
    dir: &Path,
    source: Option<&PlanSource>,
) -> Result<Box<dyn Hypervisor>, CliError> {
    match pool.driver {
        DriverKind::Sim => {
            let mut sim = look_at_sim(pool, dir)?;
            if let Some(source) = source {
                sim.offer_bundle(&source.bundle).map_err(|cause| driver_error(pool, cause))?;
            }
            Ok(Box::new(sim))
        }
        DriverKind::Lab => open(pool, dir, source),
        DriverKind::Libvirt => {
            let mut driver = open_libvirt(pool, dir)?;
            // Who only looks needs no bundle to be offered.
            if let Some(source) = source {
                driver.expect(&source_release(source)?, &source.bundle, &source_trust(source)?);
            }
            Ok(Box::new(driver))
        }
    }
}

/// Opens a simulated pool only to look at it. A pool that nobody has and whose time went on is brought up to date.
pub(crate) fn look_at_sim(pool: &PoolFile, dir: &Path) -> Result<SimPool, CliError> {
    let seen = SimPool::open_to_look(dir, clock(pool.speed)).map_err(|cause| driver_error(pool, cause))?;
    if seen.is_behind()
        && !sim_is_held(dir)
        && let Ok(sim) = SimPool::open(dir, clock(pool.speed))
    {
        return Ok(sim);
    }
    Ok(seen)
}

/// The release of a plan, if its bundle is still signed by whom the plan trusts.
fn source_release(source: &PlanSource) -> Result<ReleaseRef, CliError> {
    let trust = source_trust(source)?;
    Ok(open_bundle(&source.bundle, &trust, &Rules::at(now()))?.release().clone())
}

/// The keys that a plan trusts.
fn source_trust(source: &PlanSource) -> Result<TrustStore, CliError> {
    TrustStore::parse(&source.trust).map_err(|cause| {
        CliError::new(Kind::Failed, "the plan's trusted keys are damaged")
            .because(cause)
            .remedy("make the plan again: lifeboat plan create")
    })
}

/// How the time of a simulated pool passes: so many times as fast as ours, or without waiting.
pub(crate) fn clock(speed: u32) -> ClockMode {
    match speed {
        0 => ClockMode::Virtual,
        factor => ClockMode::Scaled { factor },
    }
}

/// Whether another process has the simulated pool open: it holds the lock on `lock` in its folder.
pub(crate) fn sim_is_held(dir: &Path) -> bool {
    let Ok(lock) = File::open(dir.join("lock")) else { return false };
    matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

fn held_error(pool: &PoolFile, cause: DriverError) -> CliError {
    CliError::new(Kind::Conflict, format!("pool {} is in the hands of another process", pool.name))
        .because(cause)
        .remedy("look on with: lifeboat roll status, or wait until it has ended")
}

/// A driver that cannot answer.
pub(crate) fn driver_error(pool: &PoolFile, cause: DriverError) -> CliError {
    let kind = match &cause {
        DriverError::Unreachable { .. } => Kind::Unreachable,
        DriverError::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::NotFound,
        DriverError::File { .. } | DriverError::Damaged { .. } | DriverError::World(_) => Kind::Failed,
    };
    let remedy = match pool.driver {
        DriverKind::Sim => "see what is there: lifeboat pool list; a damaged simulated pool is made anew",
        DriverKind::Lab => "look at: lifeboat lab status",
        DriverKind::Libvirt => "look at: lifeboat pool show, lifeboatd host list",
    };
    CliError::new(kind, format!("pool {} (driver {})", pool.name, pool.driver.word()))
        .because(cause)
        .remedy(remedy)
}
