//! The simulated pool as a whole: making it, opening it, its queue of things to come, and the driver's trait.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_bundle::TrustStore;
use lifeboat_model::{
    Effect, EffectKey, FeatureKind, GuestId, HostId, Mib, Millis, Outcome, Progress, ReleaseRef, Timestamp,
    World,
};

use super::clock::{Clock, ClockMode};
use super::fault::Fault;
use super::kernel::SimKernel;
use super::prng::Prng;
use super::state::{GuestLife, LostGuest, Offered, Power, SimState};
use crate::{DriverError, DriverEvent, Hypervisor};

/// What the queue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// An effect ends.
    Job(EffectKey),
    /// A host's power or boot goes on.
    Host(HostId),
    /// An effect reports how far it has come.
    Report(EffectKey),
}

/// A simulated pool.
#[derive(Debug)]
pub struct SimPool {
    pub(super) dir: Option<PathBuf>,
    /// Whose releases the hosts take; none in a pool without disks.
    pub(super) trust: Option<TrustStore>,
    /// Held as long as this controller lives.
    pub(super) lock: Option<File>,
    pub(super) state: SimState,
    clock: Clock,
    timers: BTreeMap<(Timestamp, u64), Timer>,
    pub(super) on_host: BTreeMap<HostId, BTreeSet<GuestId>>,
    /// Memory in use on each host, with what is on its way there.
    pub(super) load: BTreeMap<HostId, Mib>,
    ready: Vec<DriverEvent>,
    changed: bool,
}

impl SimPool {
    /// Puts a state to work: indexes, queue, clock.
    pub(super) fn running(dir: Option<PathBuf>, state: SimState, mode: ClockMode) -> Self {
        let clock = Clock::go_on(mode, state.now, state.anchor);
        let mut pool = Self {
            dir,
            trust: None,
            lock: None,
            state,
            clock,
            timers: BTreeMap::new(),
            on_host: BTreeMap::new(),
            load: BTreeMap::new(),
            ready: Vec::new(),
            changed: true,
        };
        for (id, guest) in &pool.state.guests {
            pool.on_host.entry(guest.host.clone()).or_default().insert(id.clone());
            if guest.running {
                *pool.load.entry(guest.host.clone()).or_default() += guest.memory;
            }
        }
        // A migration is carried out by its hosts and goes on without its controller. Everything else was done
        // for a controller that is gone, and starts over when it is ordered again.
        pool.state.jobs.retain(|_, job| job.effect.migration().is_some());
        for (key, job) in &pool.state.jobs {
            if let Some((guest, _, to)) = job.effect.migration()
                && let Some(guest) = pool.state.guests.get(guest)
            {
                *pool.load.entry(to.clone()).or_default() += guest.memory;
            }
            if let Some(due) = job.due {
                pool.timers.insert((due, job.seq), Timer::Job(key.clone()));
            }
        }
        for (id, host) in &pool.state.hosts {
            match &host.power {
                Power::Up | Power::Dead { .. } => {}
                Power::Settling { due, seq } | Power::Booting { due, seq } | Power::Stuck { due, seq } => {
                    pool.timers.insert((*due, *seq), Timer::Host(id.clone()));
                }
            }
        }
        pool
    }

    /// Offers a release to the hosts of a pool without disks; `kernel` says what its boots do.
    ///
    /// # Errors
    /// [`DriverError`] if the pool's state cannot be written.
    pub fn offer_release(&mut self, release: ReleaseRef, kernel: SimKernel) -> Result<(), DriverError> {
        self.offer(Offered { release, kernel: Some(kernel), bundle: None })
    }

    pub(super) fn offer(&mut self, offered: Offered) -> Result<(), DriverError> {
        self.state.releases.retain(|known| known.release.digest != offered.release.digest);
        self.state.releases.push(offered);
        self.changed = true;
        self.save()
    }

