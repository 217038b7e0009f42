//! The pool by numbers: hosts and guests as indexes into vectors.
//!
//! Owns: the one pass over [`World`] that turns names into indexes, so that planning never compares names.
//! Promises: hosts and guests keep the order of their names. Does not: judge.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use lifeboat_model::{GuestView, HostView, PoolName, World};

/// A guest that runs.
pub(crate) struct Guest<'w> {
    pub(crate) view: &'w GuestView,
    /// MiB.
    pub(crate) memory: u64,
    /// Guests with the same number must not share a host.
    pub(crate) group: Option<usize>,
}

/// A host.
pub(crate) struct Host<'w> {
    pub(crate) view: &'w HostView,
    /// MiB that guests may use.
    pub(crate) memory: u64,
    /// MiB that running guests use.
    pub(crate) load: u64,
    /// Guests that run on it, the largest first.
    pub(crate) guests: Vec<usize>,
    /// Hosts with the same number fail as one.
    pub(crate) domain: Option<usize>,
    /// Whether it can send and take guests.
    pub(crate) in_service: bool,
}

/// Hosts and running guests of a pool, by index.
pub(crate) struct Pool<'w> {
    pub(crate) hosts: Vec<Host<'w>>,
    pub(crate) guests: Vec<Guest<'w>>,
    pub(crate) coordinator: Option<usize>,
    pub(crate) name: &'w PoolName,
}

impl<'w> Pool<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        let mut domains = BTreeMap::new();
        let mut by_name = HashMap::with_capacity(world.hosts().len());
        let mut hosts = Vec::with_capacity(world.hosts().len());
        for (index, view) in world.hosts().enumerate() {
            by_name.insert(&view.id, index);
            let next = domains.len();
            let domain = view.fault_domain.as_deref().map(|name| *domains.entry(name).or_insert(next));
            let in_service = view.reachable && !view.maintenance;
            hosts.push(Host { view, memory: view.memory.0, load: 0, guests: Vec::new(), domain, in_service });
        }
        let mut groups = HashMap::new();
        let mut guests: Vec<Guest<'w>> = Vec::with_capacity(world.guests().len());
        for view in world.guests().filter(|guest| guest.running) {
            // The world holds no guest without its host.
            let Some(host) = by_name.get(&view.host).and_then(|&index| hosts.get_mut(index)) else {
                continue;
            };
            let next = groups.len();
            let group = view.keep_apart.as_deref().map(|name| *groups.entry(name).or_insert(next));
            host.load += view.memory.0;
            host.guests.push(guests.len());
            guests.push(Guest { view, memory: view.memory.0, group });
        }
        for host in &mut hosts {
            host.guests.sort_unstable_by_key(|&guest| (Reverse(guests[guest].memory), guest));
        }
        let coordinator = world.coordinator().and_then(|id| by_name.get(id).copied());
        Self { name: world.pool(), hosts, guests, coordinator }
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
}
