//! Random rolls: the real executor on a journal file and the simulated pool, killed, resumed, ordered about, with
//! faults that come and go, and a person who changes features. After every step the laws of [`crate::laws`] hold; at
//! the end everything is as it was, but for the release.
//!
//! The model beside it is small on purpose: it knows which pool and policy there is and which orders have a meaning.
//! What is right is said by the laws, not by a second implementation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use lifeboat_executor::{Executor, ExecutorError, StepPoint};
use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, Fault, SimKernel, SimPool, SimSpec};
use lifeboat_model::{
    After, Approve, Effect, EffectKey, FeatureKind, FeatureView, Gate, GuestRule, GuestStrategy, Hook,
    HookStage, HostId, InFlight, Millis, OnFailure, OperatorVerb, Phase, Placement, Plan, Policy, RollEnd,
    RollId, Window, World,
};
use lifeboat_roll::{Journal, Status};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use crate::laws::{Lawful, free, restored, unharmed};
use crate::pool::{folder, options, release, store};

/// A pool and a policy.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    hosts: u32,
    guests: u32,
    fill: u32,
    seed: u64,
    domains: u32,
    policy: Policy,
}

/// One thing that happens.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A controller runs until this moment of this kind, then dies.
    Run(usize, Option<StepPoint>),
    /// A person orders something.
    Order(OperatorVerb),
    /// Something breaks.
    Break(String),
    /// Everything is mended: faults are gone, dead hosts are reset.
    Mend,
    /// A person gives a feature another value.
    Touch(String),
    /// So many seconds pass without a controller.
    Pass(u64),
}

const POINTS: [StepPoint; 5] = [
    StepPoint::BeforeAppend,
    StepPoint::AfterAppend,
    StepPoint::BeforeEffect,
    StepPoint::AfterEffect,
    StepPoint::AfterPoll,
];
const FEATURES: [(FeatureKind, &str); 2] =
    [(FeatureKind::HaAdmissionControl, "percent:25"), (FeatureKind::LoadBalancer, "aggressive")];

static KILLS: AtomicUsize = AtomicUsize::new(0);
static ROLLS: AtomicUsize = AtomicUsize::new(0);
static CONTROLLERS: AtomicUsize = AtomicUsize::new(0);

fn host(number: u32) -> HostId {
    HostId::new(format!("h{number:02}")).unwrap()
}

fn policies() -> impl Strategy<Value = Policy> {
    let failure = prop_oneof![
        3 => Just(OnFailure::Stop),
        2 => Just(OnFailure::Pause),
        2 => (1_u32..3).prop_map(OnFailure::Continue),
    ];
    let placement = prop_oneof![3 => Just(Placement::Keep), 1 => Just(Placement::Restore), 1 => Just(Placement::Rebalance)];
    let approve =
        prop_oneof![4 => Just(Approve::Plan), 1 => Just(Approve::FirstWave), 1 => Just(Approve::EveryWave)];
    let stop = prop_oneof![2 => Just(None), 1 => (1_u32..6).prop_map(Some)];
    let commands = prop_oneof![6 => Just((false, false)), 1 => Just((true, false)), 1 => Just((false, true))];
    let window = prop_oneof![5 => Just(false), 1 => Just(true)];
    ((1_u32..4, 0_u32..2, 1_u32..4, failure), (placement, approve, stop, commands, window)).prop_map(
        |((hosts, reserve_hosts, attempts, on_failure), (placement, approve, stop, (hook, gate), window))| {
            let guests = stop.map(|guest| GuestRule {
                guests: vec![format!("g{guest:02}")],
                strategy: GuestStrategy::StopStart,
            });
            let command = vec!["/bin/true".to_owned()];
            let hooks = HookStage::ALL.into_iter().filter(|_| hook).map(|stage| Hook {
                name: format!("note-{stage}"),
                stage,
                command: command.clone(),
                hosts: vec!["h02".to_owned()],
                timeout: Millis::from_secs(60),
                warn_after: None,
            });
            let gates = gate.then(|| Gate {
                name: "quiet".to_owned(),
                command: command.clone(),
                after: After::EveryWave,
                timeout: Millis::from_secs(60),
                attempts: 2,
                delay: Millis::from_secs(5),
            });
            let windows = window.then(|| Window {
                days: Vec::new(),
                from: "22:00".to_owned(),
                to: "04:00".to_owned(),
                zone: "Europe/Vienna".to_owned(),
            });
            Policy {
                max_in_flight: InFlight::Hosts(hosts),
                reserve_hosts,
                attempts,
                on_failure,
                placement,
                approve,
                guests: guests.into_iter().collect(),
                hooks: hooks.collect(),
                gates: gates.into_iter().collect(),
                windows: windows.into_iter().collect(),
                ..Policy::default()
            }
        },
    )
}

