//! A controller that dies at every moment of a roll that uses everything: guests that are shut down, hooks and gates
//! with real programs, approvals, moves after the last host.

use std::path::Path;

use lifeboat_executor::{ExecutorError, Options, StepPoint};
use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_hypervisor::sim::{Behaviour, ClockMode, Fault, SimKernel, SimPool, SimSpec};
use lifeboat_model::{
    After, Approve, FeatureKind, FeatureView, Gate, GuestRule, GuestStrategy, Hook, HookStage, Millis,
    OperatorVerb, Placement, Plan, Policy, RollEnd, RollId, World,
};
use lifeboat_roll::Status;

use crate::laws::{Lawful, restored, stops};
use crate::pool::{folder, options, release, resume, start, store};

/// A hook or gate that writes down what it was told, into this folder.
fn command(dir: &Path, text: &str) -> Vec<String> {
    let path = dir.join("note.sh");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    ["/bin/sh".to_owned(), path.display().to_string()].to_vec()
}

/// A policy with everything in it. The commands write down what they were told, once for each run.
pub(crate) fn everything(dir: &Path) -> Policy {
    let command = command(
        dir,
        "echo \"$LIFEBOAT_STAGE $LIFEBOAT_HOOK $LIFEBOAT_HOST $LIFEBOAT_WAVE\" >> \"$(dirname \"$0\")/notes\"",
    );
    let hooks = HookStage::ALL.map(|stage| Hook {
        name: "note".to_owned() + stage.word(),
        stage,
        command: command.clone(),
        hosts: Vec::new(),
        timeout: Millis::from_secs(60),
        warn_after: None,
    });
    let gate = Gate {
        name: "calm".to_owned(),
        command,
        after: After::FirstWave,
        timeout: Millis::from_secs(60),
        attempts: 2,
        delay: Millis::from_secs(1),
    };
    let rule = GuestRule { guests: vec!["g02".to_owned()], strategy: GuestStrategy::StopStart };
    Policy {
        guests: vec![rule],
        approve: Approve::FirstWave,
        placement: Placement::Restore,
        hooks: hooks.to_vec(),
        gates: vec![gate],
        ..Policy::default()
    }
}

pub(crate) fn pool(hosts: u32, guests: u32, policy: &Policy, faults: &[&str]) -> (SimPool, Plan) {
    let features = [(FeatureKind::HaAdmissionControl, "percent:25"), (FeatureKind::LoadBalancer, "eager")];
    let features = features.map(|(kind, value)| FeatureView { kind, value: value.to_owned() });
    let spec = SimSpec { features: features.to_vec(), ..SimSpec::in_memory(hosts, guests) };
    let mut pool = SimPool::in_memory(&spec, release(1), ClockMode::Virtual).unwrap();
    pool.offer_release(release(2), SimKernel::always(Behaviour::Good)).unwrap();
    for fault in faults {
        pool.order_fault(fault.parse::<Fault>().unwrap()).unwrap();
    }
    let world = pool.observe().unwrap();
    let plan = lifeboat_plan::plan(&world, &release(2), policy, &lifeboat_plan::Options::default()).unwrap();
    assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
    (pool, plan)
}

/// What a person finds at the end, and what the hooks wrote down: which ran at all, not how often.
pub(crate) fn found(pool: &mut SimPool, plan: &Plan, before: &World, end: &RollEnd, dir: &Path) -> String {
    let asked = std::collections::BTreeSet::new();
    restored(pool, plan, before, &std::collections::BTreeMap::new(), &asked);
    let world = pool.observe().unwrap();
    let mut text = format!("{end:?}\n");
    for host in world.hosts() {
        text += &format!("{} {:?} {:?} {}\n", host.id, host.active, host.version, host.maintenance);
    }
    for guest in world.guests() {
        text += &format!("{}@{} {}\n", guest.id, guest.host, guest.running);
    }
    for id in stops(plan) {
        let life = pool.guest_life(&id).unwrap();
        text += &format!("{id}: shut down {} times, started {} times\n", life.stops, life.restarts);
    }
    let notes = std::fs::read_to_string(dir.join("notes")).unwrap_or_default();
    let notes: std::collections::BTreeSet<&str> = notes.lines().collect();
    text + &notes.into_iter().collect::<Vec<_>>().join("\n")
}

fn approve(dir: &Path) {
    let verb = OperatorVerb::Approve { wave: 9 };
    let id = RollId::new("r1").unwrap();
    store(dir).request(&id, &verb, "somebody", lifeboat_model::Timestamp(0)).unwrap();
}

