//! The pool by numbers: hosts and guests as indexes into vectors.
//!
//! Owns: the one pass over [`World`] that turns names into indexes, so that planning never compares names; which
//! guests move by the policy and which stay. Promises: hosts and guests keep the order of their names. Does not:
//! judge.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use lifeboat_model::{GuestStrategy, GuestView, HostView, Movable, Policy, PoolName, World};

use crate::class::Classes;

/// A guest that runs.
pub(crate) struct Guest<'w> {
    pub(crate) view: &'w GuestView,
    /// MiB.
    pub(crate) memory: u64,
    /// Guests with the same number must not share a host.
    pub(crate) group: Option<usize>,
    /// The host it is on before the roll.
    pub(crate) home: usize,
    /// What the policy says of it.
    pub(crate) strategy: GuestStrategy,
    /// Whether it moves when the turn of its host comes: the policy says so, and it can.
    pub(crate) moves: bool,
    /// Guests with the same number need the same; see [`Classes`].
    pub(crate) class: usize,
}

/// A host.
pub(crate) struct Host<'w> {
    pub(crate) view: &'w HostView,
    /// MiB that guests may use.
    pub(crate) memory: u64,
    /// MiB that running guests use.
    pub(crate) load: u64,
    /// MiB of the guests that move when its turn comes.
    pub(crate) moving: u64,
    /// Guests that run on it and move when its turn comes, the largest first.
    pub(crate) guests: Vec<usize>,
    /// Guests that run on it and never move: they are down while it is upgraded, or keep it from its turn.
    pub(crate) staying: Vec<usize>,
    /// Hosts with the same number fail as one.
    pub(crate) domain: Option<usize>,
    /// Whether it can send and take guests.
    pub(crate) in_service: bool,
}

impl Host<'_> {
    /// MiB that are kept for guests that are down while the host is upgraded: they start here again.
    pub(crate) fn kept(&self) -> u64 {
        self.load - self.moving
    }

    /// MiB that the pool must do without while the host is upgraded, in guests that need room elsewhere or could.
    pub(crate) fn lost(&self) -> u64 {
        self.memory.saturating_sub(self.kept())
    }
}

/// Hosts and running guests of a pool, by index.
pub(crate) struct Pool<'w> {
    pub(crate) hosts: Vec<Host<'w>>,
    pub(crate) guests: Vec<Guest<'w>>,
    pub(crate) classes: Classes<'w>,
    pub(crate) coordinator: Option<usize>,
    pub(crate) name: &'w PoolName,
}

impl<'w> Pool<'w> {
    pub(crate) fn new(world: &'w World, policy: &Policy) -> Self {
        let mut domains = BTreeMap::new();
        let mut by_name = HashMap::with_capacity(world.hosts().len());
        let mut hosts = Vec::with_capacity(world.hosts().len());
        for (index, view) in world.hosts().enumerate() {
            by_name.insert(&view.id, index);
            let next = domains.len();
            let domain = view.fault_domain.as_deref().map(|name| *domains.entry(name).or_insert(next));
            let in_service = view.reachable && !view.maintenance;
            hosts.push(Host {
                view,
                memory: view.memory.0,
                load: 0,
                moving: 0,
                guests: Vec::new(),
                staying: Vec::new(),
                domain,
                in_service,
            });
        }
        let mut groups = HashMap::new();
        let mut guests: Vec<Guest<'w>> = Vec::with_capacity(world.guests().len());
        for view in world.guests().filter(|guest| guest.running) {
            // The world holds no guest without its host.
            let Some(&home) = by_name.get(&view.host) else { continue };
            let host: &mut Host<'w> = &mut hosts[home];
            let next = groups.len();
            let group = view.keep_apart.as_deref().map(|name| *groups.entry(name).or_insert(next));
            let movable = view.movable == Movable::Yes;
            let strategy = policy.strategy_of(&view.id, movable);
            let moves = movable && strategy == GuestStrategy::Migrate;
            let memory = view.memory.0;
            host.load += memory;
            if moves {
                host.moving += memory;
                host.guests.push(guests.len());
            } else {
                host.staying.push(guests.len());
            }
            guests.push(Guest { view, memory, group, home, strategy, moves, class: 0 });
        }
        for host in &mut hosts {
            host.guests.sort_unstable_by_key(|&guest| (Reverse(guests[guest].memory), guest));
            host.staying.sort_unstable_by_key(|&guest| (Reverse(guests[guest].memory), guest));
        }
        let classes = Classes::new(&hosts, &mut guests);
        let coordinator = world.coordinator().and_then(|id| by_name.get(id).copied());
        Self { name: world.pool(), hosts, guests, classes, coordinator }
    }

    /// MiB of the hosts that can take guests.
    pub(crate) fn capacity(&self) -> u64 {
        self.hosts.iter().filter(|host| host.in_service).map(|host| host.memory).sum()
    }

    /// MiB of the guests that run on them.
    pub(crate) fn load(&self) -> u64 {
        self.hosts.iter().filter(|host| host.in_service).map(|host| host.load).sum()
    }

    /// MiB of the largest host that can take guests.
    pub(crate) fn largest(&self) -> u64 {
        self.hosts.iter().filter(|host| host.in_service).map(|host| host.memory).max().unwrap_or(0)
    }

    /// Index of a host by its name.
    pub(crate) fn index_of(&self, id: &lifeboat_model::HostId) -> Option<usize> {
        self.hosts.binary_search_by(|host| host.view.id.cmp(id)).ok()
    }
}