fn setups() -> impl Strategy<Value = Setup> {
    let fill = prop_oneof![2 => 45_u32..65, 2 => 65_u32..84];
    (3_u32..7, 1_u32..6, fill, 0_u64..1_000_000, 0_u32..3, policies()).prop_map(
        |(hosts, each, fill, seed, domains, policy)| {
            let domains = if domains == 1 { 2 } else { 0 };
            Setup { hosts, guests: hosts * each, fill, seed, domains, policy }
        },
    )
}

fn verbs(setup: &Setup) -> impl Strategy<Value = OperatorVerb> + use<> {
    let policy = setup.policy.clone();
    let hosts = setup.hosts;
    prop_oneof![
        3 => Just(OperatorVerb::Pause),
        4 => Just(OperatorVerb::Resume),
        2 => Just(OperatorVerb::PauseAfterHost),
        2 => Just(OperatorVerb::Stop),
        1 => Just(OperatorVerb::Abort),
        2 => Just(OperatorVerb::HandOver),
        3 => (2_u32..5).prop_map(|wave| OperatorVerb::Approve { wave }),
        1 => (1..=hosts).prop_map(|number| OperatorVerb::Skip { host: host(number) }),
        2 => (1..=hosts).prop_map(|number| OperatorVerb::Retry { host: host(number) }),
        2 => (1_u32..4, 1_u32..4).prop_map(move |(k, attempts)| {
            let max_in_flight = InFlight::Hosts(k);
            OperatorVerb::SetPolicy { policy: Box::new(Policy { max_in_flight, attempts, ..policy.clone() }) }
        }),
    ]
}

fn faults(hosts: u32) -> impl Strategy<Value = String> {
    let steps =
        ["check", "save-state", "enter-maintenance", "leave-maintenance", "migrate", "stage", "install"];
    prop_oneof![
        (1..=hosts).prop_map(|h| format!("no-boot:h{h:02}")),
        (1..=hosts).prop_map(|h| format!("never-returns:h{h:02}")),
        (1_u32..7, 1_u32..3).prop_map(|(g, times)| format!("migration-fails:g{g:02}:{times}")),
        (1_u32..7).prop_map(|g| format!("migration-fails:g{g:02}")),
        (1..=hosts, prop::sample::select(steps.to_vec()))
            .prop_map(|(h, s)| format!("never-ends:h{h:02}:{s}")),
        Just("coordinator-lost".to_owned()),
        (1..=hosts, 2_u32..6).prop_map(|(h, factor)| format!("slow:h{h:02}:{factor}")),
    ]
}

/// The model.
pub(crate) struct Model;

impl ReferenceStateMachine for Model {
    type State = Setup;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Setup> {
        setups().boxed()
    }

    fn transitions(setup: &Setup) -> BoxedStrategy<Step> {
        let point = prop_oneof![2 => Just(None), 3 => prop::sample::select(POINTS.to_vec()).prop_map(Some)];
        let moment = prop_oneof![4 => 1_usize..12, 3 => 12_usize..60];
        prop_oneof![
            10 => (moment, point).prop_map(|(moment, point)| Step::Run(moment, point)),
            4 => verbs(setup).prop_map(Step::Order),
            2 => faults(setup.hosts).prop_map(Step::Break),
            1 => Just(Step::Mend),
            1 => prop::sample::select(vec!["percent:50", "other"]).prop_map(|value| Step::Touch(value.to_owned())),
            2 => prop::sample::select(vec![3_u64, 60, 900, 7200]).prop_map(Step::Pass),
        ]
        .boxed()
    }

    fn apply(setup: Setup, _: &Step) -> Setup {
        setup
    }
}

/// A pool in the middle of its roll.
#[derive(Debug)]
pub(crate) struct Room {
    dir: tempfile::TempDir,
    pool: SimPool,
    plan: Plan,
    before: World,
    begun: bool,
    end: Option<RollEnd>,
    touched: BTreeMap<FeatureKind, String>,
    allowed: usize,
    /// Free memory may be less than the reserve: something broke, or was so from the beginning.
    harmed: bool,
}

fn roll() -> RollId {
    RollId::new("r1").unwrap()
}

