//! Small pools with their plans, and how much may go wrong in them.

use std::sync::Arc;

use lifeboat_model::{
    Bank, BankState, BankView, Effect, FeatureKind, FeatureView, Figures, GuestId, GuestStop, GuestView,
    HostView, InFlight, Mib, Millis, Movable, Move, OperatorVerb, PLAN_SCHEMA, Plan, PlanStep, Policy,
    PoolName, Timeouts, Timestamp, World,
};

use crate::toy::{guest, host, release};

/// What one guest takes; hosts are so many slots wide.
pub(crate) const SLOT: Mib = Mib::from_gib(4);
/// One step of the abstract clock: longer than every wait and every limit of the policy below.
pub(crate) const TICK: Millis = Millis::from_secs(3600);
/// When every search begins.
pub(crate) const START: Timestamp = Timestamp(1_000_000_000);

/// How often each thing may happen in one behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    /// The controller dies.
    pub(crate) crashes: u8,
    /// The controller sleeps, another may take over, and it wakes up.
    pub(crate) sleeps: u8,
    /// An effect fails, and may be tried again.
    pub(crate) again: u8,
    /// An effect fails for good.
    pub(crate) firm: u8,
    /// A host falls back to its old bank.
    pub(crate) back: u8,
    /// A host never returns from its reboot.
    pub(crate) gone: u8,
    /// A person's order, one of [`Scene::verbs`].
    pub(crate) verbs: u8,
    /// A person changes a feature.
    pub(crate) touches: u8,
    /// Limits pass while an effect is still under way.
    pub(crate) slow: u8,
    /// Maintenance windows open or close.
    pub(crate) windows: u8,
    /// A hook says that nothing is to be done.
    pub(crate) nothing: u8,
    /// A person brings a guest to a host in maintenance.
    pub(crate) strays: u8,
}

/// One pool, its plan, and what may happen.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    pub(crate) plan: Arc<Plan>,
    pub(crate) budget: Budget,
    pub(crate) verbs: Vec<OperatorVerb>,
    /// Values that a person may give a feature.
    pub(crate) values: Vec<&'static str>,
    /// The outcome of an effect may be heard later than what it did is seen.
    pub(crate) late_news: bool,
    /// A new bank boots on trial, and is blessed later.
    pub(crate) trial: bool,
    /// A controller may fall asleep between its intent and its order, and order when it wakes.
    pub(crate) late_orders: bool,
    /// Memory that must stay free; `None` where guests came after the plan was made and nothing was reckoned for them.
    pub(crate) reserve: Option<Mib>,
    /// Only effects for which this says yes may fail.
    pub(crate) may_fail: fn(&Effect) -> bool,
}

/// A pool: its width, its guests, and how its roll is to go.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) slots: u64,
    /// Guests of each host.
    pub(crate) guests: Vec<usize>,
    pub(crate) width: u32,
    pub(crate) domains: Vec<&'static str>,
    pub(crate) reserve_hosts: u32,
    pub(crate) features: Vec<(FeatureKind, &'static str)>,
    /// The plan was made before this guest came: there is no room for it where it is sent.
    pub(crate) tight: bool,
    /// The last guest of this host is stopped and started instead of moved.
    pub(crate) stops: Option<usize>,
    /// Guests that are moved after the last host, and where to.
    pub(crate) placement: Vec<(usize, usize)>,
    /// This host waits for a reboot.
    pub(crate) pending: Option<usize>,
    pub(crate) policy: Policy,
}

impl Shape {
    /// So many slots on each host, and so many guests on each; one host at a time; high availability is on.
    pub(crate) fn new(slots: u64, guests: &[usize]) -> Self {
        Self {
            slots,
            guests: guests.to_vec(),
            width: 1,
            domains: Vec::new(),
            reserve_hosts: 0,
            features: vec![(FeatureKind::HaAdmissionControl, "percent:25")],
            tight: false,
            stops: None,
            placement: Vec::new(),
            pending: None,
            policy: policy(),
        }
    }

    pub(crate) fn wide(mut self, width: u32) -> Self {
        self.width = width;
        self
    }

    /// The scene of this pool, in which nothing goes wrong yet.
    pub(crate) fn scene(self, name: &'static str) -> Scene {
        let world = self.world();
        let reserve = (!self.tight).then_some(Mib(SLOT.0 * self.slots * u64::from(self.reserve_hosts)));
        Scene {
            name,
            plan: Arc::new(self.plan(&world)),
            world,
            budget: Budget::default(),
            verbs: Vec::new(),
            values: Vec::new(),
            late_news: false,
            trial: false,
            late_orders: false,
            reserve,
            may_fail: |_| true,
        }
    }

