//! Pools in folders: looking without the lock, orders from outside, remedies on real disks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lifeboat_bank::disk::BankDisk;
use lifeboat_bundle::{SecretKey, TrustStore};
use lifeboat_device::BlockFile;
use lifeboat_hypervisor::sim::{
    ClockMode, Condition, SimKernel, SimOrder, SimPool, SimSpec, build_sim_bundle, leave_orders,
};
use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{Bank, BankState, Effect, FeatureKind, FeatureView, Fix, HostId, Millis, ReleaseRef};

use crate::sim_support::{Controller, host};

struct Site {
    dir: tempfile::TempDir,
    second: PathBuf,
    release: ReleaseRef,
}

fn bundle(dir: &Path, serial: u64) -> (ReleaseRef, PathBuf) {
    let key = SecretKey::from_random([7; 32], "the maker").unwrap();
    let (release, bytes) =
        build_sim_bundle(&format!("{serial}.0"), serial, &SimKernel::default(), 0, &key).unwrap();
    let path = dir.join(format!("{serial}.lfb"));
    fs::write(&path, bytes).unwrap();
    (release, path)
}

fn trust() -> TrustStore {
    TrustStore::new(vec![SecretKey::from_random([7; 32], "the maker").unwrap().public()]).unwrap()
}

impl Site {
    fn new(conditions: &[&str]) -> (Self, SimPool) {
        let dir = tempfile::tempdir().unwrap();
        let (_, first) = bundle(dir.path(), 1);
        let (release, second) = bundle(dir.path(), 2);
        let value = "automatic".to_owned();
        let features = vec![FeatureView { kind: FeatureKind::LoadBalancer, value }];
        let conditions = conditions.iter().map(|text| text.parse().unwrap()).collect();
        let spec = SimSpec { hosts: 3, guests: 6, features, conditions, ..SimSpec::default() };
        let site = Self { dir, second, release };
        let mut pool = SimPool::create(&site.pool(), &spec, &first, &trust(), ClockMode::Virtual).unwrap();
        pool.offer_bundle(&site.second).unwrap();
        (site, pool)
    }

    fn pool(&self) -> PathBuf {
        self.dir.path().join("pool")
    }
}

fn set(text: &str) -> SimOrder {
    SimOrder::Set { condition: text.parse().unwrap() }
}

#[test]
fn a_pool_is_looked_at_while_a_controller_has_it_and_nothing_is_written() {
    let (site, pool) = Site::new(&["ghost:h02:B"]);
    let mut controller = Controller::new(pool);
    let turn = controller.turn(&host("h02"), &site.release);
    controller.done(&turn[2]);
    let before = fs::read(site.pool().join("sim.json")).unwrap();
    let mut look = SimPool::open_to_look(&site.pool(), ClockMode::Virtual).unwrap();
    assert_eq!(look.observe().unwrap(), controller.world);
    let survey = look.survey(Some(&site.release)).unwrap();
    assert_eq!(survey.world, controller.world);
    let facts = survey.release.unwrap();
    assert_eq!((facts.signed_by.as_deref(), facts.serial), (Some("the maker"), Some(2)));
    assert_eq!(look.conditions(), ["ghost:h02:B".parse::<Condition>().unwrap()]);
    for refused in [
        look.start(&turn[0].key(), &turn[0]).unwrap_err(),
        look.poll(Duration::ZERO).unwrap_err(),
        look.order(&set("ghost:h03:B")).unwrap_err(),
        look.clear_faults().unwrap_err(),
    ] {
        assert!(refused.to_string().contains("only to look"), "{refused}");
    }
    assert_eq!(fs::read(site.pool().join("sim.json")).unwrap(), before);
    // It may know of a further release, and keeps that to itself.
    let (third, path) = bundle(site.dir.path(), 3);
    look.offer_bundle(&path).unwrap();
    assert_eq!(look.survey(Some(&third)).unwrap().release.unwrap().signed_by.as_deref(), Some("the maker"));
    assert_eq!(fs::read_dir(site.pool().join("bundles")).unwrap().count(), 2);
    assert_eq!(fs::read(site.pool().join("sim.json")).unwrap(), before);
    // An order that waits is not taken by somebody who only looks.
    leave_orders(&site.pool(), &[set("ghost:h03:B")]).unwrap();
    look.observe().unwrap();
    assert_eq!(fs::read_dir(site.pool().join("inbox")).unwrap().count(), 1);
}

