//! Pools with real disks: what is promised holds by the bytes, and after any end of the controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_bank::disk::BankDisk;
use lifeboat_bundle::{SecretKey, TrustStore};
use lifeboat_device::BlockFile;
use lifeboat_hypervisor::Hypervisor;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec, build_sim_bundle};
use lifeboat_model::{Bank, BankState, Effect, HostId, Millis, ReleaseRef};

use crate::sim_support::{Controller, host};

/// A folder with a pool of three hosts, and the bundle of a second release.
struct Site {
    dir: tempfile::TempDir,
    release: ReleaseRef,
}

fn key(number: u8) -> SecretKey {
    SecretKey::from_random([number; 32], "test").unwrap()
}

fn bundle(dir: &Path, serial: u64, kernel: &SimKernel, signer: u8) -> (ReleaseRef, PathBuf) {
    let (release, bytes) =
        build_sim_bundle(&format!("{serial}.0"), serial, kernel, 1_767_000_000, &key(signer)).unwrap();
    let path = dir.join(format!("release-{serial}-{signer}.lfb"));
    fs::write(&path, bytes).unwrap();
    (release, path)
}

impl Site {
    fn new(kernel: &SimKernel) -> (Self, SimPool) {
        let dir = tempfile::tempdir().unwrap();
        let (_, first) = bundle(dir.path(), 1, &SimKernel::default(), 7);
        let (release, second) = bundle(dir.path(), 2, kernel, 7);
        let trust = TrustStore::new(vec![key(7).public()]).unwrap();
        let spec = SimSpec { hosts: 3, guests: 6, ..SimSpec::default() };
        let site = Self { dir, release };
        let mut pool = SimPool::create(&site.pool(), &spec, &first, &trust, ClockMode::Virtual).unwrap();
        assert_eq!(pool.offer_bundle(&second).unwrap(), site.release);
        (site, pool)
    }

    fn pool(&self) -> PathBuf {
        self.dir.path().join("pool")
    }

    fn open(&self) -> Controller {
        Controller::new(SimPool::open(&self.pool(), ClockMode::Virtual).unwrap())
    }
}

/// What the disk itself says.
fn disk(pool: &SimPool, id: &HostId) -> BankDisk<BlockFile> {
    BankDisk::open(BlockFile::open_read(&pool.disk_path(id).unwrap()).unwrap()).unwrap()
}

/// The release is good on the host if it should be, or failed there with the host in its old bank.
fn assert_ended(controller: &mut Controller, id: &HostId, release: &ReleaseRef, good: bool) {
    controller.assert_harmless();
    let view = controller.host(id);
    let disk = disk(&controller.pool, id);
    let b = disk.record().bank(Bank::B);
    assert_eq!(b.release.as_ref(), Some(release));
    assert!(disk.verify(Bank::A).is_whole());
    // A bank that failed is made unbootable: a firmware that forgot its variables must not find it.
    assert_eq!(disk.verify(Bank::B).is_whole(), good);
    assert!(!view.maintenance && view.reachable);
    if good {
        assert_eq!(
            (view.active, view.running, b.state),
            (Some(Bank::B), Some(release.digest), BankState::Good)
        );
        assert_eq!(disk.record().floor, release.serial);
    } else {
        assert_eq!((view.active, b.state), (Some(Bank::A), BankState::Failed));
        assert_eq!(view.failed_releases, [release.digest]);
    }
}

const ALL: [Behaviour; 4] = [Behaviour::Good, Behaviour::Panic, Behaviour::Hang, Behaviour::Unhealthy];

#[test]
fn a_turn_ends_by_what_the_bytes_of_the_release_do() {
    for behaviour in ALL {
        let (site, pool) = Site::new(&SimKernel::always(behaviour));
        let mut controller = Controller::new(pool);
        controller.starts = 2;
        controller.whole_turn(&host("h02"), &site.release);
        assert_ended(&mut controller, &host("h02"), &site.release, behaviour == Behaviour::Good);
        let saved = fs::read_to_string(site.pool().join("hosts/h02/state/saved.json")).unwrap();
        assert!(saved.contains("\"1.0\""), "{saved}");
    }
}

