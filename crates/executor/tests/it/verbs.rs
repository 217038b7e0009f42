//! What a person orders while a roll goes on, and what the policy brings with it: commands and windows.

use std::ops::ControlFlow;

use lifeboat_executor::{Adopted, Executor, ExecutorError, Observer, Options, Quiet, Snapshot};
use lifeboat_hypervisor::Hypervisor as _;
use lifeboat_model::{
    Effect, EffectKey, Event, EventKind, FeatureKind, FeatureView, Hook, HookStage, InFlight, Millis,
    OperatorVerb, Phase, Policy, RollEnd, RollId, Timestamp, Window,
};
use lifeboat_roll::Status;
use lifeboat_store::{RollState, Store};

use crate::pool::{Killer, folder, options, pool, resume, start, store};

fn id() -> RollId {
    RollId::new("r1").unwrap()
}

fn order(store: &Store, verb: &OperatorVerb) {
    store.request(&id(), verb, "somebody", Timestamp(0)).unwrap();
}

fn events(store: &Store) -> Vec<EventKind> {
    let row = store.roll(&id()).unwrap();
    store.events(&row, 0).unwrap().into_iter().map(|link| link.event.what).collect()
}

/// Notes events, and leaves after so many rests.
#[derive(Default)]
struct Notes {
    events: Vec<Event>,
    rests: usize,
    leave_after: usize,
}

impl Observer for Notes {
    fn appended(&mut self, events: &[Event], _: Snapshot<'_>) {
        self.events.extend(events.iter().cloned());
    }

