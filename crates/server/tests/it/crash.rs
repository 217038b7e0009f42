//! Deaths at any moment, of both sides; and damaged files.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_model::agent::{AgentCommand, AgentOutcome, Fence};
use lifeboat_wire::{HubClient, Order, Ordered};

use crate::support::{Agent, Daemon, wait_for};

/// A pause below `limit` milliseconds, other ones in each run; the seed is printed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        // Xorshift, 64 bits.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// No reboot is half way: the process that does it ended.
fn wait_for_reboots(agent: &Agent) {
    let script = agent.root.join("reboot").display().to_string();
    wait_for("the reboot to be over", || {
        let busy = fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&script)
        });
        (!busy).then_some(())
    });
}

fn reboot(host: &str, key: &str, before: u64) -> Order {
    Order {
        host: host.to_owned(),
        key: key.to_owned(),
        fence: Some(Fence { pool: "p".to_owned(), number: 1 }),
        command: AgentCommand::Reboot { boot_id_before: before.to_string() },
    }
}

#[test]
fn whatever_dies_no_command_is_lost_and_none_is_done_twice() {
    const REBOOTS: u64 = 12;
    let seed = std::env::var("LIFEBOAT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| getrandom::u64().unwrap() | 1);
    println!("LIFEBOAT_SEED={seed}");
    let mut dice = Dice(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let mut agents: BTreeMap<&str, Agent> = ["one", "two"].map(|host| (host, daemon.enrolled(host))).into();
    for agent in agents.values_mut() {
        agent.start();
    }
    let mut ended: BTreeMap<String, AgentOutcome> = BTreeMap::new();
    let begin = Instant::now();
    let mut round = 0_u64;
    // Every host's next reboot is ordered when the one before has its outcome; the order is given again and again, as a
    // driver does that cannot know whether it was taken.
    let mut next: BTreeMap<&str, u64> = [("one", 1), ("two", 1)].into();
    while next.values().any(|number| *number <= REBOOTS) {
        assert!(begin.elapsed() < Duration::from_secs(240), "{next:?} after {round} rounds, seed {seed}");
        round += 1;
        if let Ok(hub) = HubClient::connect(&daemon.socket()) {
            let mut hub = hub.with_patience(Duration::ZERO);
            for (host, number) in &mut next {
                let key = format!("{host}-{number}");
                if *number > REBOOTS {
                    continue;
                }
                if let Ok(Ordered::Ended { outcome }) = hub.order(reboot(host, &key, *number)) {
                    assert!(ended.insert(key, outcome).is_none());
                    *number += 1;
                }
            }
        }
        thread::sleep(Duration::from_millis(dice.below(150)));
        match dice.below(6) {
            0 => {
                daemon.kill();
                thread::sleep(Duration::from_millis(dice.below(300)));
                daemon.start();
            }
            1 | 2 => {
                let host = if dice.below(2) == 0 { "one" } else { "two" };
                let agent = agents.get_mut(host).unwrap();
                agent.kill();
                wait_for_reboots(agent);
                agent.start();
            }
            _ => {}
        }
        // A host that was rebooted starts its agent.
        for agent in agents.values_mut() {
            let booted = agent.boot_id().parse::<u64>().unwrap();
            let seen = fs::read_to_string(agent.root.join("seen")).unwrap_or_default();
            if seen.parse() != Ok(booted) {
                fs::write(agent.root.join("seen"), booted.to_string()).unwrap();
                agent.kill();
                wait_for_reboots(agent);
                agent.start();
            }
        }
    }
    for (host, agent) in &agents {
        let expected: Vec<u64> = (1..=REBOOTS).collect();
        assert_eq!(agent.reboots(), expected, "host {host}, seed {seed}");
    }
    assert_eq!(ended.len() as u64, REBOOTS * 2);
    for (key, outcome) in ended {
        assert!(matches!(outcome, AgentOutcome::Done { .. }), "{key}: {outcome:?}");
    }
}

#[test]
fn damaged_files_are_told_with_the_way_out_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::new(folder.path(), "");
    let _agent = daemon.enrolled("one");
    daemon.token("two", 60);
    daemon.kill();
    let controller = folder.path().join("controller");
    let fails_with = |word: &str| {
        let output = daemon.command().args(["run", "--listen", "127.0.0.1:0"]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(word), "{word}: {told}");
    };
    for (name, at, word) in [
        ("controller.journal", 30, "damaged at byte 12"),
        ("controller.json", 0, "lifeboatd init --again"),
        ("ca/authority.key", 60, "put its folder back from a backup"),
    ] {
        let path = controller.join(name);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x01;
        fs::write(&path, &bytes).unwrap();
        fails_with(word);
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name}");
        fs::write(&path, whole).unwrap();
    }
    fs::write(controller.join("ca/revoked.json"), "{").unwrap();
    fails_with("is damaged");
    fs::remove_file(controller.join("ca/revoked.json")).unwrap();
    daemon.start();
    let second = daemon.command().args(["run", "--listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(second.status.code(), Some(7), "{second:?}");
}
