//! The simulated pool as a whole: making it, opening it, its queue of things to come, and the driver's trait.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_bundle::TrustStore;
use lifeboat_model::{
    Effect, EffectKey, FeatureKind, GuestId, HostId, Mib, Millis, Outcome, Progress, ReleaseRef, Survey,
    Timestamp, World,
};

use super::clock::{Clock, ClockMode};
use super::prng::Prng;
use super::state::{GuestLife, Job, LostGuest, Power, SimState};
use crate::{DriverError, DriverEvent, HostLook, Hypervisor};

/// What the queue holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Timer {
    /// An effect ends.
    Job(EffectKey),
    /// A host's power or boot goes on.
    Host(HostId),
    /// An effect reports how far it has come.
    Report(EffectKey),
    /// HA starts a guest elsewhere.
    Restart(GuestId),
    /// Power management looks whether a host is still idle.
    Idle(HostId),
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
    /// Guests on their way to each host.
    pub(super) arriving: BTreeMap<HostId, BTreeSet<GuestId>>,
    /// Guests that move, and by which order.
    pub(super) moving: BTreeMap<GuestId, EffectKey>,
    /// Hosts whose reboot somebody waits for, and by which order.
    pub(super) reboots: BTreeMap<HostId, EffectKey>,
    /// Opened only to look: nothing is ordered, nothing goes on, nothing is written.
    pub(super) looks: bool,
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
            arriving: BTreeMap::new(),
            moving: BTreeMap::new(),
            reboots: BTreeMap::new(),
            looks: false,
            ready: Vec::new(),
            changed: true,
        };
        let mut on_host: BTreeMap<&HostId, (Vec<GuestId>, Mib)> = BTreeMap::new();
        for (id, guest) in &pool.state.guests {
            let (there, load) = on_host.entry(&guest.host).or_default();
            there.push(id.clone());
            if guest.running {
                *load += guest.memory;
            }
        }
        for (host, (there, load)) in on_host {
            pool.on_host.insert(host.clone(), there.into_iter().collect());
            pool.load.insert(host.clone(), load);
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
            note_job(&mut pool.arriving, &mut pool.moving, &mut pool.reboots, key, job);
            if let Some(due) = job.due {
                pool.timers.insert((due, job.seq), Timer::Job(key.clone()));
            }
        }
        for (id, host) in &pool.state.hosts {
            if let Some(due) = host.idle {
                pool.timers.insert(due, Timer::Idle(id.clone()));
            }
            match &host.power {
                Power::Up | Power::Dead { .. } | Power::Alone { .. } => {}
                Power::Settling { due, seq } | Power::Booting { due, seq } | Power::Stuck { due, seq } => {
                    pool.timers.insert((*due, *seq), Timer::Host(id.clone()));
                }
            }
        }
        for (id, due) in &pool.state.restarts {
            pool.timers.insert(*due, Timer::Restart(id.clone()));
        }
        pool
    }

    /// An effect is at work from now on.
    pub(super) fn keep_job(&mut self, key: &EffectKey, job: Job) {
        note_job(&mut self.arriving, &mut self.moving, &mut self.reboots, key, &job);
        self.state.jobs.insert(key.clone(), job);
    }

    /// An effect is not at work any more.
    pub(super) fn drop_job(&mut self, key: &EffectKey) -> Option<Job> {
        let job = self.state.jobs.remove(key)?;
        if let Some((guest, _, to)) = job.effect.migration() {
            self.moving.remove(guest);
            if let Some(coming) = self.arriving.get_mut(to) {
                coming.remove(guest);
            }
        } else if let Effect::RebootInto { host, .. } | Effect::Restart { host, .. } = &job.effect {
            self.reboots.remove(host);
        }
        Some(job)
    }

    /// Whether something would have happened by now if a controller had been there: a boot would have ended, orders
    /// wait in the inbox.
    pub fn is_behind(&self) -> bool {
        let due = self.timers.first_key_value().is_some_and(|((due, _), _)| *due <= self.clock.now());
        due || self.has_letters()
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
        let slow = host.map_or(1, |host| self.state.faults.slow(host));
        let scale = u64::from(times.scale_percent);
        Millis((base.0.saturating_mul(percent) / 100 * scale / 100).saturating_mul(slow))
    }

    /// Tells the controller what a host is like now.
    pub(super) fn tell_host(&mut self, id: &HostId) {
        if let Some(host) = self.state.hosts.get(id) {
            self.ready.push(DriverEvent::Host(Box::new(self.state.host_view(id, host))));
            self.changed = true;
        }
    }

    /// Tells the controller what a guest is like now.
    pub(super) fn tell_guest(&mut self, id: &GuestId) {
        if let Some(guest) = self.state.guests.get(id) {
            self.ready.push(DriverEvent::Guest(self.state.guest_view(id, guest)));
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
        if self.looks {
            return;
        }
        let now = self.clock.now();
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let ((at, seq), timer) = entry.remove_entry();
            match timer {
                Timer::Job(key) => self.end_job(&key, seq, at),
                Timer::Host(host) => self.host_timer(&host, seq, at),
                Timer::Report(key) => self.report(&key, at),
                Timer::Restart(guest) => self.restart_timer(&guest, seq, at),
                Timer::Idle(host) => self.idle_timer(&host, seq),
            }
        }
    }

    /// Why nothing can be ordered, if so. The world can still be read: it is as it was seen last, and the
    /// coordinator does not answer.
    pub(super) fn out_of_reach(&self) -> Option<String> {
        let strikes = self.state.faults.coordinator_lost();
        let id = self.state.coordinator.as_ref().filter(|_| strikes)?;
        let host = self.state.hosts.get(id).filter(|host| !host.is_up())?;
        let why = match &host.power {
            Power::Dead { reason } => reason.as_str(),
            Power::Up
            | Power::Settling { .. }
            | Power::Booting { .. }
            | Power::Stuck { .. }
            | Power::Alone { .. } => "it is rebooting",
        };
        Some(format!("the coordinator {id} does not answer: {why}"))
    }

    /// Something changed that is to be written.
    pub(super) fn touch(&mut self) {
        self.changed = true;
    }

    /// Refuses what only a controller may do.
    pub(super) fn only_looks(&self, doing: &str) -> Result<(), DriverError> {
        if !self.looks {
            return Ok(());
        }
        Err(DriverError::Unreachable {
            doing: doing.to_owned(),
            reason: "the simulated pool was opened only to look at it".to_owned(),
            remedy: "open it as its controller".to_owned(),
        })
    }

    /// Writes the state to stable storage, if the pool has a folder and something changed.
    pub(super) fn save(&mut self) -> Result<(), DriverError> {
        let Some(dir) = self.dir.as_ref().filter(|_| self.changed && !self.looks) else { return Ok(()) };
        self.state.now = self.clock.now();
        self.state.anchor = self.clock.anchor();
        self.state.write(dir)?;
        self.changed = false;
        Ok(())
    }
}