#[test]
fn a_controller_that_ends_at_any_step_is_followed_by_one_that_goes_on() {
    for behaviour in ALL {
        let (site, pool) = Site::new(&SimKernel::always(behaviour));
        let (h2, mut controller) = (host("h02"), Controller::new(pool));
        let mut effects = controller.turn(&h2, &site.release);
        let moves = controller.moves_off(&h2);
        effects.splice(3..3, moves);
        for effect in &effects {
            // Ended right after the order, in the middle of the work, and after its end.
            for pass in [Millis(0), Millis(1500), Millis::from_secs(100), Millis::from_secs(1000)] {
                controller.start(effect);
                controller.pool.let_pass(pass).unwrap();
                drop(controller);
                controller = site.open();
            }
            controller.done(effect);
            drop(controller);
            controller = site.open();
        }
        assert_ended(&mut controller, &h2, &site.release, behaviour == Behaviour::Good);
    }
}

#[test]
fn a_controller_that_dies_after_the_effect_and_before_it_wrote_that_down_is_harmless() {
    for behaviour in ALL {
        let (site, pool) = Site::new(&SimKernel::always(behaviour));
        let (h2, file) = (host("h02"), site.pool().join("sim.json"));
        let mut controller = Controller::new(pool);
        let mut effects = controller.turn(&h2, &site.release);
        let moves = controller.moves_off(&h2);
        effects.splice(3..3, moves);
        for effect in &effects {
            // The disk is ahead of the file by each part of the effect.
            let mut before = fs::read(&file).unwrap();
            controller.start(effect);
            for pass in [0, 5, 60, 170, 300, 900] {
                controller.pool.let_pass(Millis::from_secs(pass)).unwrap();
                let after = fs::read(&file).unwrap();
                drop(controller);
                fs::write(&file, &before).unwrap();
                controller = site.open();
                controller.start(effect);
                controller.pool.let_pass(Millis::from_secs(pass)).unwrap();
                before = after;
            }
            drop(controller);
            controller = site.open();
            controller.done(effect);
        }
        assert_ended(&mut controller, &h2, &site.release, behaviour == Behaviour::Good);
    }
}

#[test]
fn a_release_that_is_not_trusted_is_not_offered() {
    let (site, mut pool) = Site::new(&SimKernel::default());
    let (_, foreign) = bundle(site.dir.path(), 3, &SimKernel::default(), 9);
    let refused = pool.offer_bundle(&foreign).unwrap_err().to_string();
    assert!(refused.contains("release-3-9.lfb"), "{refused}");
    let (_, own) = bundle(site.dir.path(), 3, &SimKernel::default(), 7);
    let mut bytes = fs::read(&own).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(&own, &bytes).unwrap();
    assert!(pool.offer_bundle(&own).is_err());
    fs::write(&own, &bytes[..last]).unwrap();
    assert!(pool.offer_bundle(&own).is_err());
}

#[test]
fn a_bundle_that_is_damaged_on_its_way_is_refused_by_the_host() {
    let (site, pool) = Site::new(&SimKernel::default());
    let mut controller = Controller::new(pool);
    let kept = site.pool().join(format!("bundles/{}.lfb", site.release.digest));
    let mut bytes = fs::read(&kept).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    fs::write(&kept, &bytes).unwrap();
    let effects = controller.turn(&host("h01"), &site.release);
    assert!(controller.fails(&effects[3]).0.contains("verifying"));
    assert!(controller.fails(&effects[4]).0.contains("not staged"));
    assert_eq!(disk(&controller.pool, &host("h01")).record().bank(Bank::B).state, BankState::Empty);
}

#[test]
fn a_disk_that_fails_at_any_byte_leaves_the_running_bank_whole() {
    let (site, pool) = Site::new(&SimKernel::default());
    let mut controller = Controller::new(pool);
    let h2 = host("h02");
    let effects = controller.turn(&h2, &site.release);
    controller.done(&effects[3]);
    for at in [0, 1, 5000, 70_000, 262_144, 300_000] {
        controller.pool.order_fault(format!("disk-error:h02:{at}").parse().unwrap()).unwrap();
        let (reason, _) = controller.fails(&effects[4]);
        assert!(reason.contains("a fault that was ordered"), "{at}: {reason}");
        let disk = disk(&controller.pool, &h2);
        assert!(disk.verify(Bank::A).is_whole(), "{at}");
        assert_ne!(disk.record().bank(Bank::B).state, BankState::Upgraded, "{at}");
        controller.pool.clear_faults().unwrap();
    }
    controller.done(&effects[4]);
    assert_eq!(controller.host(&h2).bank(Bank::B).state, BankState::Upgraded);
}

