//! The agent killed around every record that it or its guard writes: the same orders come to the same end.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lifeboat_agent::{BootAnswer, Reply};
use lifeboat_bundle::PackageFormat;
use lifeboat_model::agent::AgentCommand;
use lifeboat_model::{Bank, BankState, ReleaseRef};
use lifeboat_packages::{Guard, Policy};

use crate::lab::has;
use crate::lab::{Lab, made};

/// The child ended because a reboot is due.
const REBOOT: i32 = 77;

/// Runs the agent of a host with the orders of a roll, in a process that is killed at record `at`.
fn run_child(
    lab: &Lab,
    format: PackageFormat,
    release: &ReleaseRef,
    first_boot: &str,
    at: u64,
) -> Option<i32> {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "packages_kill::child_that_is_killed", "--include-ignored"])
        .env("LIFEBOAT_LAB", lab.folder())
        .env("LIFEBOAT_FORMAT", format.word())
        .env("LIFEBOAT_RELEASE", serde_json::to_string(release).unwrap())
        .env("LIFEBOAT_BOOT", first_boot)
        .env("LIFEBOAT_AT", at.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(matches!(status.code(), None | Some(0 | REBOOT)), "{status}");
    status.code()
}

#[test]
#[ignore = "started by the tests below"]
fn child_that_is_killed() {
    let var = |name: &str| std::env::var(name).unwrap();
    let format = if var("LIFEBOAT_FORMAT") == "rpm" { PackageFormat::Rpm } else { PackageFormat::Deb };
    let lab = Lab::at(&PathBuf::from(var("LIFEBOAT_LAB")), format);
    let release: ReleaseRef = serde_json::from_str(&var("LIFEBOAT_RELEASE")).unwrap();
    let at: u64 = var("LIFEBOAT_AT").parse().unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let tick = move || {
        if count.fetch_add(1, Ordering::SeqCst) == at {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    };
    let (of_records, of_guard) = (tick.clone(), tick);
    let policy = Policy { lock_wait: Duration::from_secs(20), ..Policy::default() };
    let host = lab.host().with_hook(move |_| of_records()).with_guard(move |roots| {
        let tick = of_guard.clone();
        Ok(Guard::open(roots)?.with_policy(policy.clone()).with_hook(move |_, _| tick()))
    });
    let (mut agent, answer) = lab.start_as(host);
    if matches!(answer, BootAnswer::Leave { .. }) {
        std::process::exit(REBOOT);
    }
    // As a controller gives them: each until it has an outcome, under the key that it had.
    lab.download(&release);
    let orders = [
        AgentCommand::Stage { release: release.clone() },
        AgentCommand::Install { release: release.clone(), retry: false },
        AgentCommand::RebootInto { bank: Bank::B, boot_id_before: var("LIFEBOAT_BOOT") },
    ];
    for (number, order) in orders.iter().enumerate() {
        if agent.order(&number.to_string(), order) == Reply::Reboot {
            std::process::exit(REBOOT);
        }
    }
}

/// Kills the agent once in run `run` of its story, at every record; returns how often.
fn at_every_record(
    lab: &Lab,
    format: PackageFormat,
    release: &ReleaseRef,
    run: u32,
    end: &dyn Fn(&Lab, &str),
) -> u64 {
    for at in 0.. {
        let host = lab.copy();
        let first_boot = host.boot();
        let (mut runs, mut killed) = (0, false);
        loop {
            runs += 1;
            assert!(runs < 9, "record {at} of run {run}: it comes to no end");
            let fuse = if runs == run && !killed { at } else { u64::MAX };
            match run_child(&host, format, release, &first_boot, fuse) {
                Some(REBOOT) => host.reboot(),
                Some(_) => break,
                None => {
                    // The boot goes on, and the agent is started again.
                    killed = true;
                }
            }
        }
        end(&host, &format!("killed at record {at} of run {run}"));
        if !killed {
            return at;
        }
    }
    0
}

fn killed(format: PackageFormat) {
    if !has(format) {
        return;
    }
    let lab = Lab::new(format, &[made("alpha", "1"), made("beta", "1")]);
    let second = lab.release(2, &[made("alpha", "2"), made("beta", "2"), made("gamma", "2")]);
    let passes = |host: &Lab, when: &str| {
        assert_eq!(host.versions(), ["alpha 2", "beta 2", "gamma 2"], "{when}");
        let status = host.host().status();
        assert_eq!((status.active, status.digest), (Bank::B, Some(second.digest)), "{when}");
        assert_eq!(status.bank(Bank::B).unwrap().state, BankState::Good, "{when}");
        assert_eq!((status.failed.len(), status.held), (0, None), "{when}");
    };
    let installing = at_every_record(&lab, format, &second, 1, &passes);
    let blessing = at_every_record(&lab, format, &second, 2, &passes);
    assert!(installing > 20 && blessing >= 4, "{installing} {blessing}");

    lab.health("exit 1");
    let falls = |host: &Lab, when: &str| {
        assert_eq!(host.versions(), ["alpha 1", "beta 1"], "{when}");
        let status = host.host().status();
        assert_eq!((status.active, status.digest), (Bank::A, None), "{when}");
        assert_eq!(status.bank(Bank::B).unwrap().state, BankState::Failed, "{when}");
        assert_eq!((status.failed, status.held), (vec![second.digest], None), "{when}");
    };
    let falling = at_every_record(&lab, format, &second, 2, &falls);
    assert!(falling > 10, "{falling}");
    println!("killed {installing} + {blessing} + {falling} times");
}

#[test]
fn killed_at_every_record_a_release_of_deb_packages_is_blessed_or_taken_back_all_the_same() {
    killed(PackageFormat::Deb);
}

#[test]
fn killed_at_every_record_a_release_of_rpm_packages_is_blessed_or_taken_back_all_the_same() {
    killed(PackageFormat::Rpm);
}