/// A plan for what can be upgraded; hosts that cannot are left out.
fn planned(world: &World, policy: &Policy) -> Option<Plan> {
    let mut options = lifeboat_plan::Options::default();
    for _ in 0..world.hosts().len() {
        let plan = lifeboat_plan::plan(world, &release(2), policy, &options).ok()?;
        if plan.blocked.is_empty() {
            return (!plan.steps.is_empty()).then_some(plan);
        }
        options.exclude.extend(plan.blocked.iter().map(|blocked| blocked.host.clone()));
    }
    None
}

impl Room {
    fn new(setup: &Setup) -> Option<Self> {
        let features = FEATURES.map(|(kind, value)| FeatureView { kind, value: value.to_owned() });
        let spec = SimSpec {
            features: features.to_vec(),
            fill_percent: setup.fill,
            seed: setup.seed,
            fault_domains: setup.domains,
            ..SimSpec::in_memory(setup.hosts, setup.guests)
        };
        let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).ok()?;
        pool.offer_release(release(2), SimKernel::always(Behaviour::Good)).unwrap();
        let before = pool.observe().unwrap();
        let plan = planned(&before, &setup.policy)?;
        let allowed = setup.policy.in_flight_of(before.hosts().len());
        ROLLS.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            dir: folder(),
            pool,
            plan,
            before,
            begun: false,
            end: None,
            touched: BTreeMap::new(),
            allowed,
            harmed: false,
        })
    }

    /// A controller runs until it dies, leaves, or has brought the roll to its end.
    fn run(&mut self, mut observer: Lawful) -> Lawful {
        CONTROLLERS.fetch_add(1, Ordering::Relaxed);
        observer.allowed = self.allowed;
        observer.patience = observer.patience.min(4000);
        let mut options = options();
        options.wait = std::time::Duration::from_secs(20);
        let mut store = store(self.dir.path());
        let hash = self.plan.hash().unwrap();
        let made = if self.begun {
            Executor::resume(&mut store, &mut self.pool, &roll(), options)
        } else {
            Executor::start(&mut store, &mut self.pool, &roll(), &self.plan, &hash, "{}", options)
        };
        match made {
            Ok(mut executor) => {
                self.begun = true;
                let status = executor.run(&mut observer);
                match status {
                    Ok(end) => {
                        assert!(matches!(executor.journal().status(), Status::Ended(_)));
                        self.end = Some(end);
                    }
                    Err(ExecutorError::Left { .. }) => {}
                    Err(other) => {
                        panic!("{other}: {:?}", std::error::Error::source(&other).map(ToString::to_string))
                    }
                }
            }
            Err(ExecutorError::Ended { .. }) => {}
            Err(ExecutorError::Stale { .. }) if !self.begun => {}
            Err(other) => panic!("{other}"),
        }
        if observer.died {
            KILLS.fetch_add(1, Ordering::Relaxed);
        }
        self.allowed = self.allowed.max(observer.allowed);
        observer
    }

    fn order(&mut self, verb: &OperatorVerb) {
        if self.begun {
            let store = store(self.dir.path());
            store.request(&roll(), verb, "somebody", self.pool.now()).unwrap();
        }
    }

    /// The roll as its journal tells it.
    fn journal(&self) -> Journal {
        let store = store(self.dir.path());
        let row = store.roll(&roll()).unwrap();
        let mut journal = Journal::new(row.plan.clone(), row.plan_hash);
        for link in store.events(&row, 0).unwrap() {
            journal.apply(&link.event).unwrap();
        }
        journal
    }

    /// As a person does it, not a roll.
    fn touch(&mut self, value: &str) {
        let (feature, _) = FEATURES[0];
        let original = value.to_owned();
        let key = EffectKey(format!("person/{feature}"));
        self.pool.start(&key, &Effect::RestoreFeature { feature, original: original.clone() }).unwrap();
        self.pool.let_pass(Millis::from_secs(10)).unwrap();
        let seen = self.pool.observe().unwrap();
        if seen.feature(feature).is_some_and(|feature| feature.value == original) {
            self.touched.insert(feature, original);
        }
    }

    fn mend(&mut self) {
        self.pool.clear_faults().unwrap();
        let world = self.pool.observe().unwrap();
        for host in world.hosts().filter(|host| !host.reachable) {
            // One that is on its way up anyway is not reset.
            let _ = self.pool.press_reset(&host.id);
        }
    }

    /// Brings the roll to an end, as a person would who mends everything and goes on.
    fn finish(&mut self) {
        if !self.begun {
            return;
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            self.mend();
            self.pool.let_pass(Millis::from_secs(3600)).unwrap();
            let observer = self.run(Lawful::new(0, None));
            let over = {
                let store = store(self.dir.path());
                store.roll(&roll()).unwrap().state != lifeboat_store::RollState::Active
            };
            if over {
                return;
            }
            waits = observer.waits;
            self.order(&OperatorVerb::Approve { wave: 99 });
            self.order(&OperatorVerb::Resume);
        }
        panic!("the roll comes to no end: {waits:#?}");
    }
}