#[test]
fn a_damaged_alternate_bank_is_not_booted_and_a_damaged_running_bank_stops_the_check() {
    let (site, pool) = Site::new(&SimKernel::default());
    let mut controller = Controller::new(pool);
    let h2 = host("h02");
    let path = controller.pool.disk_path(&h2).unwrap();
    let root = disk(&controller.pool, &h2).layout().volumes(Bank::A).root.offset();
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(root).unwrap() + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let effects = controller.turn(&h2, &site.release);
    assert!(controller.fails(&effects[0]).0.contains("not whole"));
}

#[test]
fn two_controllers_cannot_have_one_pool_open() {
    let (site, pool) = Site::new(&SimKernel::default());
    let refused = SimPool::open(&site.pool(), ClockMode::Virtual).unwrap_err().to_string();
    assert!(refused.contains("lock"), "{refused}");
    drop(pool);
    assert!(SimPool::open(&site.pool(), ClockMode::Virtual).is_ok());
}

#[test]
fn a_folder_that_holds_something_is_not_taken_for_a_new_pool() {
    let (site, pool) = Site::new(&SimKernel::default());
    drop(pool);
    let trust = TrustStore::new(vec![key(7).public()]).unwrap();
    let (_, first) = bundle(site.dir.path(), 1, &SimKernel::default(), 7);
    let again = SimPool::create(&site.pool(), &SimSpec::default(), &first, &trust, ClockMode::Virtual);
    assert!(again.unwrap_err().to_string().contains("not empty"));
}

#[test]
fn a_damaged_state_is_refused_by_the_name_of_its_file() {
    let (site, pool) = Site::new(&SimKernel::default());
    drop(pool);
    let file = site.pool().join("sim.json");
    let good = fs::read(&file).unwrap();
    let newer = String::from_utf8(good.clone()).unwrap().replacen("\"schema\":1", "\"schema\":99", 1);
    for bytes in [&b""[..], &good[..good.len() / 2], b"[]", newer.as_bytes()] {
        fs::write(&file, bytes).unwrap();
        let refused = SimPool::open(&site.pool(), ClockMode::Virtual).unwrap_err().to_string();
        assert!(refused.contains("sim.json"), "{refused}");
    }
    fs::write(&file, &good).unwrap();
    fs::write(site.pool().join("hosts/h03/disk.img"), b"no disk").unwrap();
    let refused = SimPool::open(&site.pool(), ClockMode::Virtual).unwrap_err().to_string();
    assert!(refused.contains("h03"), "{refused}");
}

#[test]
fn a_scaled_pool_goes_on_in_real_time_and_while_nobody_looks() {
    let (site, pool) = Site::new(&SimKernel::default());
    drop(pool);
    let mode = ClockMode::Scaled { factor: 20_000 };
    let mut controller = Controller::new(SimPool::open(&site.pool(), mode).unwrap());
    controller.longest_wait = Duration::from_millis(100);
    let h2 = host("h02");
    controller.drain(&h2);
    let effects = controller.turn(&h2, &site.release);
    for effect in &effects[2..5] {
        controller.done(effect);
    }
    controller.start(&effects[5]);
    drop(controller);
    let mut controller = Controller::new(SimPool::open(&site.pool(), mode).unwrap());
    controller.longest_wait = Duration::from_millis(100);
    controller.done(&effects[5]);
    assert_eq!(controller.host(&h2).active, Some(Bank::B));
    assert!(matches!(effects[5], Effect::RebootInto { .. }));
    assert!(controller.pool.now() > SimSpec::default().start);
}

#[test]
fn a_whole_pool_with_disks_is_rolled_and_only_the_bad_host_falls_back() {
    let h3 = host("h03");
    let (site, pool) = Site::new(&SimKernel::default().except(h3.clone(), Behaviour::Panic));
    let mut controller = Controller::new(pool);
    for id in ["h01", "h02", "h03"].map(host) {
        controller.whole_turn(&id, &site.release);
        assert_ended(&mut controller, &id, &site.release, id != h3);
    }
    // The host that fell back takes the release again only on order, and then another bank is written over.
    let check = |retry| Effect::CheckHost { host: h3.clone(), release: site.release.clone(), retry };
    assert!(controller.fails(&check(false)).0.contains("failed on this host before"));
    controller.done(&check(true));
}