/// Takes an effect into the indexes by which it is found again.
fn note_job(
    arriving: &mut BTreeMap<HostId, BTreeSet<GuestId>>,
    moving: &mut BTreeMap<GuestId, EffectKey>,
    reboots: &mut BTreeMap<HostId, EffectKey>,
    key: &EffectKey,
    job: &Job,
) {
    if let Some((guest, _, to)) = job.effect.migration() {
        moving.insert(guest.clone(), key.clone());
        arriving.entry(to.clone()).or_default().insert(guest.clone());
    } else if let Effect::RebootInto { host, .. } | Effect::Restart { host, .. } = &job.effect {
        reboots.insert(host.clone(), key.clone());
    }
}

impl Hypervisor for SimPool {
    fn observe(&mut self) -> Result<World, DriverError> {
        self.take_inbox()?;
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
            state.hosts.iter().map(|(id, host)| state.host_view(id, host)).collect(),
            state.guests.iter().map(|(id, guest)| state.guest_view(id, guest)).collect(),
            state.features.keys().filter_map(|kind| state.feature(*kind)).collect(),
        )?)
    }

    fn survey(&mut self, release: Option<&ReleaseRef>) -> Result<Survey, DriverError> {
        let world = self.observe()?;
        Ok(self.look_closely(world, release))
    }

    fn look_at(&mut self, hosts: &BTreeSet<HostId>) -> Result<Vec<HostLook>, DriverError> {
        self.take_inbox()?;
        self.run_due();
        let state = &self.state;
        let guests = |id: &HostId| {
            let there = self.on_host.get(id).into_iter().flatten();
            there.filter_map(|id| state.guests.get(id).map(|guest| state.guest_view(id, guest))).collect()
        };
        let looks = hosts.iter().filter_map(|id| state.hosts.get(id).map(|host| (id, host)));
        Ok(looks.map(|(id, host)| HostLook { host: state.host_view(id, host), guests: guests(id) }).collect())
    }

    fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError> {
        self.only_looks(&format!("ordering to {effect}"))?;
        self.run_due();
        let now = self.clock.now();
        self.begin(key, effect, now);
        self.changed = true;
        self.save()
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<DriverEvent>, DriverError> {
        self.only_looks("waiting for news")?;
        self.take_inbox()?;
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
