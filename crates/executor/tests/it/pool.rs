//! A pool, a plan, a journal: what every test here begins with.

use std::ops::ControlFlow;
use std::path::Path;

use lifeboat_executor::{Executor, ExecutorError, Observer, Options, Snapshot, StepPoint};
use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, Fault, SimKernel, SimPool, SimSpec};
use lifeboat_model::{
    FeatureKind, FeatureView, Plan, Policy, ReleaseRef, ReleaseVersion, RollEnd, RollId, Sha256Hex, World,
};
use lifeboat_store::{Holder, Store};

pub(crate) fn release(serial: u64) -> ReleaseRef {
    ReleaseRef {
        name: "sim-host".to_owned(),
        version: ReleaseVersion(serial.to_string()),
        serial,
        digest: Sha256Hex::of(&serial.to_le_bytes()),
    }
}

pub(crate) fn options() -> Options {
    Options::new(Holder { name: "test".to_owned(), since: "now".to_owned() })
}

/// A pool of values that runs release 1 and is offered release 2, and a plan for it.
pub(crate) fn pool(hosts: u32, guests: u32, policy: &Policy, faults: &[&str]) -> (SimPool, Plan) {
    let feature = FeatureView { kind: FeatureKind::HaAdmissionControl, value: "percent:25".to_owned() };
    let spec = SimSpec { features: vec![feature], ..SimSpec::in_memory(hosts, guests) };
    let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
    pool.offer_release(release(2), SimKernel::always(Behaviour::Good)).unwrap();
    for fault in faults {
        pool.order_fault(fault.parse::<Fault>().unwrap()).unwrap();
    }
    let world = pool.observe().unwrap();
    let plan = plan(&world, policy);
    (pool, plan)
}

pub(crate) fn plan(world: &World, policy: &Policy) -> Plan {
    let plan = lifeboat_plan::plan(world, &release(2), policy, &lifeboat_plan::Options::default()).unwrap();
    assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
    plan
}

/// Dies at the n-th moment.
#[derive(Debug)]
pub(crate) struct Killer {
    pub(crate) left: usize,
    pub(crate) seen: usize,
}

impl Killer {
    pub(crate) fn at(moment: usize) -> Self {
        Self { left: moment, seen: 0 }
    }
}

impl Observer for Killer {
    fn waiting(&mut self, snapshot: Snapshot<'_>) -> ControlFlow<()> {
        promises(snapshot);
        ControlFlow::Continue(())
    }

    fn step(&mut self, _point: StepPoint) -> ControlFlow<()> {
        self.seen += 1;
        if self.seen == self.left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// What holds at every rest of a roll.
fn promises(snapshot: Snapshot<'_>) {
    let allowed = snapshot.journal.plan().policy.in_flight_of(snapshot.world.hosts().len());
    assert!(snapshot.journal.in_flight().count() <= allowed);
    for host in snapshot.world.hosts() {
        assert!(snapshot.world.load_of(&host.id) <= host.memory, "{} is overfull", host.id);
    }
    for run in snapshot.journal.in_flight() {
        let waits = lifeboat_roll::waiting_on(snapshot.world, snapshot.journal, run, snapshot.now);
        assert!(!waits.is_empty(), "{} waits without saying for what", run.host);
    }
}

pub(crate) fn start(
    store: &mut Store,
    pool: &mut SimPool,
    plan: &Plan,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<RollEnd, ExecutorError> {
    let id = RollId::new("r1").unwrap();
    Executor::start(store, pool, &id, plan, &plan.hash().unwrap(), "{}", options)?.run(observer)
}

pub(crate) fn resume(
    store: &mut Store,
    pool: &mut SimPool,
    observer: &mut dyn Observer,
) -> Result<RollEnd, ExecutorError> {
    let id = RollId::new("r1").unwrap();
    Executor::resume(store, pool, &id, options())?.run(observer)
}

pub(crate) fn store(dir: &Path) -> Store {
    Store::open(&dir.join("lifeboat.db")).unwrap()
}

/// What a person sees at the end: hosts with bank, version and service, features, and that no guest suffered.
pub(crate) fn picture(pool: &mut SimPool, end: &RollEnd) -> String {
    let world = pool.observe().unwrap();
    assert!(pool.guests_lost().is_empty(), "{:?}", pool.guests_lost());
    for (id, life) in pool.guest_lives() {
        assert!(life.restarts == 0 && !life.lost && life.moves <= 2, "{id}: {life:?}");
    }
    let hosts: Vec<String> = world
        .hosts()
        .map(|h| {
            let version = h.version.as_ref().unwrap();
            format!("{} {:?} {version} maintenance={} up={}", h.id, h.active, h.maintenance, h.reachable)
        })
        .collect();
    let guests: Vec<String> = world.guests().map(|g| format!("{}@{}", g.id, g.host)).collect();
    let features: Vec<String> = world.features().map(|f| format!("{}={}", f.kind, f.value)).collect();
    format!("{end:?}\n{}\n{}\n{}", hosts.join("\n"), guests.join(" "), features.join(" "))
}

/// A folder in memory if there is one: what dies in these tests is the process, not the power, and a journal that
/// waits for a disk at each of thousands of rolls would show nothing more.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
