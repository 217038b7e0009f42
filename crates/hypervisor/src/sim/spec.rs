//! What a simulated pool is like, and how one is made up from a seed.

use lifeboat_model::{
    BankView, FeatureView, GuestId, GuestView, HostId, HostView, IdError, Mib, Millis, Movable, PoolName,
    Timestamp, World,
};
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::prng::Prng;
use crate::DriverError;

/// How long things take, in simulated time, before jitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimTimes {
    /// Check of a host.
    pub check: Millis,
    /// Saving of a host's state.
    pub save_state: Millis,
    /// Entering or leaving maintenance.
    pub maintenance: Millis,
    /// Suspending or restoring a feature.
    pub feature: Millis,
    /// Shutting a guest down or starting it.
    #[serde(default = "guest_time")]
    pub guest: Millis,
    /// A remedy of a check.
    #[serde(default = "mend_time")]
    pub mend: Millis,
    /// From a guest's loss until HA starts it elsewhere.
    #[serde(default = "long_look")]
    pub ha: Millis,
    /// From a host's last guest until power management switches it off.
    #[serde(default = "long_look")]
    pub idle: Millis,
    /// Bringing a release to a host.
    pub stage: Millis,
    /// Writing and verifying a bank.
    pub install: Millis,
    /// From power cycle to the end of the boot, or to its panic.
    pub boot: Millis,
    /// From the end of the boot until the health checks are judged.
    pub health: Millis,
    /// From a panic to the reset (`panic=`).
    pub panic: Millis,
    /// From a hang to the watchdog's reset.
    pub watchdog: Millis,
    /// Memory that one migration moves in a second, in MiB: 1.1 GiB/s.
    pub migration_rate: u64,
    /// Fixed part of each migration.
    pub migration_start: Millis,
    /// Every time above varies by up to so many per cent.
    pub jitter_percent: u32,
    /// All times together, in per cent of the above.
    pub scale_percent: u32,
}

fn guest_time() -> Millis {
    Millis::from_secs(20)
}

fn mend_time() -> Millis {
    Millis::from_secs(10)
}

fn long_look() -> Millis {
    Millis::from_secs(60)
}

impl Default for SimTimes {
    fn default() -> Self {
        Self {
            check: Millis::from_secs(2),
            save_state: Millis::from_secs(3),
            maintenance: Millis::from_secs(4),
            feature: Millis::from_secs(3),
            guest: guest_time(),
            mend: mend_time(),
            ha: long_look(),
            idle: long_look(),
            stage: Millis::from_secs(20),
            install: Millis::from_secs(60),
            boot: Millis::from_secs(150),
            health: Millis::from_secs(30),
            panic: Millis::from_secs(5),
            watchdog: Millis::from_secs(120),
            migration_rate: 1126,
            migration_start: Millis::from_secs(5),
            jitter_percent: 10,
            scale_percent: 100,
        }
    }
}

impl SimTimes {
    /// Time of one migration: what it moves, a fifth more for pages that change meanwhile, and the fixed part.
    #[must_use]
    pub fn migration(&self, memory: Mib) -> Millis {
        let moving = memory.0.saturating_mul(1200) / self.migration_rate.max(1);
        Millis(moving.saturating_add(self.migration_start.0))
    }
}

/// Sizes of the volumes on each host's disk, in MiB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimSizes {
    /// Boot volume of a bank.
    pub boot: u64,
    /// Root volume of a bank.
    pub root: u64,
    /// State partition.
    pub state: u64,
}

impl Default for SimSizes {
    fn default() -> Self {
        Self { boot: 8, root: 4, state: 1 }
    }
}