    fn waiting(&mut self, _: Snapshot<'_>) -> ControlFlow<()> {
        self.rests += 1;
        if self.rests == self.leave_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn hook(stage: HookStage, script: &str) -> Hook {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let (hosts, timeout) = (vec!["h02".to_owned()], Millis::from_secs(60));
    Hook { name: "tell".to_owned(), stage, command, hosts, timeout, warn_after: None }
}

/// Orders a handing over at its second rest.
struct Orders(std::path::PathBuf, usize);
impl Observer for Orders {
    fn waiting(&mut self, _: Snapshot<'_>) -> ControlFlow<()> {
        self.1 += 1;
        if self.1 == 2 {
            order(&store(&self.0), &OperatorVerb::HandOver);
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_roll_is_handed_over_and_the_next_controller_keeps_it() {
    let dir = folder();
    let (mut pool, plan) = pool(4, 12, &Policy::default(), &[]);
    let mut first = store(dir.path());
    let left = start(&mut first, &mut pool, &plan, options(), &mut Killer::at(60));
    assert!(matches!(left, Err(ExecutorError::Left { .. })), "{left:?}");
    // Ordered while nobody holds the roll: whoever takes it up is the one it is handed to.
    order(&first, &OperatorVerb::HandOver);
    let mut notes = Notes { leave_after: 3, ..Notes::default() };
    let left = resume(&mut first, &mut pool, &mut notes);
    assert!(matches!(left, Err(ExecutorError::Left { .. })), "{left:?}");
    assert_eq!(notes.rests, 3);
    // Ordered while it is held: that controller leaves at once, and gives the lease back.
    let mut executor = Executor::resume(&mut first, &mut pool, &id(), options()).unwrap();
    let mut orders = Orders(dir.path().to_owned(), 0);
    let left = executor.run(&mut orders);
    assert!(matches!(left, Err(ExecutorError::Left { .. })), "{left:?}");
    assert!(executor.journal().handed_over());
    assert_eq!(orders.1, 2);
    drop(executor);
    assert_eq!(first.roll(&id()).unwrap().state, RollState::Active);
    let mut second = store(dir.path());
    assert_eq!(resume(&mut second, &mut pool, &mut Killer::at(0)).unwrap(), RollEnd::Completed);
}

#[test]
fn a_policy_is_changed_during_a_roll_or_refused_with_the_reason() {
    let dir = folder();
    let (mut pool, plan) = pool(6, 18, &Policy::default(), &[]);
    let mut store = store(dir.path());
    let left = start(&mut store, &mut pool, &plan, options(), &mut Killer::at(80));
    assert!(matches!(left, Err(ExecutorError::Left { .. })), "{left:?}");
    let zone = Window {
        days: Vec::new(),
        from: "01:00".to_owned(),
        to: "02:00".to_owned(),
        zone: "Europe/Nowhere".to_owned(),
    };
    let missing = Hook { command: vec!["/nowhere/at/all".to_owned()], ..hook(HookStage::Preflight, "") };
    for (policy, word) in [
        (Policy { attempts: 0, ..Policy::default() }, "attempts"),
        (Policy { spill: 3, ..Policy::default() }, "bound to the plan"),
        (Policy { windows: vec![zone], ..Policy::default() }, "windows.0.zone"),
        (Policy { hooks: vec![missing], ..Policy::default() }, "/nowhere/at/all"),
    ] {
        order(&store, &OperatorVerb::SetPolicy { policy: Box::new(policy) });
        let mut notes = Notes { leave_after: 1, ..Notes::default() };
        let left = resume(&mut store, &mut pool, &mut notes);
        assert!(matches!(left, Err(ExecutorError::Left { .. })), "{left:?}");
        let refused = notes.events.iter().find_map(|event| match &event.what {
            EventKind::Warned { code, subject, text } if code == "policy-refused" => Some((subject, text)),
            _ => None,
        });
        let (subject, text) = refused.unwrap_or_else(|| panic!("nobody refused: {word}"));
        assert!(subject == "somebody" && text.contains(word), "{text}");
        assert!(store.requests(&id()).unwrap().is_empty());
    }
    let good = Policy { max_in_flight: InFlight::Hosts(2), attempts: 5, ..Policy::default() };
    order(&store, &OperatorVerb::SetPolicy { policy: Box::new(good.clone()) });
    let mut executor = Executor::resume(&mut store, &mut pool, &id(), options()).unwrap();
    assert_eq!(executor.run(&mut Quiet).unwrap(), RollEnd::Completed);
    assert_eq!(**executor.journal().policy(), good);
}

#[test]
fn hosts_begin_only_in_their_window_and_features_are_on_while_it_is_closed() {
    let dir = folder();
    // The pool's time begins at 2026-01-01T00:00Z, a Thursday.
    let window = Window {
        days: Vec::new(),
        from: "03:00".to_owned(),
        to: "03:10".to_owned(),
        zone: "Europe/Vienna".to_owned(),
    };
    let policy = Policy { windows: vec![window], ..Policy::default() };
    let (mut pool, plan) = pool(3, 6, &policy, &[]);
    let mut store = store(dir.path());
    let mut options = options();
    options.wait = std::time::Duration::from_secs(60);
    let mut notes = Notes::default();
    let end = start(&mut store, &mut pool, &plan, options, &mut notes).unwrap();
    assert_eq!(end, RollEnd::Completed);
    let day = 86_400_000;
    let opens = Timestamp(1_767_225_600_000 + 2 * 3_600_000);
    let mut open = None;
    let mut seen = Vec::new();
    for event in &notes.events {
        match &event.what {
            EventKind::WindowOpened { until } => {
                open = Some(true);
                seen.push(until.unwrap());
            }
            EventKind::WindowClosed { until } => {
                open = Some(false);
                seen.push(until.unwrap());
            }
            EventKind::HostPhase { phase: Phase::Admitted, .. } => assert_eq!(open, Some(true)),
            EventKind::Intent { .. } | EventKind::HostPhase { .. } => {
                assert!(open.is_some(), "before the windows");
            }
            _ => {}
        }
    }
    let length = 600_000;
    let expected: Vec<Timestamp> = (0..)
        .flat_map(|days| [opens.0 + days * day, opens.0 + days * day + length])
        .map(Timestamp)
        .take(seen.len())
        .collect();
    assert_eq!(seen, expected);
    assert!(seen.len() > 2, "one window was enough for three hosts: {seen:?}");
}

#[test]
fn a_resumed_roll_does_not_repeat_what_the_windows_say() {
    let dir = folder();
    let window =
        Window { days: Vec::new(), from: "00:00".to_owned(), to: "23:00".to_owned(), zone: "UTC".to_owned() };
    let (mut pool, plan) = pool(3, 6, &Policy { windows: vec![window], ..Policy::default() }, &[]);
    let mut store = store(dir.path());
    let mut end = start(&mut store, &mut pool, &plan, options(), &mut Killer::at(30));
    for _ in 0..5 {
        assert!(matches!(end, Err(ExecutorError::Left { .. })), "{end:?}");
        end = resume(&mut store, &mut pool, &mut Killer::at(30));
    }
    let windows = events(&store).into_iter().filter(|event| matches!(event, EventKind::WindowOpened { .. }));
    assert_eq!(windows.count(), 1);
}

#[test]
fn a_policy_that_cannot_be_used_here_is_refused_before_anything() {
    let dir = folder();
    let zone = Window {
        days: Vec::new(),
        from: "01:00".to_owned(),
        to: "02:00".to_owned(),
        zone: "Mars/Base".to_owned(),
    };
    let missing = Hook { command: vec!["/nowhere/at/all".to_owned()], ..hook(HookStage::Preflight, "") };
    for (policy, word) in [
        (Policy { windows: vec![zone], ..Policy::default() }, "windows.0.zone"),
        (Policy { hooks: vec![missing], ..Policy::default() }, "hooks.0.command"),
    ] {
        let (mut pool, plan) = pool(3, 6, &policy, &[]);
        let mut store = store(dir.path());
        let refused = start(&mut store, &mut pool, &plan, options(), &mut Quiet).unwrap_err();
        let mut text = refused.to_string();
        if let Some(cause) = std::error::Error::source(&refused) {
            text += &cause.to_string();
        }
        assert!(text.contains(word), "{text}");
        assert!(store.rolls().unwrap().is_empty());
        let world = pool.observe().unwrap();
        assert!(world.feature(FeatureKind::HaAdmissionControl).is_some_and(FeatureView::is_on));
    }
}

#[test]
fn exit_code_70_of_a_hook_leaves_the_host_out() {
    let dir = folder();
    let hooks = vec![hook(HookStage::PreMaintenance, "echo it is busy; exit 70")];
    let (mut pool, plan) = pool(3, 6, &Policy { hooks, ..Policy::default() }, &[]);
    let mut store = store(dir.path());
    let end = start(&mut store, &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    assert_eq!(end, RollEnd::CompletedWithExceptions { hosts: 1 });
    let row = store.roll(&id()).unwrap();
    let mut journal = lifeboat_roll::Journal::new(row.plan.clone(), row.plan_hash);
    for link in store.events(&row, 0).unwrap() {
        journal.apply(&link.event).unwrap();
    }
    let phase = &journal.host(&lifeboat_model::HostId::new("h02").unwrap()).unwrap().phase;
    assert!(matches!(phase, Phase::Skipped { reason } if reason.contains("it is busy")), "{phase}");
}

#[test]
fn a_hook_that_fails_is_tried_again_and_then_stops_the_roll() {
    let dir = folder();
    let tries = dir.path().join("tries");
    let script = format!("echo x >> {}; echo no room; exit 3", tries.display());
    let hooks = vec![hook(HookStage::Preflight, &script)];
    let (mut pool, plan) = pool(3, 6, &Policy { hooks, ..Policy::default() }, &[]);
    let end = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    let RollEnd::Stopped { reason } = &end else { panic!("{end:?}") };
    assert!(reason.contains("no room") && reason.contains("exit code 3"), "{reason}");
    assert_eq!(std::fs::read_to_string(&tries).unwrap(), "x\nx\nx\n");
    let lives: Vec<_> = pool.guest_lives().filter(|(_, life)| life.moves > 0).collect();
    assert!(lives.is_empty(), "a preflight hook failed, and guests were moved: {lives:?}");
}

#[test]
fn a_real_program_does_not_lose_against_a_pool_whose_time_flies() {
    // Half a second of real time; the simulated pool could let hours pass meanwhile.
    let dir = folder();
    let hooks = vec![hook(HookStage::Maintenance, "sleep 0.5; echo slept")];
    let (mut pool, plan) = pool(3, 6, &Policy { hooks, attempts: 1, ..Policy::default() }, &[]);
    let end = start(&mut store(dir.path()), &mut pool, &plan, options(), &mut Killer::at(0)).unwrap();
    assert_eq!(end, RollEnd::Completed);
}

#[test]
fn what_an_earlier_roll_had_switched_off_is_restored_by_the_next() {
    let dir = folder();
    let (mut pool, _) = pool(3, 6, &Policy::default(), &[]);
    // The earlier roll: it switched the feature off, and its journal is gone.
    let feature = FeatureKind::HaAdmissionControl;
    let original = "percent:25".to_owned();
    let suspend = Effect::SuspendFeature { feature, original: original.clone() };
    pool.start(&EffectKey("lost".to_owned()), &suspend).unwrap();
    pool.let_pass(Millis::from_secs(10)).unwrap();
    let world = pool.observe().unwrap();
    assert!(!world.feature(feature).unwrap().is_on());
    let plan = crate::pool::plan(&world, &Policy::default());
    let adopt = vec![Adopted { feature, original, from: RollId::new("lost").unwrap() }];
    let options = Options { adopt, ..options() };
    let mut store = store(dir.path());
    let hash = plan.hash().unwrap();
    // Also when the controller dies with nothing but the roll's name on the disk.
    let mut executor =
        Executor::start(&mut store, &mut pool, &id(), &plan, &hash, "{}", options.clone()).unwrap();
    assert!(matches!(executor.run(&mut Killer::at(1)), Err(ExecutorError::Left { .. })));
    drop(executor);
    let mut executor = Executor::resume(&mut store, &mut pool, &id(), options).unwrap();
    assert_eq!(executor.run(&mut Killer::at(0)).unwrap(), RollEnd::Completed);
    assert!(matches!(executor.journal().status(), Status::Ended(_)));
    drop(executor);
    let adopted =
        events(&store).into_iter().filter(|event| matches!(event, EventKind::SuspensionAdopted { .. }));
    assert_eq!(adopted.count(), 1);
    assert_eq!(pool.observe().unwrap().feature(feature).unwrap().value, "percent:25");
}
