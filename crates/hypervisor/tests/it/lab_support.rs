//! A pool of real machines for tests: looking for what is needed, ordering, waiting.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lifeboat_hypervisor::lab::{BUILD_AGENT, Lab, LabDriver, LabError, LabOptions, Machine};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{Bank, Effect, HostId, HostView, Outcome, PoolName, ReleaseRef, World};

/// Longest wait for anything: the watchdog's 120 s, three boots on a loaded computer, and room.
pub(crate) const PATIENCE: Duration = Duration::from_secs(900);

/// Why the machines cannot be started here, if they cannot.
pub(crate) fn missing() -> Option<String> {
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
pub(crate) fn agent() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
    target.join("x86_64-unknown-linux-gnu/agent/lifeboat-agent")
}

/// Takes the lab down however the test ends.
pub(crate) struct Down(pub(crate) PathBuf);

impl Drop for Down {
    fn drop(&mut self) {
        drop(Lab::down(&self.0));
    }
}

pub(crate) struct Pool {
    pub(crate) driver: LabDriver,
    pub(crate) world: World,
    pub(crate) begin: Instant,
}

impl Pool {
    pub(crate) fn open(folder: &std::path::Path, begin: Instant) -> Self {
        let lab = Lab::open(folder).unwrap();
        let mut driver = LabDriver::open(lab, PoolName::new("lab").unwrap()).unwrap();
        let world = driver.observe().unwrap();
        Self { driver, world, begin }
    }

    pub(crate) fn host(&self, name: &str) -> &HostView {
        self.world.host(&HostId::new(name).unwrap()).unwrap()
    }

    pub(crate) fn release(&self, version: &str) -> ReleaseRef {
        let releases = self.driver.lab().releases().unwrap();
        releases.into_iter().map(|(release, _)| release).find(|release| release.version.0 == version).unwrap()
    }

    pub(crate) fn poll(&mut self) -> Vec<DriverEvent> {
        let events = self.driver.poll(Duration::from_secs(1)).unwrap();
        for event in &events {
            if let DriverEvent::Host(host) = event {
                self.world.set_host((**host).clone());
            }
        }
        events
    }

    /// Orders each effect twice, and waits for all.
    pub(crate) fn order(&mut self, effects: &[Effect]) {
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

    pub(crate) fn wait_for(&mut self, what: &str, reached: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !reached(self) {
            assert!(begin.elapsed() < PATIENCE, "{what}: {:?}", self.world);
            self.poll();
        }
    }

    /// The whole turn of each host, at the same time.
    pub(crate) fn turn(&mut self, wanted: &[(&str, &str)]) {
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

/// A lab of `hosts` machines, or the reason why there is none here (already told). Taken down with what is returned.
pub(crate) fn bring_up(folder: &Path, hosts: u32) -> Option<Down> {
    if let Some(reason) = missing() {
        assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{reason}");
        println!("skipped: {reason}");
        return None;
    }
    let options = LabOptions {
        folder: folder.to_owned(),
        kernel_cache: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lab-kernel"),
        agent: agent(),
        hosts,
        memory_mib: 256,
    };
    let down = Down(folder.to_owned());
    match Lab::up(&options, &mut |line| println!("{line}")) {
        Ok(_) => Some(down),
        Err(error @ LabError::NoKernel { .. }) => {
            assert!(std::env::var_os("LIFEBOAT_REQUIRE_PEERS").is_none(), "{error}");
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Orders that bring a release into the alternate bank, without a reboot.
pub(crate) fn install(pool: &mut Pool, host: &str, version: &str) -> Bank {
    let release = pool.release(version);
    let bank = pool.host(host).active.unwrap().other();
    let host = HostId::new(host).unwrap();
    pool.order(&[Effect::Stage { host: host.clone(), release: release.clone() }]);
    pool.order(&[Effect::Install { host, release, bank, retry: false }]);
    bank
}

/// Orders one boot into `bank`, and waits until the host says what came of it.
pub(crate) fn reboot_into(pool: &mut Pool, host: &str, bank: Bank) {
    let boot_id_before = pool.host(host).boot_id.clone().unwrap();
    pool.order(&[Effect::RebootInto { host: HostId::new(host).unwrap(), bank, boot_id_before }]);
}

/// Takes the power away, changes the disk, gives the power back, and waits for the agent.
pub(crate) fn with_power_off(pool: &mut Pool, host: &str, change: impl FnOnce(&Machine)) {
    let machine = pool.driver.lab().machine(host).unwrap();
    machine.cut_power().unwrap();
    pool.wait_for("the host is missed", |pool| !pool.host(host).reachable);
    change(&machine);
    machine.start().unwrap();
    pool.wait_for("the host is back", |pool| pool.host(host).reachable);
}
