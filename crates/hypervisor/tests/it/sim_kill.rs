//! A controller that is really killed, again and again, until a host's turn is through.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use lifeboat_bank::disk::BankDisk;
use lifeboat_bundle::{SecretKey, TrustStore};
use lifeboat_device::BlockFile;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, SimKernel, SimPool, SimSpec, build_sim_bundle};
use lifeboat_model::{Bank, BankState, Effect};

use crate::sim_support::{Controller, host};

const FOLDER: &str = "LIFEBOAT_TEST_KILLED_POOL";

/// Orders of the turn, made before the first of them was given; a real controller has them in its journal.
fn orders(dir: &Path) -> Vec<Effect> {
    serde_json::from_slice(&fs::read(dir.join("orders.json")).unwrap()).unwrap()
}

#[test]
#[ignore = "it is the process that the other test here starts and kills"]
fn the_controller_that_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let mut controller = Controller::new(SimPool::open(&dir.join("pool"), ClockMode::Virtual).unwrap());
    let through = dir.join("through");
    for (number, effect) in orders(&dir).iter().enumerate() {
        if fs::read_to_string(&through).is_ok_and(|text| text.lines().count() > number) {
            continue;
        }
        controller.done(effect);
        // One line for each order that is through; a write of this size is there whole or not at all.
        let before = fs::read_to_string(&through).unwrap_or_default();
        fs::write(dir.join("through.new"), format!("{before}{effect}\n")).unwrap();
        fs::rename(dir.join("through.new"), &through).unwrap();
    }
}

#[test]
fn a_controller_that_is_killed_at_any_time_loses_nothing() {
    for behaviour in [Behaviour::Good, Behaviour::Unhealthy] {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let key = SecretKey::from_random([7; 32], "test").unwrap();
        let bundle = |serial: u64, kernel: &SimKernel| {
            let (release, bytes) = build_sim_bundle(&serial.to_string(), serial, kernel, 0, &key).unwrap();
            let path = dir.join(format!("{serial}.lfb"));
            fs::write(&path, bytes).unwrap();
            (release, path)
        };
        let trust = TrustStore::new(vec![key.public()]).unwrap();
        let spec = SimSpec { hosts: 2, guests: 4, ..SimSpec::default() };
        let (_, first) = bundle(1, &SimKernel::default());
        let (release, second) = bundle(2, &SimKernel::always(behaviour));
        let mut pool = SimPool::create(&dir.join("pool"), &spec, &first, &trust, ClockMode::Virtual).unwrap();
        pool.offer_bundle(&second).unwrap();
        let (h2, controller) = (host("h02"), Controller::new(pool));
        let mut effects = controller.turn(&h2, &release);
        let moves = controller.moves_off(&h2);
        effects.splice(3..3, moves);
        fs::write(dir.join("orders.json"), serde_json::to_vec(&effects).unwrap()).unwrap();
        drop(controller);

        let mut killed = 0;
        loop {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--ignored", "sim_kill::the_controller_that_is_killed"])
                .env(FOLDER, dir)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            // The later rounds live longer, so that the turn comes to its end on any machine.
            std::thread::sleep(Duration::from_micros(1000 + 300 * killed));
            child.kill().unwrap();
            let status = child.wait().unwrap();
            let mut controller =
                Controller::new(SimPool::open(&dir.join("pool"), ClockMode::Virtual).unwrap());
            controller.assert_harmless();
            let path = controller.pool.disk_path(&h2).unwrap();
            let disk = BankDisk::open(BlockFile::open_read(&path).unwrap()).unwrap();
            assert!(disk.verify(Bank::A).is_whole(), "after {killed} kills");
            if status.code().is_some() {
                assert!(status.success(), "the controller failed after {killed} kills");
                let (active, state) = match behaviour {
                    Behaviour::Good => (Bank::B, BankState::Good),
                    Behaviour::Panic | Behaviour::Hang | Behaviour::Unhealthy => (Bank::A, BankState::Failed),
                };
                let view = controller.host(&h2);
                assert_eq!((view.active, view.bank(Bank::B).state), (Some(active), state));
                assert!(!view.maintenance);
                break;
            }
            killed += 1;
        }
        println!("{behaviour}: killed {killed} times");
    }
}
