//! What tools without guards do, for the incidents' scenarios: the failure is reproduced with it first.
//!
//! `naive upgrade FOLDER VERSION [OPTION…]` upgrades the hosts of a simulated pool one after the other, as many a script
//! does: it asks nobody, checks nothing, keeps nothing on a disk, and believes every answer. Its options choose the sin.
//!
//!   --order h02,h01      this order, whoever the coordinator is
//!   --features           switches features off first and on again last, remembered in memory only
//!   --die-after N        ends without a word after so many hosts
//!   --skip-stuck         a guest without a target is skipped, and its host rebooted all the same
//!   --again              hosts that still run the old release are upgraded once more
//!
//! Owns: nothing that is shipped. It drives the same simulated pool through the same driver as the program.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use lifeboat_hypervisor::sim::{ClockMode, SimPool};
use lifeboat_hypervisor::{DriverEvent, Hypervisor as _};
use lifeboat_model::{Bank, Effect, FeatureView, HostId, Outcome, ReleaseRef};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [verb, folder, version, options @ ..] = words.as_slice() else {
        return Err("naive upgrade FOLDER VERSION [OPTION…]".into());
    };
    if verb != "upgrade" {
        return Err(format!("{verb:?} is no verb; there is upgrade").into());
    }
    let has = |name: &str| options.iter().any(|option| option == name);
    let value = |name: &str| {
        options.iter().position(|option| option == name).and_then(|at| options.get(at + 1)).cloned()
    };
    let mut naive = Naive::open(Path::new(folder), version)?;
    let hosts = match value("--order") {
        Some(order) => order.split(',').map(HostId::new).collect::<std::result::Result<Vec<_>, _>>()?,
        None => naive.pool.observe()?.hosts().map(|host| host.id.clone()).collect(),
    };
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
    Ok(())
}

struct Naive {
    pool: SimPool,
    release: ReleaseRef,
}

impl Naive {
    fn open(folder: &Path, version: &str) -> Result<Self> {
        let mut pool = SimPool::open(folder, ClockMode::Virtual)?;
        let bundle = folder.join("releases").join(format!("{version}.lfb"));
        let release = pool.offer_bundle(&bundle)?;
        Ok(Self { pool, release })
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
        let bank = view.active.map(Bank::other).ok_or("it does not answer")?;
        let boot_id_before = view.boot_id.clone().unwrap_or_default();
        self.order(&Effect::Install { host: host.clone(), release, bank, retry: true })?;
        self.order(&Effect::RebootInto { host: host.clone(), bank, boot_id_before })?;
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
