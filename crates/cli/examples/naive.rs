//! What tools without guards do, for the incidents' scenarios: the failure is reproduced with it first.
//!
//! `naive upgrade POOL VERSION [OPTION…]` upgrades the hosts of a simulated pool of the state directory
//! (`LIFEBOAT_STATE_DIR`) one after the other, as many a script does: it asks nobody, checks nothing, keeps nothing on a
//! disk, and believes every answer. Its options choose the sin.
//!
//!   --order h02,h01      this order, whoever the coordinator is
//!   --features           switches features off first and on again last, remembered in memory only
//!   --die-after N        ends without a word after so many hosts
//!   --skip-stuck         a guest without a target is skipped, and its host rebooted all the same
//!   --impatient          does not wait until a host is back
//!   --again              hosts that still run the old release are upgraded once more, in the bank that is the other
//!                        one by its belief: it takes for granted that each try booted what it wrote
//!   --old-agents         with --again: on a copy of the pool in memory whose agents obey every order
//!
//! `naive wait POOL MINUTES` lets time pass while no controller is there: simulated clocks stand still otherwise.
//!
//! Owns: nothing that is shipped. It drives the same simulated pool through the same driver as the program.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec};
use lifeboat_hypervisor::{DriverEvent, Hypervisor as _};
use lifeboat_model::{Bank, BankView, Effect, FeatureView, HostId, Millis, Outcome, ReleaseRef, Sha256Hex};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            println!("naive: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [verb, pool, version, options @ ..] = words.as_slice() else {
        return Err("naive upgrade POOL VERSION [OPTION…]".into());
    };
    if verb == "wait" {
        let minutes: u64 = version.parse()?;
        open(pool)?.let_pass(Millis::from_secs(60 * minutes))?;
        return Ok(());
    }
    if verb != "upgrade" {
        return Err(format!("{verb:?} is no verb; there are upgrade and wait").into());
    }
    let has = |name: &str| options.iter().any(|option| option == name);
    let value = |name: &str| {
        options.iter().position(|option| option == name).and_then(|at| options.get(at + 1)).cloned()
    };
    let mut naive = Naive::open(pool, version)?;
    let hosts = match value("--order") {
        Some(order) => order.split(',').map(HostId::new).collect::<std::result::Result<Vec<_>, _>>()?,
        None => naive.pool.observe()?.hosts().map(|host| host.id.clone()).collect(),
    };
    naive.impatient = has("--impatient");
    if has("--old-agents") {
        naive.on_old_agents()?;
    }
    let die_after = value("--die-after").map(|count| count.parse::<usize>()).transpose()?;
    let remembered = if has("--features") { naive.features_off()? } else { Vec::new() };
    let rounds = if has("--again") { 2 } else { 1 };
    let mut done = 0;
    for round in 0..rounds {
        for host in &hosts {
            if round > 0 && naive.runs(host)? {
                continue;
            }
            match naive.upgrade(host, has("--skip-stuck")) {
                Ok(()) => println!("{host}: upgraded"),
                Err(error) => {
                    println!("{host}: {error}");
                    if !has("--again") {
                        println!("stopped");
                        return Ok(());
                    }
                }
            }
            done += 1;
            if Some(done) == die_after {
                return Ok(());
            }
        }
    }
    for (kind, value) in remembered {
        let effect = Effect::RestoreFeature { feature: kind, original: value };
        naive.order(&effect)?;
        println!("{effect}");
    }
    println!("success");
    if has("--old-agents") {
        naive.tell_banks()?;
    }
    Ok(())
}

fn folder_of(pool: &str) -> Result<PathBuf> {
    Ok(Path::new(&std::env::var("LIFEBOAT_STATE_DIR")?).join("pools").join(pool))
}

fn open(pool: &str) -> Result<SimPool> {
    Ok(SimPool::open(&folder_of(pool)?.join("sim"), ClockMode::Virtual)?)
}

struct Naive {
    pool: SimPool,
    release: ReleaseRef,
    impatient: bool,
    /// The bank that each host runs, by belief.
    believed: BTreeMap<HostId, Bank>,
}

impl Naive {
    fn open(pool: &str, version: &str) -> Result<Self> {
        let bundle = folder_of(pool)?.join("releases").join(format!("{version}.lfb"));
        let mut pool = open(pool)?;
        let release = pool.offer_bundle(&bundle)?;
        Ok(Self { pool, release, impatient: false, believed: BTreeMap::new() })
    }

