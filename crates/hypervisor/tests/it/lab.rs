//! Machines that boot for real: QEMU, OVMF, Debian's kernel, our disks, our agent.
//!
//! One test, since it is one pool and every boot costs seconds: what one part leaves is what the next begins with.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lifeboat_hypervisor::lab::{BUILD_AGENT, Lab, LabDriver, LabError, LabOptions};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{Bank, BankState, Effect, HostId, HostView, Outcome, PoolName, ReleaseRef, World};

/// Longest wait for anything: the watchdog's 120 s, three boots on a loaded computer, and room.
const PATIENCE: Duration = Duration::from_secs(900);

/// Why the machines cannot be started here, if they cannot.
fn missing() -> Option<String> {
    let agent = agent();
    let files = [
        ("/usr/bin/qemu-system-x86_64", "qemu-system-x86"),
        ("/usr/share/OVMF/OVMF_CODE_4M.fd", "ovmf"),
        ("/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "systemd-boot-efi"),
        ("/usr/bin/mkfs.erofs", "erofs-utils"),
    ];
    let file = files.iter().find(|(path, _)| !std::path::Path::new(path).exists());
    file.map(|(path, package)| format!("{path} is missing; install {package}"))
        .or_else(|| (!agent.is_file()).then(|| format!("the static agent is not built: {BUILD_AGENT}")))
}

/// The static agent, where cargo puts it.
fn agent() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
    target.join("x86_64-unknown-linux-gnu/agent/lifeboat-agent")
}

/// Takes the lab down however the test ends.
struct Down(PathBuf);

impl Drop for Down {
    fn drop(&mut self) {
        drop(Lab::down(&self.0));
    }
}

struct Pool {
    driver: LabDriver,
    world: World,
    begin: Instant,
}

impl Pool {
    fn open(folder: &std::path::Path, begin: Instant) -> Self {
        let lab = Lab::open(folder).unwrap();
        let mut driver = LabDriver::open(lab, PoolName::new("lab").unwrap()).unwrap();
        let world = driver.observe().unwrap();
        Self { driver, world, begin }
    }

    fn host(&self, name: &str) -> &HostView {
        self.world.host(&HostId::new(name).unwrap()).unwrap()
    }

    fn release(&self, version: &str) -> ReleaseRef {
        let releases = self.driver.lab().releases().unwrap();
        releases.into_iter().map(|(release, _)| release).find(|release| release.version.0 == version).unwrap()
    }

    fn poll(&mut self) -> Vec<DriverEvent> {
        let events = self.driver.poll(Duration::from_secs(1)).unwrap();
        for event in &events {
            if let DriverEvent::Host(host) = event {
                self.world.set_host((**host).clone());
            }
        }
        events
    }

    /// Orders each effect twice, and waits for all.
    fn order(&mut self, effects: &[Effect]) {
        let mut open: BTreeMap<_, _> = effects.iter().map(|effect| (effect.key(), effect)).collect();
        let begin = Instant::now();
        for (key, effect) in &open {
            self.driver.start(key, effect).unwrap();
            self.driver.start(key, effect).unwrap();
        }
        while !open.is_empty() {
            assert!(begin.elapsed() < PATIENCE, "no outcome of {open:?}");
            for event in self.poll() {
                if let DriverEvent::Outcome { key, outcome } = event {
                    println!("{:6.1} s  {key}: {outcome:?}", self.begin.elapsed().as_secs_f32());
                    assert!(matches!(outcome, Outcome::Done { .. }), "{key}: {outcome:?}");
                    open.remove(&key);
                }
            }
        }
    }

    fn wait_for(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !reached(self) {
            assert!(begin.elapsed() < PATIENCE, "{what}: {:?}", self.world);
            self.poll();
        }
    }

    /// The whole turn of each host, at the same time.
    fn turn(&mut self, wanted: &[(&str, &str)]) {
        let wanted: Vec<(HostId, ReleaseRef)> = wanted
            .iter()
            .map(|(host, version)| (HostId::new(host).unwrap(), self.release(version)))
            .collect();
        let each = |make: &dyn Fn(&HostId, &ReleaseRef) -> Effect| {
            wanted.iter().map(|(host, release)| make(host, release)).collect::<Vec<_>>()
        };
        let alternate: BTreeMap<HostId, Bank> = wanted
            .iter()
            .map(|(host, _)| (host.clone(), self.host(host.as_str()).active.unwrap().other()))
            .collect();
        self.order(&each(&|host, release| Effect::CheckHost {
            host: host.clone(),
            release: release.clone(),
            retry: false,
        }));
        self.order(&each(&|host, _| Effect::SaveState { host: host.clone() }));
        self.order(&each(&|host, release| Effect::Stage { host: host.clone(), release: release.clone() }));
        self.order(&each(&|host, release| Effect::Install {
            host: host.clone(),
            release: release.clone(),
            bank: alternate[host],
            retry: false,
        }));
        let reboots = each(&|host, _| Effect::RebootInto {
            host: host.clone(),
            bank: alternate[host],
            boot_id_before: self.host(host.as_str()).boot_id.clone().unwrap(),
        });
        self.order(&reboots);
    }
}