    fn world(&self) -> World {
        let hosts = (0..self.guests.len()).map(|at| HostView {
            id: host(at),
            memory: Mib(SLOT.0 * self.slots),
            fault_domain: self.domains.get(at).map(|&domain| domain.to_owned()),
            reachable: true,
            boot_id: Some("0".to_owned()),
            active: Some(Bank::A),
            banks: [bank(BankState::Good, 1), BankView::empty()],
            running: Some(release(1).digest),
            version: Some(release(1).version),
            maintenance: false,
            failed_releases: Vec::new(),
            offers: std::collections::BTreeSet::new(),
            pending_reboot: (self.pending == Some(at))
                .then(|| "a new kernel".to_owned())
                .into_iter()
                .collect(),
        });
        let places = self.guests.iter().enumerate().flat_map(|(at, count)| std::iter::repeat_n(at, *count));
        let guests = places.enumerate().map(|(number, at)| GuestView {
            id: guest(number),
            host: host(at),
            memory: SLOT,
            running: true,
            movable: Movable::Yes,
            keep_apart: None,
            needs: std::collections::BTreeSet::new(),
        });
        let features =
            self.features.iter().map(|(kind, value)| FeatureView { kind: *kind, value: (*value).to_owned() });
        let pool = PoolName::new("model").unwrap();
        World::new(pool, Some(host(0)), hosts.collect(), guests.collect(), features.collect()).unwrap()
    }

    /// A plan as the planner would make it: the coordinator alone, then waves in the order of names; a guest goes to
    /// a host that is upgraded already if one has room, else to one that is not.
    fn plan(&self, world: &World) -> Plan {
        let hosts = self.guests.len();
        let width = usize::try_from(self.width).unwrap();
        let mut place: Vec<(GuestId, usize)> = world
            .guests()
            .map(|guest| (guest.id.clone(), (0..hosts).find(|at| host(*at) == guest.host).unwrap()))
            .collect();
        let mut waves: Vec<Vec<usize>> = vec![vec![0]];
        for at in 1..hosts {
            let last = waves.last_mut().unwrap();
            let domain = |at: usize| self.domains.get(at);
            let clash = last.iter().any(|other| domain(at).is_some() && domain(at) == domain(*other));
            if waves.len() == 1 || waves.last().unwrap().len() >= width || clash {
                waves.push(vec![at]);
            } else {
                waves.last_mut().unwrap().push(at);
            }
        }
        let mut steps = Vec::new();
        let mut done: Vec<usize> = Vec::new();
        for (number, wave) in waves.iter().enumerate() {
            for &at in wave {
                let mut moves = Vec::new();
                let mut stops = Vec::new();
                let leaving: Vec<usize> = (0..place.len()).filter(|&g| place[g].1 == at).collect();
                for &g in &leaving {
                    if self.stops == Some(at) && Some(&g) == leaving.last() {
                        stops.push(GuestStop { guest: place[g].0.clone(), memory: SLOT, by_owner: false });
                        continue;
                    }
                    let load = |to: usize| place.iter().filter(|(_, on)| *on == to).count() as u64;
                    let free = |to: &usize| !wave.contains(to) && load(*to) < self.slots;
                    let others = (0..hosts).filter(|to| *to != at && !done.contains(to));
                    let to = done.iter().copied().find(free).or_else(|| others.rev().find(free));
                    let to = to.or(self.tight.then_some(if at == 0 { hosts - 1 } else { 0 })).unwrap();
                    let id = place[g].0.clone();
                    moves.push(Move { guest: id, from: host(at), to: host(to), memory: SLOT });
                    place[g].1 = to;
                }
                let wave = u32::try_from(number).unwrap() + 1;
                steps.push(PlanStep { host: host(at), wave, moves, stops });
            }
            done.extend(wave);
        }
        let placement = self
            .placement
            .iter()
            .map(|&(g, to)| Move {
                guest: place[g].0.clone(),
                from: host(place[g].1),
                to: host(to),
                memory: SLOT,
            })
            .collect();
        let peak = waves.iter().map(Vec::len).max().unwrap();
        let mut figures = Figures { waves: u32::try_from(waves.len()).unwrap(), ..Figures::default() };
        figures.peak_hosts_down.planned = u32::try_from(peak).unwrap();
        Plan {
            schema: PLAN_SCHEMA,
            pool: world.pool().clone(),
            target: release(2),
            policy: Policy {
                max_in_flight: InFlight::Hosts(self.width),
                reserve_hosts: self.reserve_hosts,
                ..self.policy.clone()
            },
            coordinator: Some(host(0)),
            suspends: self.features.iter().map(|(kind, _)| *kind).collect(),
            steps,
            unchanged: Vec::new(),
            blocked: Vec::new(),
            excluded: Vec::new(),
            placement,
            figures,
            notes: Vec::new(),
        }
    }
}

/// Every wait and every limit is shorter than [`TICK`]: one step of the clock ends them all.
pub(crate) fn policy() -> Policy {
    let limit = Millis::from_secs(600);
    Policy {
        attempts: 2,
        retry_delay: Millis::from_secs(10),
        timeouts: Timeouts {
            step: limit,
            migrate: limit,
            stage: limit,
            install: limit,
            reboot: limit,
            guest: limit,
            owner: limit,
        },
        ..Policy::default()
    }
}

pub(crate) fn bank(state: BankState, serial: u64) -> BankView {
    let release = release(serial);
    BankView { state, version: Some(release.version), digest: Some(release.digest), updated: 1, note: None }
}