    /// The same hosts and guests in memory, with agents that write and boot what they are told. The release panics on
    /// the third host, as `3.0-bad` does.
    fn on_old_agents(&mut self) -> Result<()> {
        let world = self.pool.observe()?;
        let first = world.hosts().find_map(|host| host.version.clone()).ok_or("no host answers")?;
        let old = ReleaseRef {
            name: self.release.name.clone(),
            version: first,
            serial: 1,
            digest: Sha256Hex([1; 32]),
        };
        self.pool = SimPool::in_memory_of(&SimSpec::default(), &world, old, ClockMode::Virtual)?;
        let mut kernel = SimKernel::always(Behaviour::Good);
        if let Some(third) = world.hosts().nth(2) {
            kernel = kernel.except(third.id.clone(), Behaviour::Panic);
        }
        self.pool.offer_release(self.release.clone(), kernel)?;
        for host in world.hosts() {
            self.pool.set_condition(format!("unguarded:{}", host.id).parse()?)?;
        }
        Ok(())
    }

    fn tell_banks(&mut self) -> Result<()> {
        for host in self.pool.observe()?.hosts() {
            let [a, b] = &host.banks;
            let version = |bank: &BankView| bank.version.as_ref().map_or("-".to_owned(), ToString::to_string);
            let answers = if host.reachable { "answers" } else { "does not answer" };
            let (a, b) = (format!("{} {}", a.state, version(a)), format!("{} {}", b.state, version(b)));
            println!("{}: {answers}, bank A {a}, bank B {b}", host.id);
        }
        Ok(())
    }

    /// Orders an effect and believes the answer.
    fn order(&mut self, effect: &Effect) -> Result<()> {
        let key = effect.key();
        self.pool.start(&key, effect)?;
        for _ in 0..100_000 {
            for event in self.pool.poll(Duration::from_secs(60))? {
                if let DriverEvent::Outcome { key: ended, outcome } = event
                    && ended == key
                {
                    return match outcome {
                        Outcome::Done { .. } | Outcome::NothingToDo { .. } => Ok(()),
                        Outcome::Failed { reason, .. } => Err(reason.into()),
                    };
                }
            }
        }
        Err(format!("{effect}: no answer").into())
    }

    fn features_off(&mut self) -> Result<Vec<(lifeboat_model::FeatureKind, String)>> {
        let world = self.pool.observe()?;
        let on: Vec<_> = world.features().filter(|feature| FeatureView::is_on(feature)).cloned().collect();
        for feature in &on {
            let effect = Effect::SuspendFeature { feature: feature.kind, original: feature.value.clone() };
            self.order(&effect)?;
            println!("{effect}");
        }
        Ok(on.into_iter().map(|feature| (feature.kind, feature.value)).collect())
    }

    fn runs(&mut self, host: &HostId) -> Result<bool> {
        Ok(self.pool.observe()?.host(host).is_some_and(|host| host.running == Some(self.release.digest)))
    }

    fn upgrade(&mut self, id: &HostId, skip_stuck: bool) -> Result<()> {
        self.order(&Effect::EnterMaintenance { host: id.clone() })?;
        self.drain(id, skip_stuck)?;
        let (host, release) = (id.clone(), self.release.clone());
        self.order(&Effect::Stage { host: host.clone(), release: release.clone() })?;
        let world = self.pool.observe()?;
        let view = world.host(id).ok_or("it is gone")?;
        let runs = self.believed.get(id).copied().or(view.active).ok_or("it does not answer")?;
        let bank = runs.other();
        let boot_id_before = view.boot_id.clone().unwrap_or_default();
        self.order(&Effect::Install { host: host.clone(), release, bank, retry: true })?;
        let reboot = Effect::RebootInto { host: host.clone(), bank, boot_id_before };
        if self.impatient {
            self.pool.start(&reboot.key(), &reboot)?;
            return Ok(());
        }
        self.believed.insert(host.clone(), bank);
        self.order(&reboot)?;
        self.settle()?;
        self.order(&Effect::LeaveMaintenance { host })
    }

    /// Every guest to the host with the most room, as it is now.
    fn drain(&mut self, id: &HostId, skip_stuck: bool) -> Result<()> {
        let world = self.pool.observe()?;
        let guests: Vec<_> = world.running_on(id).cloned().collect();
        let mut room: BTreeMap<HostId, u64> = BTreeMap::new();
        for host in world.hosts().filter(|host| host.id != *id && host.reachable && !host.maintenance) {
            room.insert(host.id.clone(), host.memory.0.saturating_sub(world.load_of(&host.id).0));
        }
        for guest in guests {
            let target =
                room.iter_mut().max_by_key(|(_, free)| **free).filter(|(_, free)| **free >= guest.memory.0);
            let moved = match target {
                None => Err("no host has room for it".into()),
                Some((to, free)) => {
                    *free -= guest.memory.0;
                    let (from, to) = (id.clone(), to.clone());
                    self.order(&Effect::Migrate { guest: guest.id.clone(), from, to })
                }
            };
            match moved {
                Err(error) if skip_stuck => println!("{id}: guest {} skipped: {error}", guest.id),
                other => other?,
            }
        }
        Ok(())
    }

    /// Lets the pool come to rest.
    fn settle(&mut self) -> Result<()> {
        for _ in 0..60 {
            self.pool.poll(Duration::from_secs(30))?;
        }
        Ok(())
    }
}