#[test]
fn orders_from_outside_reach_the_controller_and_are_seen_by_it() {
    let (site, pool) = Site::new(&[]);
    let mut controller = Controller::new(pool);
    let feature = FeatureKind::LoadBalancer;
    controller.done(&Effect::SuspendFeature { feature, original: "automatic".to_owned() });
    leave_orders(&site.pool(), &[SimOrder::Feature { feature, value: "manual".to_owned() }]).unwrap();
    leave_orders(
        &site.pool(),
        &[set("media:g01:x.iso"), SimOrder::Strike { fault: "no-boot:h03".parse().unwrap() }],
    )
    .unwrap();
    let events = controller.pool.poll(Duration::ZERO).unwrap();
    let seen = FeatureView { kind: feature, value: "manual".to_owned() };
    assert!(events.contains(&DriverEvent::Feature(seen)), "{events:?}");
    assert!(events.iter().any(|event| matches!(event, DriverEvent::Guest(_))));
    assert_eq!((controller.pool.faults().len(), controller.pool.conditions().len()), (1, 1));
    assert_eq!(fs::read_dir(site.pool().join("inbox")).unwrap().count(), 0);
    // It is written: the next controller knows it too.
    drop(controller);
    let pool = SimPool::open(&site.pool(), ClockMode::Virtual).unwrap();
    assert_eq!((pool.faults().len(), pool.conditions().len()), (1, 1));
}

#[test]
fn a_letter_that_cannot_be_read_or_obeyed_is_laid_aside_with_the_reason() {
    let (site, mut pool) = Site::new(&[]);
    leave_orders(&site.pool(), &[set("ghost:h99:B"), set("ghost:h02:B")]).unwrap();
    let inbox = site.pool().join("inbox");
    fs::write(inbox.join("0-damaged.json"), b"{\"schema\":1,\"ord").unwrap();
    fs::write(inbox.join("1-newer.json"), b"{\"schema\":9,\"orders\":[]}").unwrap();
    fs::write(inbox.join("2-large.json"), vec![b' '; 2 << 20]).unwrap();
    pool.poll(Duration::ZERO).unwrap();
    let mut refused: Vec<String> = fs::read_dir(&inbox)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    refused.sort();
    assert_eq!(refused.len(), 4, "{refused:?}");
    assert!(refused.iter().all(|name| name.ends_with(".refused")), "{refused:?}");
    assert!(fs::read_to_string(inbox.join("1-newer.refused")).unwrap().contains("schema is 9"));
    // The order beside the wrong one was carried out.
    assert_eq!(pool.conditions(), ["ghost:h02:B".parse::<Condition>().unwrap()]);
    pool.poll(Duration::ZERO).unwrap();
}

#[test]
fn an_order_is_carried_out_once_when_the_controller_dies_before_it_removed_it() {
    let (site, mut pool) = Site::new(&[]);
    leave_orders(&site.pool(), &[SimOrder::Reset { host: host("h02") }]).unwrap();
    let inbox = site.pool().join("inbox");
    let letter = fs::read_dir(&inbox).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&letter).unwrap();
    pool.poll(Duration::ZERO).unwrap();
    drop(pool);
    // As if it had died between writing what it did and removing the letter.
    let mut state: serde_json::Value =
        serde_json::from_slice(&fs::read(site.pool().join("sim.json")).unwrap()).unwrap();
    state["taken"] = serde_json::json!([letter.file_name().unwrap().to_str().unwrap()]);
    fs::write(site.pool().join("sim.json"), state.to_string()).unwrap();
    fs::write(&letter, bytes).unwrap();
    let boots = |text: &[u8]| {
        let state: serde_json::Value = serde_json::from_slice(text).unwrap();
        state["hosts"]["h02"]["boots"].as_u64().unwrap()
    };
    let mut pool = SimPool::open(&site.pool(), ClockMode::Virtual).unwrap();
    pool.let_pass(Millis::from_secs(600)).unwrap();
    pool.poll(Duration::ZERO).unwrap();
    assert_eq!(boots(&fs::read(site.pool().join("sim.json")).unwrap()), 1);
    assert!(!letter.exists());
    assert!(pool.observe().unwrap().host(&host("h02")).unwrap().reachable);
}

