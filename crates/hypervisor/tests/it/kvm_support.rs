//! A pool of libvirt hosts in namespaces for tests: looking for what is needed, ordering, waiting.

use std::path::Path;
use std::time::{Duration, Instant};

use lifeboat_hypervisor::libvirt::{KVM_SCHEMA, KvmHost, KvmSettings, LibvirtDriver, MigrationSettings};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_kvmlab::{CarrierProgram, GuestSpec, KvmLab, LabOptions, check_peers};
use lifeboat_model::{Effect, EffectKey, GuestId, HostId, Outcome, PoolName, World};

/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A lab that goes down however the test ends.
pub(crate) struct Rig {
    pub(crate) lab: KvmLab,
    folder: tempfile::TempDir,
    state: tempfile::TempDir,
}

impl Rig {
    /// Hosts with libvirt; nothing if they cannot run here.
    pub(crate) fn up(hosts: u8) -> Option<Self> {
        if let Err(error) = check_peers() {
            let required = std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_some();
            assert!(!required, "hosts with libvirt cannot run here: {error}");
            println!("skipped: hosts with libvirt cannot run here: {error}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let options =
            LabOptions::new(folder.path(), CarrierProgram::find().unwrap()).hosts(hosts).memory_mib(64);
        let lab = KvmLab::up(&options, &mut |line| println!("{line}")).unwrap();
        Some(Self { lab, folder, state: tempfile::tempdir().unwrap() })
    }

    /// What is said of the pool: libvirt by sockets, from host to host by TCP.
    pub(crate) fn settings(&self, migration: MigrationSettings) -> KvmSettings {
        let host = |host: &lifeboat_kvmlab::HostSettings| KvmHost {
            name: HostId::new(&host.name).unwrap(),
            uri: self.lab.uri(&host.name).unwrap(),
            peer_uri: Some(format!("qemu+tcp://{}/system", host.name)),
            migrate_uri: None,
            memory_mib: Some(64),
            fault_domain: None,
        };
        KvmSettings {
            schema: KVM_SCHEMA,
            controller: None,
            shared_folders: std::collections::BTreeSet::new(),
            migration,
            hosts: self.lab.settings().hosts.iter().map(host).collect(),
        }
    }

    pub(crate) fn pool(&self, migration: MigrationSettings) -> Pool {
        Pool::open(self.settings(migration), self.state.path())
    }

    pub(crate) fn start(&self, host: &str, spec: &GuestSpec) {
        self.lab.start_guest(host, spec).unwrap();
    }

    /// Every guest went on without a gap, and runs once.
    pub(crate) fn assert_whole(&self, guests: &[&str]) {
        for guest in guests {
            let life = self.lab.guest_life(guest).unwrap();
            assert!(life.is_whole(), "{guest}: {}", life.words());
            let places = self.lab.where_runs(guest).unwrap();
            assert_eq!(places.len(), 1, "{guest} runs on {places:?}");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(KvmLab::down(self.folder.path()));
    }
}

pub(crate) struct Pool {
    pub(crate) driver: LibvirtDriver,
    pub(crate) world: World,
}

pub(crate) fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

pub(crate) fn guest(name: &str) -> GuestId {
    GuestId::new(name).unwrap()
}

pub(crate) fn migrate(name: &str, from: &str, to: &str) -> Effect {
    Effect::Migrate { guest: guest(name), from: host(from), to: host(to) }
}

impl Pool {
    pub(crate) fn open(settings: KvmSettings, state: &Path) -> Self {
        let name = PoolName::new("kvm").unwrap();
        let mut driver = LibvirtDriver::open(name, settings, state).unwrap();
        let until = Instant::now() + PATIENCE;
        let world = loop {
            let world = driver.observe().unwrap();
            if world.hosts().all(|host| host.reachable) {
                break world;
            }
            assert!(Instant::now() < until, "not every host answers: {world:?}");
            std::thread::sleep(Duration::from_millis(100));
        };
        Self { driver, world }
    }

    /// Takes over what the driver tells; gives the outcomes.
    pub(crate) fn hear(&mut self) -> Vec<(EffectKey, Outcome)> {
        let mut outcomes = Vec::new();
        for event in self.driver.poll(Duration::from_millis(100)).unwrap() {
            match event {
                DriverEvent::Outcome { key, outcome } => outcomes.push((key, outcome)),
                DriverEvent::Host(host) => self.world.set_host(*host),
                DriverEvent::Guest(guest) => self.world.set_guest(guest).unwrap(),
                DriverEvent::GuestGone(guest) => self.world.remove_guest(&guest),
                DriverEvent::Feature(_) | DriverEvent::Progress { .. } => {}
            }
        }
        outcomes
    }

    pub(crate) fn begin(&mut self, effect: &Effect) {
        self.driver.start(&effect.key(), effect).unwrap();
    }

    /// Orders effects all at once and waits for their ends, in the order of the effects.
    pub(crate) fn order(&mut self, effects: &[Effect]) -> Vec<Outcome> {
        for effect in effects {
            self.begin(effect);
        }
        self.ends(effects)
    }

    pub(crate) fn ends(&mut self, effects: &[Effect]) -> Vec<Outcome> {
        let mut ended: Vec<Option<Outcome>> = vec![None; effects.len()];
        let until = Instant::now() + PATIENCE;
        while ended.iter().any(Option::is_none) {
            assert!(Instant::now() < until, "no outcome of all of {effects:?}: {ended:?}");
            for (key, outcome) in self.hear() {
                let at = effects.iter().position(|effect| effect.key() == key);
                let place = &mut ended[at.unwrap_or_else(|| panic!("nobody ordered {key}"))];
                assert!(place.is_none(), "{key} ended twice: {place:?}, {outcome:?}");
                *place = Some(outcome);
            }
        }
        ended.into_iter().flatten().collect()
    }

    /// Orders one effect that must succeed; gives what was said.
    pub(crate) fn done(&mut self, effect: &Effect) -> String {
        match self.order(std::slice::from_ref(effect)).remove(0) {
            Outcome::Done { detail } => detail.unwrap_or_default(),
            other => panic!("{effect}: {other:?}"),
        }
    }

    /// Orders one effect that must fail; gives the reason and whether another try may help.
    pub(crate) fn fails(&mut self, effect: &Effect) -> (String, bool) {
        match self.order(std::slice::from_ref(effect)).remove(0) {
            Outcome::Failed { reason, retriable } => (reason, retriable),
            other => panic!("{effect} should fail: {other:?}"),
        }
    }

    /// Waits until something is seen.
    pub(crate) fn until(&mut self, what: &str, mut seen: impl FnMut(&World) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !seen(&self.world) {
            assert!(Instant::now() < until, "waited in vain until {what}: {:?}", self.world);
            self.hear();
        }
    }
}