/// Runs a roll whose controllers die at these moments, one after the other, and then one that lives.
fn run(faults: &[&str], deaths: &[(usize, Option<StepPoint>)]) -> (String, Lawful, usize) {
    let dir = folder();
    let (mut pool, plan) = pool(4, 8, &everything(dir.path()), faults);
    let before = pool.observe().unwrap();
    let mut kills = 0;
    let mut begun = false;
    let mut left = deaths.iter().copied();
    let mut next = || {
        let (moment, kind) = left.next().unwrap_or((0, None));
        Lawful { approvals: Some(0), ..Lawful::new(moment, kind) }
    };
    let mut observer = next();
    loop {
        let mut store = store(dir.path());
        let end = if begun {
            resume(&mut store, &mut pool, &mut observer)
        } else {
            start(&mut store, &mut pool, &plan, options(), &mut observer)
        };
        begun = true;
        let end = match end {
            Ok(end) => end,
            Err(ExecutorError::Left { .. }) if observer.died => {
                kills += 1;
                observer = next();
                continue;
            }
            // It waits for a person, who approves.
            Err(ExecutorError::Left { .. }) => {
                approve(dir.path());
                observer.approvals = Some(0);
                continue;
            }
            // It died with its last words on the disk.
            Err(ExecutorError::Ended { .. }) => last_words(dir.path()),
            Err(other) => panic!("{deaths:?}: {other}"),
        };
        return (found(&mut pool, &plan, &before, &end, dir.path()), observer, kills);
    }
}

fn last_words(dir: &Path) -> RollEnd {
    let store = store(dir);
    let row = store.roll(&RollId::new("r1").unwrap()).unwrap();
    let mut journal = lifeboat_roll::Journal::new(row.plan.clone(), row.plan_hash);
    for link in store.events(&row, 0).unwrap() {
        journal.apply(&link.event).unwrap();
    }
    match journal.status() {
        Status::Ended(end) => end.clone(),
        other => panic!("{other:?}"),
    }
}

/// All moments of a roll that nobody disturbs, by kind.
fn moments(faults: &[&str]) -> (String, Vec<(StepPoint, usize)>, Lawful) {
    let (expected, observer, _) = run(faults, &[]);
    let kinds = [
        StepPoint::BeforeAppend,
        StepPoint::AfterAppend,
        StepPoint::BeforeEffect,
        StepPoint::AfterEffect,
        StepPoint::AfterPoll,
    ];
    let counted = kinds.map(|kind| {
        let (_, observer, _) = run(faults, &[(usize::MAX, Some(kind))]);
        (kind, observer.seen)
    });
    (expected, counted.to_vec(), observer)
}

fn killed_at_all_of(faults: &[&str], second: usize) -> usize {
    let (expected, counted, observer) = moments(faults);
    assert!(expected.contains("shut down 1 times, started 1 times"), "{expected}");
    for word in ["hook", "gate", "stop-guest", "start-guest", "place", "migrate", "reboot"] {
        assert!(observer.ordered.contains(word), "the roll has no {word}: {:?}", observer.ordered);
    }
    let mut kills = 0;
    for (kind, count) in counted {
        // News that are lost are polled for again; appends and effects are what counts, so each of those is tried.
        let stride = if kind == StepPoint::AfterPoll { 9 } else { 1 };
        for moment in (1..=count).step_by(stride) {
            let deaths = [(moment, Some(kind)), (second, None)];
            let (picture, _, died) = run(faults, &deaths);
            assert_eq!(picture, expected, "killed at {kind:?} {moment}, then after {second} moments");
            kills += died;
        }
    }
    kills
}

#[test]
fn killed_around_every_append_and_effect_a_roll_with_everything_ends_alike() {
    let kills = killed_at_all_of(&[], 23);
    eprintln!("{kills} kills around every append and effect");
    assert!(kills > 400, "{kills} kills");
}

#[test]
fn every_kind_of_effect_ordered_twice_is_done_once() {
    let run = |twice: bool, faults: &[&str]| {
        let dir = folder();
        let policy = everything(dir.path());
        let (mut pool, plan) = pool(4, 8, &Policy { approve: Approve::Plan, ..policy }, faults);
        let before = pool.observe().unwrap();
        let mut observer = Lawful::new(0, None);
        let options = Options { twice, ..options() };
        let end = start(&mut store(dir.path()), &mut pool, &plan, options, &mut observer).unwrap();
        let notes = std::fs::read_to_string(dir.path().join("notes")).unwrap();
        // Hooks of several hosts run at the same time.
        let mut notes: Vec<String> = notes.lines().map(str::to_owned).collect();
        notes.sort_unstable();
        (found(&mut pool, &plan, &before, &end, dir.path()), observer.ordered, notes)
    };
    let (once, ordered, notes) = run(false, &[]);
    assert_eq!(run(true, &[]), (once, ordered.clone(), notes));
    let all = [
        "suspend",
        "restore",
        "check",
        "save-state",
        "enter-maintenance",
        "leave-maintenance",
        "migrate",
        "stage",
        "install",
        "reboot",
        "stop-guest",
        "start-guest",
        "place",
        "hook",
        "gate",
    ];
    for word in all {
        assert!(ordered.contains(word), "the roll has no {word}");
    }
    assert_eq!(run(true, &["no-boot:h03"]).0, run(false, &["no-boot:h03"]).0);
}