/// Description of a simulated pool. The same description gives the same pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimSpec {
    /// Name of the pool.
    pub pool: PoolName,
    /// Number of hosts: `h01`, `h02`, …
    pub hosts: u32,
    /// Number of guests: `g01`, `g02`, …
    pub guests: u32,
    /// Source of everything that varies.
    pub seed: u64,
    /// Memory of each host that guests may use.
    pub host_memory: Mib,
    /// Share of the hosts' memory that the guests fill at most.
    pub fill_percent: u32,
    /// Position of the coordinator among the hosts, from 0; none if the pool has no such role.
    pub coordinator: Option<u32>,
    /// Automatisms and their values.
    pub features: Vec<FeatureView>,
    /// Number of fault domains over which the hosts are spread; 0 for none.
    pub fault_domains: u32,
    /// Whether every host has a real disk image. Without, banks are values; for very large pools.
    pub disks: bool,
    /// Sizes of the disks.
    pub sizes: SimSizes,
    /// How long things take.
    pub times: SimTimes,
    /// The pool's time when it is made.
    pub start: Timestamp,
    /// How many progress reports a long effect gives.
    pub progress_steps: u32,
    /// A member that runs a newer release than its coordinator finds no network and does not answer (I-11).
    #[serde(default)]
    pub members_follow: bool,
    /// What hosts and guests are like when the pool is made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl Default for SimSpec {
    /// Eight hosts, sixty guests, the first host being the coordinator, with disks.
    fn default() -> Self {
        // A literal that is a name; the fall-back cannot be reached.
        Self {
            pool: demo_name(),
            hosts: 8,
            guests: 60,
            seed: 1,
            host_memory: Mib::from_gib(128),
            fill_percent: 60,
            coordinator: Some(0),
            features: Vec::new(),
            fault_domains: 0,
            disks: true,
            sizes: SimSizes::default(),
            times: SimTimes::default(),
            // 2026-01-01T00:00:00Z
            start: Timestamp(1_767_225_600_000),
            progress_steps: 10,
            members_follow: false,
            conditions: Vec::new(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a literal that is a name")]
fn demo_name() -> PoolName {
    PoolName::new("demo").expect("a literal that is a name")
}

/// Memory of guests in MiB, the frequent sizes more than once.
const GUEST_SIZES: [u64; 10] = [1024, 2048, 2048, 4096, 4096, 4096, 8192, 8192, 16384, 32768];
/// Their mean.
const MEAN_SIZE: u64 = 8294;
/// The smallest guest that is made.
const SMALLEST: u64 = 256;

impl SimSpec {
    /// A pool of so many hosts and guests without disks, otherwise as the default.
    #[must_use]
    pub fn in_memory(hosts: u32, guests: u32) -> Self {
        Self { hosts, guests, disks: false, progress_steps: 0, ..Self::default() }
    }

    /// The hosts and guests that this description gives, with empty banks.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`] if the description contradicts itself.
    pub fn inventory(&self) -> Result<World, DriverError> {
        let wrong = |reason: String, remedy: &str| DriverError::Unreachable {
            doing: format!("making the simulated pool {}", self.pool),
            reason,
            remedy: remedy.to_owned(),
        };
        if !(1..=100_000).contains(&self.hosts) || self.guests > 4_000_000 {
            let reason = format!(
                "{} hosts and {} guests are outside of what can be simulated",
                self.hosts, self.guests
            );
            return Err(wrong(reason, "take 1 to 100,000 hosts and at most 4,000,000 guests"));
        }
        let name = |error: IdError| wrong(error.to_string(), "report this as a bug of Lifeboat");
        let width = digits(self.hosts);
        let mut hosts = Vec::new();
        for index in 0..self.hosts {
            let id = HostId::new(format!("h{:0width$}", index + 1)).map_err(name)?;
            let domain = index.checked_rem(self.fault_domains).map(|domain| format!("rack-{}", domain + 1));
            hosts.push(host_view(id, self.host_memory, domain));
        }
        let coordinator = match self.coordinator {
            None => None,
            Some(index) => Some(hosts.get(index as usize).map(|host| host.id.clone()).ok_or_else(|| {
                wrong(format!("the coordinator is host {index} of {}", self.hosts), "take a position below")
            })?),
        };
        let places =
            self.places(hosts.len(), false).or_else(|_| self.places(hosts.len(), true)).map_err(|index| {
                let full = format!("guest {index} of {} does not fit on any host", self.guests);
                wrong(full, "take more memory per host, more hosts or fewer guests")
            })?;
        let width = digits(self.guests);
        let mut guests = Vec::with_capacity(places.len());
        for (index, (host, memory)) in places.into_iter().enumerate() {
            guests.push(GuestView {
                id: GuestId::new(format!("g{:0width$}", index + 1)).map_err(name)?,
                host: hosts.get(host).map(|host| host.id.clone()).ok_or_else(|| wrong(String::new(), ""))?,
                memory,
                running: true,
                movable: Movable::Yes,
                keep_apart: None,
                needs: std::collections::BTreeSet::new(),
            });
        }
        Ok(World::new(self.pool.clone(), coordinator, hosts, guests, self.features.clone())?)
    }

    /// A host and a size for every guest, or the number of the first guest that fits nowhere. `dense`: sizes are drawn
    /// in proportion to the room that is left, so that many guests fit.
    fn places(&self, hosts: usize, dense: bool) -> Result<Vec<(usize, Mib)>, u32> {
        let mut prng = Prng::named(self.seed, "guests");
        let room = self.host_memory.0 * u64::from(self.fill_percent.min(100)) / 100;
        let mut free = vec![room; hosts];
        let mut left = room.saturating_mul(hosts as u64);
        let mut places = Vec::new();
        for index in 0..self.guests {
            let fair = dense.then(|| left / u64::from(self.guests - index) * 9 / 10);
            let (host, memory) = self.place(&mut prng, &mut free, fair).ok_or(index + 1)?;
            left = left.saturating_sub(memory.0);
            places.push((host, memory));
        }
        Ok(places)
    }

    /// A host with room and a size that fits there: the better of two random hosts, the size halved until it fits.
    #[expect(clippy::cast_possible_truncation, reason = "indexes below the length of a vector")]
    fn place(&self, prng: &mut Prng, free: &mut [u64], share: Option<u64>) -> Option<(usize, Mib)> {
        let count = free.len() as u64;
        // Guests leave room for those that come after them: no guest takes more than twice its fair share.
        let fair = self.host_memory.0 * u64::from(self.fill_percent.min(100)) / 100 * count
            / u64::from(self.guests.max(1));
        let drawn = GUEST_SIZES[prng.below(GUEST_SIZES.len() as u64) as usize];
        let mut size = match share {
            None => drawn.min(fair.max(SMALLEST) * 2),
            Some(share) => drawn.saturating_mul(share) / MEAN_SIZE,
        };
        size = (size / SMALLEST * SMALLEST).max(SMALLEST);
        let picks = [prng.below(count) as usize, prng.below(count) as usize];
        let mut host = picks.into_iter().max_by_key(|&host| free.get(host).copied())?;
        if free.get(host).copied()? < size {
            host = (0..free.len()).max_by_key(|&host| (free.get(host).copied(), std::cmp::Reverse(host)))?;
        }
        let room = free.get_mut(host)?;
        while size > *room && size > SMALLEST {
            size = (size / 2).max(SMALLEST);
        }
        if size > *room {
            return None;
        }
        *room -= size;
        Some((host, Mib(size)))
    }
}

fn digits(count: u32) -> usize {
    count.to_string().len().max(2)
}

fn host_view(id: HostId, memory: Mib, fault_domain: Option<String>) -> HostView {
    HostView {
        id,
        memory,
        fault_domain,
        reachable: true,
        boot_id: None,
        active: None,
        banks: [BankView::empty(), BankView::empty()],
        running: None,
        version: None,
        maintenance: false,
        failed_releases: Vec::new(),
        offers: std::collections::BTreeSet::new(),
        pending_reboot: Vec::new(),
    }
}
