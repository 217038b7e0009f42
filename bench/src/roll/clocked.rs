//! A driver and an observer that note where the time goes.
//!
//! Owns: the stop-watches. Promises: they pass everything on unchanged. Does not: hide their own cost, which is two
//! readings of the clock per call.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use lifeboat_executor::{Observer, Snapshot, StepPoint};
use lifeboat_hypervisor::{DriverError, DriverEvent, HostLook, Hypervisor};
use lifeboat_model::{Effect, EffectKey, Event, HostId, ReleaseRef, Survey, Timestamp, World};

/// Time and number of calls.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Spent {
    pub(crate) time: Duration,
    pub(crate) calls: u64,
}

impl Spent {
    fn add(&mut self, since: Instant) {
        self.time += since.elapsed();
        self.calls += 1;
    }
}

/// A driver with a stop-watch.
#[derive(Debug)]
pub(crate) struct Clocked<H> {
    pub(crate) inner: H,
    pub(crate) observe: Spent,
    pub(crate) look: Spent,
    pub(crate) order: Spent,
    pub(crate) poll: Spent,
}

impl<H> Clocked<H> {
    pub(crate) fn new(inner: H) -> Self {
        Self {
            inner,
            observe: Spent::default(),
            look: Spent::default(),
            order: Spent::default(),
            poll: Spent::default(),
        }
    }
}

impl<H: Hypervisor> Hypervisor for Clocked<H> {
    fn observe(&mut self) -> Result<World, DriverError> {
        let began = Instant::now();
        let world = self.inner.observe();
        self.observe.add(began);
        world
    }

    fn look_at(&mut self, hosts: &BTreeSet<HostId>) -> Result<Vec<HostLook>, DriverError> {
        let began = Instant::now();
        let looks = self.inner.look_at(hosts);
        self.look.add(began);
        looks
    }

    fn survey(&mut self, release: Option<&ReleaseRef>) -> Result<Survey, DriverError> {
        self.inner.survey(release)
    }

    fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError> {
        let began = Instant::now();
        let done = self.inner.start(key, effect);
        self.order.add(began);
        done
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<DriverEvent>, DriverError> {
        let began = Instant::now();
        let news = self.inner.poll(wait);
        self.poll.add(began);
        news
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }
}

/// Notes the time of appends, and ends the controller at its limit.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) append: Spent,
    pub(crate) events: u64,
    began: Option<Instant>,
    start: Instant,
    limit: Duration,
    told: Instant,
}

impl Watch {
    pub(crate) fn new(limit: Duration) -> Self {
        let now = Instant::now();
        Self { append: Spent::default(), events: 0, began: None, start: now, limit, told: now }
    }
}

impl Observer for Watch {
    fn appended(&mut self, events: &[Event], snapshot: Snapshot<'_>) {
        self.events += events.len() as u64;
        if self.told.elapsed() > Duration::from_secs(15) {
            self.told = Instant::now();
            let (done, all) = (snapshot.journal.committed(), snapshot.journal.hosts().len());
            eprintln!(
                "{:>5.0} s: {done} of {all} hosts, {} events",
                self.start.elapsed().as_secs_f64(),
                self.events
            );
        }
    }

    fn step(&mut self, point: StepPoint) -> ControlFlow<()> {
        match point {
            StepPoint::BeforeAppend => self.began = Some(Instant::now()),
            StepPoint::AfterAppend => {
                if let Some(began) = self.began.take() {
                    self.append.add(began);
                }
            }
            StepPoint::BeforeEffect | StepPoint::AfterEffect | StepPoint::AfterPoll => {}
        }
        if self.start.elapsed() > self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