/// Hosts that a person was asked to look at.
fn asked(journal: &Journal) -> BTreeSet<HostId> {
    let asked = journal.hosts().iter().filter(|run| matches!(run.phase, Phase::NeedsYou { .. }));
    asked.map(|run| run.host.clone()).collect()
}

/// The real thing beside the model.
pub(crate) struct Rolls;

impl StateMachineTest for Rolls {
    type SystemUnderTest = Option<Room>;
    type Reference = Model;

    fn init_test(setup: &Setup) -> Option<Room> {
        Room::new(setup)
    }

    fn apply(room: Option<Room>, _: &Setup, step: Step) -> Option<Room> {
        let mut room = room?;
        match step {
            Step::Run(moment, kind) => {
                room.run(Lawful::new(moment, kind));
            }
            Step::Order(verb) => room.order(&verb),
            Step::Break(text) => {
                // Guests that the pool does not have cannot break.
                if room.pool.order_fault(text.parse::<Fault>().unwrap()).is_ok() {
                    room.harmed = true;
                }
            }
            Step::Mend => room.mend(),
            Step::Touch(value) => room.touch(&value),
            Step::Pass(seconds) => room.pool.let_pass(Millis::from_secs(seconds)).unwrap(),
        }
        Some(room)
    }

    fn check_invariants(room: &Option<Room>, _: &Setup) {
        let Some(room) = room else { return };
        assert!(room.pool.guests_lost().is_empty(), "{:?}", room.pool.guests_lost());
        // The journal can be read by anybody, at any time, and its chain holds.
        if room.begun {
            let store = store(room.dir.path());
            let row = store.roll(&roll()).unwrap();
            let links = store.events(&row, 0).unwrap();
            assert!(links.windows(2).all(|pair| pair[0].event.fence <= pair[1].event.fence));
        }
    }

    fn teardown(room: Option<Room>, _: Setup) {
        let Some(mut room) = room else { return };
        let world = unharmed(&mut room.pool, &room.plan);
        if !room.harmed {
            let largest = world.hosts().map(|host| i128::from(host.memory.0)).max().unwrap();
            let reserve = largest * i128::from(room.plan.policy.reserve_hosts);
            assert!(free(&world) >= reserve.min(free(&room.before) - largest), "the reserve is used up");
        }
        room.finish();
        if room.begun {
            let asked = asked(&room.journal());
            restored(&mut room.pool, &room.plan, &room.before, &room.touched, &asked);
        }
    }
}

fn config(cases: u32, seed: u64) -> Config {
    let mut config = Config { max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    // The same every time unless somebody asks for more.
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(seed);
    }
    config
}

#[test]
fn whatever_happens_to_a_roll_no_guest_suffers_and_everything_is_put_back() {
    let config = config(150, 22);
    let strategy = Model::sequential_strategy(4..24);
    let result = TestRunner::new(config.clone()).run(&strategy, |(setup, steps, seen)| {
        Rolls::test_sequential(config.clone(), setup, steps, seen);
        Ok(())
    });
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let (rolls, controllers, kills) = (count(&ROLLS), count(&CONTROLLERS), count(&KILLS));
    eprintln!("{rolls} random rolls, {controllers} controllers, {kills} of them killed");
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(rolls > 100 && kills > 300, "{rolls} rolls, {kills} kills");
}

#[test]
fn a_value_that_is_set_before_a_dead_controllers_suspension_is_repeated_is_kept() {
    let setup = Setup { hosts: 3, guests: 3, fill: 45, seed: 0, domains: 0, policy: Policy::default() };
    let mut room = Room::new(&setup).unwrap();
    // The intent is durable, its effect was not ordered.
    room.run(Lawful::new(1, Some(StepPoint::BeforeEffect)));
    let (feature, _) = FEATURES[0];
    let value = "percent:50".to_owned();
    let touch = Effect::RestoreFeature { feature, original: value.clone() };
    room.pool.start(&EffectKey("person".to_owned()), &touch).unwrap();
    room.pool.let_pass(Millis::from_secs(10)).unwrap();
    room.finish();
    assert_eq!(room.pool.observe().unwrap().feature(feature).unwrap().value, value);
}