#[test]
fn a_bank_on_a_disk_is_really_made_anew() {
    let (site, pool) = Site::new(&["ghost:h02:B", "foreign-file:h02:B:.Trashes"]);
    let mut controller = Controller::new(pool);
    let id: HostId = host("h02");
    let fix = Fix::RebuildBank { host: id.clone(), bank: Bank::B };
    controller.done(&Effect::Mend { fix: fix.clone() });
    let path = controller.pool.disk_path(&id).unwrap();
    let open = |path: &Path| BankDisk::open(BlockFile::open_read(path).unwrap()).unwrap();
    let disk = open(&path);
    assert!(disk.verify(Bank::B).is_whole() && disk.verify(Bank::A).is_whole());
    let digest = |bank| disk.record().bank(bank).release.as_ref().map(|release| release.digest);
    assert_eq!(digest(Bank::A), digest(Bank::B));
    // A byte of it rots: a survey finds it, and it is made anew once more.
    let at = usize::try_from(disk.layout().volumes(Bank::B).root.offset()).unwrap() + 100;
    let mut bytes = fs::read(&path).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let banks = |controller: &mut Controller| {
        let survey = controller.pool.survey(None).unwrap();
        survey.hosts.get(&host("h02")).unwrap().banks.known().unwrap().clone()
    };
    assert!(!banks(&mut controller)[1].damage.is_empty());
    controller.done(&Effect::Mend { fix });
    assert!(open(&path).verify(Bank::B).is_whole());
    assert!(banks(&mut controller).iter().all(|bank| bank.damage.is_empty() && bank.foreign.is_empty()));
    // The turn goes on from there.
    controller.whole_turn(&id, &site.release);
    assert_eq!(controller.host(&id).active, Some(Bank::B));
}

#[test]
fn a_host_that_was_upgraded_by_hand_runs_the_release_from_its_disk() {
    let (site, mut pool) = Site::new(&[]);
    pool.set_condition("runs-newer:h02".parse().unwrap()).unwrap();
    let world = pool.observe().unwrap();
    let view = world.host(&host("h02")).unwrap();
    assert_eq!((view.active, view.running), (Some(Bank::B), Some(site.release.digest)));
    assert_eq!(view.bank(Bank::B).state, BankState::Good);
    let disk = BankDisk::open(BlockFile::open_read(&pool.disk_path(&host("h02")).unwrap()).unwrap()).unwrap();
    assert!(disk.verify(Bank::B).is_whole());
    let again = pool.set_condition("runs-newer:h02".parse().unwrap()).unwrap_err().to_string();
    assert!(again.contains("newest"), "{again}");
    assert!(pool.set_condition("unguarded:h02".parse().unwrap()).is_err());
}

#[test]
fn an_install_that_wrote_nothing_leaves_the_disk_as_it_was() {
    let (site, mut pool) = Site::new(&[]);
    pool.order_fault("nothing-installed:h02".parse().unwrap()).unwrap();
    let mut controller = Controller::new(pool);
    controller.whole_turn(&host("h02"), &site.release);
    let view = controller.host(&host("h02"));
    assert_eq!((view.active, view.bank(Bank::B).state), (Some(Bank::A), BankState::Empty));
}

#[test]
fn a_pool_that_was_half_made_leaves_no_folder_of_its_name() {
    let (site, pool) = Site::new(&[]);
    drop(pool);
    let (_, first) = bundle(site.dir.path(), 1);
    let dir = site.dir.path().join("other");
    // What a process that was killed left behind: no process has this number.
    let half = site.dir.path().join(".other.making-4294967295");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("sim.json"), b"{").unwrap();
    // A pool that cannot be made leaves nothing.
    let tight = SimSpec { hosts: 1, guests: 100_000, ..SimSpec::default() };
    assert!(SimPool::create(&dir, &tight, &first, &trust(), ClockMode::Virtual).is_err());
    let left = |prefix: &str| {
        fs::read_dir(site.dir.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(prefix))
            .count()
    };
    assert_eq!(left("other"), 0);
    let spec = SimSpec { hosts: 1, guests: 1, ..SimSpec::default() };
    SimPool::create(&dir, &spec, &first, &trust(), ClockMode::Virtual).unwrap();
    assert_eq!((left("other"), left(".other")), (1, 0));
    SimPool::open(&dir, ClockMode::Virtual).unwrap();
}
