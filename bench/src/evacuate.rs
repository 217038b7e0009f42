//! `bench evacuate`: a host is emptied by our driver and by `virsh migrate` in a loop, over the same guests, in turn.
//!
//! Owns: two hosts with libvirt in namespaces, their guests, and the rounds. Promises: every guest of every round counted
//! on without a gap, or there is no figure. Does not: run where hosts with libvirt cannot.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lifeboat_hypervisor::libvirt::{KVM_SCHEMA, KvmHost, KvmSettings, LibvirtDriver, MigrationSettings};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_kvmlab::{CarrierProgram, GuestSpec, KvmLab, LabOptions, check_peers};
use lifeboat_model::{Effect, GuestId, HostId, Outcome, PoolName};

use crate::Failure;
use crate::report::Report;

const BENCH: &str = "evacuate";
const GUESTS: usize = 6;
/// Longest wait for one evacuation.
const PATIENCE: Duration = Duration::from_secs(300);

/// Takes the lab down however the benchmark ends.
struct Down(tempfile::TempDir);

impl Drop for Down {
    fn drop(&mut self) {
        // Its processes end with it; what is left is said by the next `up`.
        drop(KvmLab::down(self.0.path()));
    }
}

/// Measures, and adds to the report.
pub(crate) fn run(rounds: usize, report: &mut Report) -> Result<(), Failure> {
    check_peers()?;
    let down = Down(tempfile::tempdir()?);
    let options = LabOptions::new(down.0.path(), CarrierProgram::find()?).hosts(2).memory_mib(256);
    let lab = KvmLab::up(&options, &mut |line| eprintln!("{line}"))?;
    let names: Vec<String> = (1..=GUESTS).map(|number| format!("g{number}")).collect();
    for name in &names {
        lab.start_guest("h1", &GuestSpec::tick(name))?;
    }
    let state = tempfile::tempdir()?;
    let mut driver = LibvirtDriver::open(PoolName::new("bench")?, settings(&lab)?, state.path())?;
    await_hosts(&mut driver)?;
    let ways: [(&str, Option<usize>); 4] = [
        ("virsh migrate in a loop", None),
        ("ours, 1 at once", Some(1)),
        ("ours, 2 at once", Some(2)),
        ("ours, 6 at once", Some(6)),
    ];
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
    let mut pauses: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
    let (mut from, mut to) = ("h1", "h2");
    // Each way once more than it counts: the first one fills caches.
    for round in 0..=rounds {
        for (number, (_, at_once)) in ways.iter().enumerate() {
            let begin = Instant::now();
            match at_once {
                None => by_virsh(&lab, &names, from, to)?,
                Some(most) => by_driver(&mut driver, &names, from, to, *most)?,
            }
            let took = begin.elapsed().as_secs_f64();
            let paused = names.iter().map(|name| downtime(&lab, to, name)).collect::<Result<Vec<_>, _>>()?;
            if round > 0 {
                seconds.get_mut(number).ok_or("no such way")?.push(took);
                pauses.get_mut(number).ok_or("no such way")?.extend(paused);
            }
            std::mem::swap(&mut from, &mut to);
        }
    }
    for name in &names {
        let life = lab.guest_life(name)?;
        if !life.is_whole() {
            return Err(format!("{name} did not go on as it should: {}", life.words()).into());
        }
    }
    let base = median(seconds.first().ok_or("no figure")?);
    for (number, (way, _)) in ways.iter().enumerate() {
        let (took, paused) = (&seconds[number], &pauses[number]);
        let note = format!("{GUESTS} guests, {rounds} rounds; ratio to virsh {:.2}", median(took) / base);
        report.add(BENCH, format!("{way}: all guests"), median(took), "s", note);
        let most = paused.iter().copied().fold(0.0, f64::max);
        report.add(
            BENCH,
            format!("{way}: pause of a guest"),
            median(paused),
            "ms",
            format!("at most {most:.0} ms"),
        );
    }
    Ok(())
}

fn settings(lab: &KvmLab) -> Result<KvmSettings, Failure> {
    let mut hosts = Vec::new();
    for host in &lab.settings().hosts {
        hosts.push(KvmHost {
            name: HostId::new(&host.name)?,
            uri: lab.uri(&host.name)?,
            peer_uri: Some(format!("qemu+tcp://{}/system", host.name)),
            migrate_uri: None,
            memory_mib: Some(256),
            fault_domain: None,
        });
    }
    Ok(KvmSettings {
        schema: KVM_SCHEMA,
        controller: None,
        shared_folders: BTreeSet::new(),
        migration: MigrationSettings::default(),
        hosts,
    })
}

fn await_hosts(driver: &mut LibvirtDriver) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    while !driver.observe()?.hosts().all(|host| host.reachable) {
        if Instant::now() > until {
            return Err("not every host answers".into());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn by_virsh(lab: &KvmLab, names: &[String], from: &str, to: &str) -> Result<(), Failure> {
    let target = format!("qemu+tcp://{to}/system");
    for name in names {
        lab.virsh(from, &["migrate", "--live", "--p2p", "--persistent", "--undefinesource", name, &target])?;
    }
    Ok(())
}

fn by_driver(
    driver: &mut LibvirtDriver,
    names: &[String],
    from: &str,
    to: &str,
    most: usize,
) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    let mut left: Vec<Effect> = Vec::new();
    for name in names.iter().rev() {
        left.push(Effect::Migrate {
            guest: GuestId::new(name)?,
            from: HostId::new(from)?,
            to: HostId::new(to)?,
        });
    }
    let mut open = 0;
    while open > 0 || !left.is_empty() {
        while open < most
            && let Some(effect) = left.pop()
        {
            driver.start(&effect.key(), &effect)?;
            open += 1;
        }
        for event in driver.poll(Duration::from_millis(500))? {
            match event {
                DriverEvent::Outcome { outcome: Outcome::Done { .. }, .. } => open -= 1,
                DriverEvent::Outcome { key, outcome } => return Err(format!("{key}: {outcome:?}").into()),
                _ => {}
            }
        }
        if Instant::now() > until {
            return Err(format!("{open} guests were not moved in {} s", PATIENCE.as_secs()).into());
        }
    }
    Ok(())
}

/// The pause of the last migration, as the target's libvirt tells it, in milliseconds.
fn downtime(lab: &KvmLab, on: &str, name: &str) -> Result<f64, Failure> {
    let told = lab.virsh(on, &["domjobinfo", name, "--completed", "--keep-completed"])?;
    let line = told.lines().find_map(|line| line.strip_prefix("Total downtime:"));
    let number = line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("libvirt tells no downtime of {name}: {told}").into())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
