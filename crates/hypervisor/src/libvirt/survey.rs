//! What checks see of a pool of libvirt hosts beyond its world.
//!
//! Promises: what is told comes from libvirt and the agents; what nobody said stays unknown. Does not: judge.

use std::collections::BTreeMap;

use lifeboat_libvirt::Version;
use lifeboat_model::agent::AgentStatus;
use lifeboat_model::{
    Emulator, Fact, GuestFacts, GuestId, HostFacts, HostId, Link, PoolFacts, ReleaseFacts, StoragePaths,
    Survey, Task, TaskKind, Timestamp, World,
};

use super::facts::Guest;
use super::pool::{Pool, Told};

/// Puts together what is known.
pub(super) fn look(pool: &mut Pool, world: World, release: Option<ReleaseFacts>, at: Timestamp) -> Survey {
    let (all, notes) = {
        let guests = pool.guests();
        (guests.all.clone(), guests.notes.clone())
    };
    let hosts: BTreeMap<HostId, HostFacts> = pool
        .hosts
        .iter()
        .filter(|(_, told)| told.read.is_some() && told.silent.is_none())
        .map(|(id, told)| (id.clone(), host_facts(id, told, &all)))
        .collect();
    let guests: BTreeMap<GuestId, GuestFacts> = all
        .iter()
        .filter(|(_, guest)| guest.facts != GuestFacts::default())
        .map(|(id, guest)| (id.clone(), guest.facts.clone()))
        .collect();
    let floor = |(id, told): (&HostId, &Told)| Some((id.clone(), told.status.as_ref()?.floor));
    let split = notes.into_iter().map(|what| Task { kind: TaskKind::Guest, what, since: None });
    let tasks: Vec<Task> = split.collect();
    let facts = PoolFacts {
        // Jobs of guests are seen when a guest is moved; only what is wrong now is told here.
        tasks: if tasks.is_empty() { Fact::Unknown } else { Fact::Known(tasks) },
        admission: Fact::Known(None),
        serial_floor: pool.hosts.iter().filter_map(floor).collect(),
    };
    Survey { world, at, hosts, guests, guests_known: true, pool: facts, release }
}

fn host_facts(id: &HostId, told: &Told, guests: &BTreeMap<GuestId, Guest>) -> HostFacts {
    let mut facts = HostFacts::default();
    let Some(read) = &told.read else { return facts };
    let interpreted = guests
        .values()
        .filter(|guest| guest.view.host == *id && guest.view.running && guest.interpreted)
        .map(|guest| guest.view.id.clone())
        .collect();
    facts.emulator = Some(Emulator { name: "QEMU".to_owned(), version: version(read.emulator), interpreted });
    facts.networks = Fact::Known(
        read.networks.iter().map(|network| Link { name: network.name.clone(), up: network.active }).collect(),
    );
    let paths = |pool: &super::read::PoolRead| StoragePaths {
        name: pool.name.clone(),
        paths: 1,
        alive: u32::from(pool.active),
    };
    facts.storages = Fact::Known(read.pools.iter().map(paths).collect());
    facts.machine = Fact::Known(read.facts.arch.clone());
    if let Some(status) = &told.status {
        facts.pending_reboot = Fact::Known(pending(status));
    }
    facts
}

fn pending(status: &AgentStatus) -> Vec<String> {
    status.held.iter().map(|held| format!("it is held back from rebooting: {held}")).collect()
}

fn version(version: Version) -> (u32, u32, u32) {
    let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    (number(version.major()), number(version.minor()), number(version.micro()))
}