    /// Orders a fault. It stays until [`SimPool::clear_faults`], except one that counts how often it strikes.
    ///
    /// # Errors
    /// [`DriverError`] if the fault names a host or guest that the pool does not have, or if the pool's state
    /// cannot be written.
    pub fn order_fault(&mut self, fault: Fault) -> Result<(), DriverError> {
        let known = match &fault {
            Fault::NoBoot { host }
            | Fault::NeverReturns { host }
            | Fault::DiskError { host, .. }
            | Fault::NeverEnds { host, .. }
            | Fault::Slow { host, .. } => self.state.hosts.contains_key(host),
            Fault::MigrationFails { guest, .. } => self.state.guests.contains_key(guest),
            Fault::CoordinatorLost { .. } => self.state.coordinator.is_some(),
        };
        if !known {
            return Err(DriverError::Unreachable {
                doing: format!("ordering the fault {fault}"),
                reason: format!("pool {} has no such host, guest or role", self.state.pool),
                remedy: "name a host (h01, h02, …) or a guest (g01, g02, …) of the pool".to_owned(),
            });
        }
        self.state.faults.push(fault);
        self.changed = true;
        self.save()
    }

    /// Ends all faults. A host that is down because of one stays down until [`SimPool::press_reset`].
    ///
    /// # Errors
    /// [`DriverError`] if the pool's state cannot be written.
    pub fn clear_faults(&mut self) -> Result<(), DriverError> {
        self.state.faults.clear();
        self.changed = true;
        self.save()
    }

    /// The faults that are ordered.
    pub fn faults(&self) -> &[Fault] {
        &self.state.faults
    }

    /// Guests whose host went down under them; empty if all is well.
    pub fn guests_lost(&self) -> &[LostGuest] {
        &self.state.lost
    }

    /// What a guest went through.
    pub fn guest_life(&self, guest: &GuestId) -> Option<&GuestLife> {
        self.state.guests.get(guest).map(|guest| &guest.life)
    }

    /// What all guests went through, by name.
    pub fn guest_lives(&self) -> impl Iterator<Item = (&GuestId, &GuestLife)> {
        self.state.guests.iter().map(|(id, guest)| (id, &guest.life))
    }

    /// The folder of the pool, if it has one.
    pub fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Moves the pool on by `time`, whatever happens meanwhile, and drops the events. For tests and demos that
    /// look at a pool between two controllers; a scaled clock really waits.
    ///
    /// # Errors
    /// As [`Hypervisor::poll`].
    pub fn let_pass(&mut self, time: Millis) -> Result<(), DriverError> {
        let end = self.now().after(time);
        while self.now() < end {
            let left = end.since(self.now());
            self.clock.wait(self.timers.keys().next().map(|(due, _)| *due), left.duration());
            self.run_due();
        }
        self.ready.clear();
        self.save()
    }

    /// The number that a new entry of the queue gets: entries of one time are done in their order.
    fn next_seq(&mut self) -> u64 {
        self.state.seq += 1;
        self.state.seq
    }

    /// Puts something into the queue and tells when and under which number.
    pub(super) fn schedule(&mut self, at: Timestamp, timer: Timer) -> (Timestamp, u64) {
        let entry = (at, self.next_seq());
        self.timers.insert(entry, timer);
        self.changed = true;
        entry
    }

    /// How long something takes here: its time with jitter, slowness of the host, and the scale of the pool.
    pub(super) fn duration(&self, base: Millis, name: &str, host: Option<&HostId>) -> Millis {
        let times = &self.state.spec.times;
        let mut prng = Prng::named(self.state.spec.seed, &format!("{name}/{}", self.state.seq));
        let jitter = u64::from(times.jitter_percent.min(90));
        let percent = 100 - jitter + prng.below(2 * jitter + 1);
        let slow = self.state.faults.iter().find_map(|fault| match fault {
            Fault::Slow { host: slow, factor } if Some(slow) == host => Some(u64::from(*factor)),
            Fault::Slow { .. }
            | Fault::NoBoot { .. }
            | Fault::MigrationFails { .. }
            | Fault::NeverReturns { .. }
            | Fault::CoordinatorLost { .. }
            | Fault::DiskError { .. }
            | Fault::NeverEnds { .. } => None,
        });
        let scale = u64::from(times.scale_percent);
        Millis((base.0.saturating_mul(percent) / 100 * scale / 100).saturating_mul(slow.unwrap_or(1)))
    }