#[test]
fn real_machines_are_upgraded_and_every_bad_release_falls_back_without_a_hand() {
    if let Some(reason) = missing() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
        println!("skipped: {reason}");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("lab");
    let options = LabOptions {
        folder: folder.clone(),
        kernel_cache: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lab-kernel"),
        agent: agent(),
        hosts: 3,
        memory_mib: 256,
    };
    let begin = Instant::now();
    let _down = Down(folder.clone());
    match Lab::up(&options, &mut |line| println!("{line}")) {
        Ok(_) => {}
        Err(error @ LabError::NoKernel { .. }) => {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{error}");
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    }
    assert!(matches!(Lab::up(&options, &mut |_| ()), Err(LabError::AlreadyUp { .. })));

    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("every agent says hello", |pool| pool.world.hosts().all(|host| host.reachable));
    for host in pool.world.hosts() {
        assert_eq!((host.active, host.bank(Bank::A).state), (Some(Bank::A), BankState::Good));
        assert_eq!(host.bank(Bank::B).state, BankState::Empty);
    }
    let second = LabDriver::open(Lab::open(&folder).unwrap(), PoolName::new("lab").unwrap());
    assert!(matches!(second, Err(LabError::Listen { .. })), "two controllers on one lab");

    // A good release: every host boots the other bank, and is blessed.
    pool.turn(&[("host-1", "2"), ("host-2", "2"), ("host-3", "2")]);
    for host in pool.world.hosts() {
        assert_eq!((host.active, host.bank(Bank::B).state), (Some(Bank::B), BankState::Good));
        assert_eq!(host.running, Some(pool.release("2").digest));
    }

    // The controller is lost in the middle: another one takes up what the first had ordered.
    let before = pool.host("host-1").boot_id.clone();
    drop(pool);
    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("every agent comes back", |pool| pool.world.hosts().all(|host| host.reachable));
    assert_eq!(pool.host("host-1").boot_id, before, "a lost controller costs no reboot");

    // Three bad releases, one on each host: each falls back, and says why.
    let bad = [("host-1", "3-panics"), ("host-2", "3-hangs"), ("host-3", "3-sick")];
    pool.turn(&bad);
    for (name, version) in bad {
        let host = pool.host(name);
        assert_eq!((host.active, host.bank(Bank::A).state), (Some(Bank::B), BankState::Failed), "{name}");
        assert_eq!(host.failed_releases, [pool.release(version).digest], "{name}");
        let note = host.bank(Bank::A).note.clone().unwrap();
        let expected = if version == "3-sick" { "50-sick" } else { "did not come to the end of its trial" };
        assert!(note.contains(expected), "{name}: {note}");
    }
    // What failed here is not tried again by itself.
    let (host, release) = (HostId::new("host-1").unwrap(), pool.release("3-panics"));
    let effect = Effect::CheckHost { host, release, retry: false };
    pool.driver.start(&effect.key(), &effect).unwrap();
    let events = pool.poll();
    let refused = |event: &DriverEvent| {
        matches!(event, DriverEvent::Outcome { outcome: Outcome::Failed { retriable: false, .. }, .. })
    };
    assert!(events.iter().any(refused), "{events:?}");

    // The power fails in the middle of an install: the host boots the bank that ran.
    let (host, release) = (HostId::new("host-3").unwrap(), pool.release("2"));
    pool.order(&[Effect::Stage { host: host.clone(), release: release.clone() }]);
    let install = Effect::Install { host, release, bank: Bank::A, retry: false };
    let key = install.key();
    pool.driver.start(&key, &install).unwrap();
    let machine = pool.driver.lab().machine("host-3").unwrap();
    let began = Instant::now();
    while !pool
        .poll()
        .iter()
        .any(|event| matches!(event, DriverEvent::Progress { key: of, .. } if *of == key))
    {
        assert!(began.elapsed() < PATIENCE);
    }
    machine.cut_power().unwrap();
    pool.wait_for("the host is missed", |pool| !pool.host("host-3").reachable);
    machine.start().unwrap();
    // The order still stands: it is carried out when the host is back.
    pool.wait_for("the host is back and did what was ordered", |pool| {
        let host = pool.host("host-3");
        host.reachable && host.bank(Bank::A).state == BankState::Upgraded
    });
    assert_eq!(pool.host("host-3").active, Some(Bank::B));

    let lab = pool.driver.lab().clone();
    for machine in lab.status() {
        println!("{}: {} KiB resident", machine.name, machine.resident_kib.unwrap());
    }
    drop(pool);
    let pids: Vec<u32> = lab.status().iter().filter_map(|machine| machine.pid).collect();
    assert_eq!(Lab::down(&folder).unwrap().len(), 3);
    assert!(!folder.exists(), "something is left");
    // A process that has ended may still stand in the table, without a command line.
    let runs = |pid: &u32| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty());
    assert!(pids.len() == 3 && !pids.iter().any(runs), "{pids:?}");
    assert!(matches!(Lab::open(&folder), Err(LabError::NotUp { .. })));
}
