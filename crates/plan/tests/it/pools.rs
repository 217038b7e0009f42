//! Pools for tests: a builder with short words, and a generator with its own random numbers.

use std::collections::BTreeSet;

use lifeboat_model::{
    BankView, FeatureKind, FeatureView, GuestId, GuestView, HostId, HostView, InFlight, Mib, Movable, Plan,
    Policy, PoolName, ReleaseRef, ReleaseVersion, Severity, Sha256Hex, World,
};
use lifeboat_plan::{Options, lint, plan};

pub(crate) fn target() -> ReleaseRef {
    ReleaseRef {
        name: "lab-host".to_owned(),
        version: ReleaseVersion("2".to_owned()),
        serial: 2,
        digest: Sha256Hex::of(b"release 2"),
    }
}

pub(crate) fn host_id(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

/// A pool under construction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    pub(crate) coordinator: Option<String>,
    pub(crate) hosts: Vec<HostView>,
    pub(crate) guests: Vec<GuestView>,
    pub(crate) features: Vec<FeatureView>,
}

impl Pool {
    pub(crate) fn host(mut self, name: &str, gib: u64) -> Self {
        self.hosts.push(HostView {
            id: host_id(name),
            memory: Mib::from_gib(gib),
            fault_domain: None,
            reachable: true,
            boot_id: None,
            active: None,
            banks: [BankView::empty(), BankView::empty()],
            running: Some(Sha256Hex::of(b"release 1")),
            version: None,
            maintenance: false,
            failed_releases: Vec::new(),
            offers: std::collections::BTreeSet::new(),
            pending_reboot: Vec::new(),
        });
        self
    }

    /// Guests of so many GiB on the host that was added last.
    pub(crate) fn with(mut self, sizes: &[u64]) -> Self {
        let host = self.hosts.last().unwrap().id.clone();
        for &gib in sizes {
            let id = GuestId::new(format!("g{:05}", self.guests.len())).unwrap();
            self.guests.push(GuestView {
                id,
                host: host.clone(),
                memory: Mib::from_gib(gib),
                running: true,
                movable: Movable::Yes,
                keep_apart: None,
                needs: std::collections::BTreeSet::new(),
            });
        }
        self
    }

    /// Changes the host that was added last.
    pub(crate) fn host_is(mut self, change: impl FnOnce(&mut HostView)) -> Self {
        change(self.hosts.last_mut().unwrap());
        self
    }

    /// Changes the guest that was added last.
    pub(crate) fn guest_is(mut self, change: impl FnOnce(&mut GuestView)) -> Self {
        change(self.guests.last_mut().unwrap());
        self
    }

    pub(crate) fn coordinator(mut self, name: &str) -> Self {
        self.coordinator = Some(name.to_owned());
        self
    }

    pub(crate) fn feature(mut self, kind: FeatureKind, value: &str) -> Self {
        self.features.push(FeatureView { kind, value: value.to_owned() });
        self
    }

    pub(crate) fn world(self) -> World {
        let coordinator = self.coordinator.as_deref().map(host_id);
        World::new(PoolName::new("p").unwrap(), coordinator, self.hosts, self.guests, self.features).unwrap()
    }
}

/// Hosts of one size, filled to `percent` with guests of 4 to 32 GiB on the emptier of two random hosts; the first
/// one is the coordinator.
pub(crate) fn random_pool(hosts: usize, gib: u64, percent: u64, seed: u64) -> Pool {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    let mut below = move |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let names: Vec<String> = (0..hosts).map(|host| format!("h{host:04}")).collect();
    let mut pool = names.iter().fold(Pool::default(), |pool, name| pool.host(name, gib)).coordinator("h0000");
    let mut free = vec![gib; hosts];
    let mut left = gib * hosts as u64 * percent / 100;
    while left >= 4 {
        let size = [4, 4, 4, 8, 8, 16, 32][usize::try_from(below(7)).unwrap()].min(left / 4 * 4);
        let mut pick = || usize::try_from(below(hosts as u64)).unwrap();
        let (a, b) = (pick(), pick());
        let host = if free[a] >= free[b] { a } else { b };
        if free[host] < size {
            left -= 4;
            continue;
        }
        free[host] -= size;
        left -= size;
        let id = GuestId::new(format!("g{:05}", pool.guests.len())).unwrap();
        pool.guests.push(GuestView {
            id,
            host: host_id(&names[host]),
            memory: Mib::from_gib(size),
            running: true,
            movable: Movable::Yes,
            keep_apart: None,
            needs: std::collections::BTreeSet::new(),
        });
    }
    pool
}

pub(crate) fn at_once(hosts: u32) -> Policy {
    Policy { max_in_flight: InFlight::Hosts(hosts), ..Policy::default() }
}

pub(crate) fn without(names: &[&str]) -> Options {
    Options { exclude: names.iter().map(|name| host_id(name)).collect::<BTreeSet<_>>(), ..Options::default() }
}

/// Makes a plan and lints it.
pub(crate) fn planned(world: &World, policy: &Policy, options: &Options) -> Plan {
    let plan = plan(world, &target(), policy, options).unwrap();
    assert_clean(world, &plan);
    plan
}

pub(crate) fn assert_clean(world: &World, plan: &Plan) {
    let bad: Vec<_> = lint(world, plan).into_iter().filter(|found| found.severity > Severity::Note).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Number of hosts in each wave.
pub(crate) fn waves(plan: &Plan) -> Vec<usize> {
    plan.steps.chunk_by(|a, b| a.wave == b.wave).map(<[_]>::len).collect()
}

pub(crate) fn order(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.host.as_str()).collect()
}