    /// Tells the controller what a host is like now.
    pub(super) fn tell_host(&mut self, id: &HostId) {
        if let Some(host) = self.state.hosts.get(id) {
            self.ready.push(DriverEvent::Host(Box::new(host.view(id))));
            self.changed = true;
        }
    }

    /// Tells the controller what a guest is like now.
    pub(super) fn tell_guest(&mut self, id: &GuestId) {
        if let Some(guest) = self.state.guests.get(id) {
            self.ready.push(DriverEvent::Guest(guest.view(id)));
            self.changed = true;
        }
    }

    /// Tells the controller what a feature is like now.
    pub(super) fn tell_feature(&mut self, kind: FeatureKind) {
        if let Some(feature) = self.state.feature(kind) {
            self.ready.push(DriverEvent::Feature(feature));
            self.changed = true;
        }
    }

    /// Tells the controller how an effect ended.
    pub(super) fn tell_outcome(&mut self, key: EffectKey, outcome: Outcome) {
        self.ready.push(DriverEvent::Outcome { key, outcome });
    }

    /// Tells the controller how far an effect has come.
    pub(super) fn tell_progress(&mut self, key: EffectKey, progress: Progress) {
        self.ready.push(DriverEvent::Progress { key, progress });
    }

    /// Does everything that is due by now, in order.
    fn run_due(&mut self) {
        let now = self.clock.now();
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let ((at, seq), timer) = entry.remove_entry();
            match timer {
                Timer::Job(key) => self.end_job(&key, seq, at),
                Timer::Host(host) => self.host_timer(&host, seq, at),
                Timer::Report(key) => self.report(&key, at),
            }
        }
    }

    /// Why nothing can be ordered, if so. The world can still be read: it is as it was seen last, and the
    /// coordinator does not answer.
    pub(super) fn out_of_reach(&self) -> Option<String> {
        let strikes = self.state.faults.iter().any(|fault| matches!(fault, Fault::CoordinatorLost { .. }));
        let id = self.state.coordinator.as_ref().filter(|_| strikes)?;
        let host = self.state.hosts.get(id).filter(|host| !host.is_up())?;
        let why = match &host.power {
            Power::Dead { reason } => reason.as_str(),
            Power::Up | Power::Settling { .. } | Power::Booting { .. } | Power::Stuck { .. } => {
                "it is rebooting"
            }
        };
        Some(format!("the coordinator {id} does not answer: {why}"))
    }

    /// Writes the state to stable storage, if the pool has a folder and something changed.
    pub(super) fn save(&mut self) -> Result<(), DriverError> {
        let Some(dir) = self.dir.as_ref().filter(|_| self.changed) else { return Ok(()) };
        self.state.now = self.clock.now();
        self.state.anchor = self.clock.anchor();
        self.state.write(dir)?;
        self.changed = false;
        Ok(())
    }
}

impl Hypervisor for SimPool {
    fn observe(&mut self) -> Result<World, DriverError> {
        self.run_due();
        // What is read here is newer than any event that waits; only outcomes are still to be told.
        self.ready.retain(|event| match event {
            DriverEvent::Outcome { .. } => true,
            DriverEvent::Host(_)
            | DriverEvent::Guest(_)
            | DriverEvent::GuestGone(_)
            | DriverEvent::Feature(_)
            | DriverEvent::Progress { .. } => false,
        });
        self.save()?;
        let state = &self.state;
        Ok(World::new(
            state.pool.clone(),
            state.coordinator.clone(),
            state.hosts.iter().map(|(id, host)| host.view(id)).collect(),
            state.guests.iter().map(|(id, guest)| guest.view(id)).collect(),
            state.features.keys().filter_map(|kind| state.feature(*kind)).collect(),
        )?)
    }

    fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError> {
        self.run_due();
        let now = self.clock.now();
        self.begin(key, effect, now);
        self.changed = true;
        self.save()
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<DriverEvent>, DriverError> {
        self.run_due();
        if self.ready.is_empty() {
            self.clock.wait(self.timers.keys().next().map(|(due, _)| *due), wait);
            self.run_due();
        }
        self.save()?;
        Ok(std::mem::take(&mut self.ready))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
