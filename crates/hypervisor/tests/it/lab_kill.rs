//! The power fails at random moments of an install and of the first boot: the host boots the old release or the new.
//!
//! QEMU is ended with SIGKILL: what the guest held in memory is lost, a write under way may be in part; what QEMU had
//! taken stays in the image. (Disks that lose or reorder what they had taken are replayed in `bank/tests/it`.) Moments
//! come from a seed that is printed; `LIFEBOAT_KILL_SEED=N` repeats them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lifeboat_hypervisor::{DriverEvent, Hypervisor};
use lifeboat_model::{Bank, BankState, Effect, HostId, Outcome};

use crate::lab_support::{PATIENCE, Pool, bring_up, with_power_off};

const HOST: &str = "host-1";

/// Numbers from a seed (xorshift).
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let given = std::env::var("LIFEBOAT_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) * 7919 + 1);
        println!("LIFEBOAT_KILL_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A moment of the first nine tenths of `whole`.
    fn within(&mut self, whole: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        whole * u32::try_from(self.0 % 900).unwrap() / 1000
    }
}

/// What the turn of a host was doing when its power went.
#[derive(Debug)]
struct Struck {
    /// The order that had no outcome yet; none when all had.
    open: Option<String>,
    progress: Option<String>,
    /// From the order to install until then.
    after: Duration,
}

/// Installs `version` into the other bank and boots it; takes the power away after `limit`, if there is one.
fn turn(pool: &mut Pool, version: &str, limit: Option<Duration>) -> Struck {
    let release = pool.release(version);
    let view = pool.host(HOST);
    let (bank, boot_id_before) = (view.active.unwrap().other(), view.boot_id.clone().unwrap());
    let host = HostId::new(HOST).unwrap();
    pool.order(&[Effect::Stage { host: host.clone(), release: release.clone() }]);
    let effects = [
        Effect::Install { host: host.clone(), release, bank, retry: true },
        Effect::RebootInto { host, bank, boot_id_before },
    ];
    let begin = Instant::now();
    let mut struck = Struck { open: None, progress: None, after: Duration::ZERO };
    for effect in &effects {
        struck.open = Some(effect.key().to_string());
        pool.driver.start(&effect.key(), effect).unwrap();
        loop {
            let left = limit.unwrap_or(PATIENCE).saturating_sub(begin.elapsed());
            if left.is_zero() {
                assert!(limit.is_some(), "{struck:?} took longer than {PATIENCE:?}");
                pool.driver.lab().machine(HOST).unwrap().cut_power().unwrap();
                return Struck { after: begin.elapsed(), ..struck };
            }
            let mut ended = false;
            for event in pool.driver.poll(left.min(Duration::from_millis(50))).unwrap() {
                if let DriverEvent::Outcome { key, outcome } = &event
                    && *key == effect.key()
                {
                    assert!(matches!(outcome, Outcome::Done { .. }), "{event:?}");
                    ended = true;
                } else if let DriverEvent::Host(host) = event {
                    pool.world.set_host(*host);
                } else if let DriverEvent::Progress { .. } = event {
                    struck.progress = Some(format!("{event:?}"));
                }
            }
            if ended {
                break;
            }
        }
    }
    Struck { open: None, progress: None, after: begin.elapsed() }
}

/// Disk and boot variables of a host that runs the first release, to begin again from.
struct Begin {
    disk: PathBuf,
    variables: PathBuf,
}

impl Begin {
    /// Takes the power away and keeps what is there.
    fn keep(pool: &mut Pool, folder: &Path) -> Self {
        let kept = Self { disk: folder.join("disk"), variables: folder.join("variables") };
        with_power_off(pool, HOST, |machine| {
            std::fs::copy(machine.disk(), &kept.disk).unwrap();
            std::fs::copy(machine.variables(), &kept.variables).unwrap();
        });
        kept
    }

    /// The host runs the first release again, and nothing else was ever there.
    fn restore(&self, pool: &mut Pool) {
        with_power_off(pool, HOST, |machine| {
            std::fs::copy(&self.disk, machine.disk()).unwrap();
            std::fs::copy(&self.variables, machine.variables()).unwrap();
        });
        settle(pool);
        assert_eq!(pool.host(HOST).running, Some(pool.release("1").digest));
    }
}

/// A bank on trial is judged by its host; until then it is neither good nor bad.
fn settle(pool: &mut Pool) {
    pool.wait_for("the boot is judged", |pool| {
        let host = pool.host(HOST);
        host.reachable && host.active.is_some_and(|bank| host.bank(bank).state == BankState::Good)
    });
}

/// Kills until `hits` kills met an open order; each time the host must come back with the old or the new release.
fn kill_at_random_moments(hits: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("lab");
    let begin = Instant::now();
    let Some(_down) = bring_up(&folder, 1) else { return };
    let mut moments = Moments::new();
    let mut pool = Pool::open(&folder, begin);
    pool.wait_for("the agent says hello", |pool| pool.host(HOST).reachable);
    let kept = Begin::keep(&mut pool, scratch.path());

    // Once without a hand on it: how long a turn takes here.
    let mut whole = turn(&mut pool, "2", None).after;
    println!("a whole turn takes {whole:.1?}");

    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    let mut killed = 0;
    for _ in 0..hits * 3 {
        kept.restore(&mut pool);
        let (old, new) = (pool.release("1").digest, pool.release("2").digest);
        let struck = turn(&mut pool, "2", Some(moments.within(whole)));
        let Some(open) = struck.open else {
            // The machine is quicker than it was: the next moments lie within the turn as it is now.
            whole = struck.after;
            println!("a whole turn takes {whole:.1?} now");
            continue;
        };
        killed += 1;
        println!("killed {:.2?} after the order, in {open}; last heard: {:?}", struck.after, struck.progress);
        // The orders are forgotten with the controller: what comes up, comes up by itself.
        drop(pool);
        pool = Pool::open(&folder, begin);
        pool.wait_for("the host is missed", |pool| !pool.host(HOST).reachable);
        pool.driver.lab().machine(HOST).unwrap().start().unwrap();
        settle(&mut pool);
        let host = pool.host(HOST);
        let running = host.running.unwrap();
        let state = |bank| host.bank(bank).state;
        println!(
            "  boots {}; banks: A {:?}, B {:?}",
            if running == old { "the old release" } else { "the new release" },
            state(Bank::A),
            state(Bank::B)
        );
        assert!(running == old || running == new, "it runs {running}, neither {old} nor {new}");
        *met.entry(open).or_default() += 1;
        if killed == hits {
            break;
        }
    }
    println!("{killed} kills: {met:?}");
    assert_eq!(killed, hits, "too many kills came after the turn had ended");
}

#[test]
fn a_real_host_killed_at_a_random_moment_boots_the_old_or_the_new_release() {
    kill_at_random_moments(3);
}

#[test]
#[ignore = "slow: about a minute for each of 40 kills"]
fn a_real_host_killed_at_many_random_moments_boots_the_old_or_the_new_release() {
    kill_at_random_moments(40);
}
