//! Events and plans of form 1, as they lie in journals that exist.

use std::path::PathBuf;

use lifeboat_model::{
    Bank, Blocked, Bound, Effect, Event, EventKind, FeatureKind, Figures, GuestId, HostId, Mib, Millis, Move,
    OperatorVerb, Outcome, PLAN_SCHEMA, Phase, Plan, PlanStep, Policy, PoolName, ReleaseRef, ReleaseVersion,
    RollEnd, Sha256Hex, Timestamp,
};

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(crate) fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

pub(crate) fn release() -> ReleaseRef {
    ReleaseRef {
        name: "host".to_owned(),
        version: ReleaseVersion("2.0".to_owned()),
        serial: 2,
        digest: Sha256Hex::of(b"release 2.0"),
    }
}

fn effects() -> Vec<Effect> {
    let (h1, h2) = (host("h1"), host("h2"));
    let feature = FeatureKind::HaAdmissionControl;
    let original = "reserve 25 %".to_owned();
    vec![
        Effect::SuspendFeature { feature, original: original.clone() },
        Effect::RestoreFeature { feature, original },
        Effect::CheckHost { host: h1.clone(), release: release(), retry: false },
        Effect::SaveState { host: h1.clone() },
        Effect::EnterMaintenance { host: h1.clone() },
        Effect::LeaveMaintenance { host: h1.clone() },
        Effect::Migrate { guest: GuestId::new("g1").unwrap(), from: h1.clone(), to: h2 },
        Effect::Stage { host: h1.clone(), release: release() },
        Effect::Install { host: h1.clone(), release: release(), bank: Bank::B, retry: true },
        Effect::RebootInto { host: h1, bank: Bank::B, boot_id_before: "boot-1".to_owned() },
    ]
}

fn phases() -> Vec<Phase> {
    let reason = || "why".to_owned();
    vec![
        Phase::Pending,
        Phase::Admitted,
        Phase::Checked,
        Phase::StateSaved,
        Phase::Drained,
        Phase::Staged,
        Phase::Installed,
        Phase::Rebooted,
        Phase::Verified,
        Phase::Committed,
        Phase::Leaving { exit: Box::new(Phase::RolledBack { reason: reason() }) },
        Phase::RolledBack { reason: reason() },
        Phase::Failed { reason: reason() },
        Phase::Skipped { reason: reason() },
        Phase::NeedsYou { reason: reason() },
    ]
}

/// One event of every kind, and of every kind within the kinds.
fn events() -> Vec<Event> {
    let pool = PoolName::new("play").unwrap();
    let reason = "why".to_owned();
    let mut kinds = vec![
        EventKind::RollStarted { pool, plan: Sha256Hex::of(b"plan"), target: release() },
        EventKind::ControllerStarted { holder: "lifeboat@machine[1]".to_owned() },
    ];
    for effect in effects() {
        let key = effect.key();
        kinds.push(EventKind::Intent { key: key.clone(), attempt: 1, effect });
        kinds.push(EventKind::Outcome { key, outcome: Outcome::Done { detail: Some("detail".to_owned()) } });
    }
    let failed = Outcome::Failed { reason: reason.clone(), retriable: true };
    kinds.push(EventKind::Outcome { key: effects()[0].key(), outcome: failed });
    kinds.extend(phases().into_iter().map(|phase| EventKind::HostPhase { host: host("h1"), phase }));
    kinds.push(EventKind::Halted { reason: reason.clone() });
    let verbs = [
        OperatorVerb::Pause,
        OperatorVerb::Resume,
        OperatorVerb::Abort,
        OperatorVerb::Retry { host: host("h1") },
        OperatorVerb::Skip { host: host("h1") },
    ];
    kinds.extend(verbs.into_iter().map(|verb| EventKind::Operator { verb, who: "root".to_owned() }));
    let ends = [
        RollEnd::Completed,
        RollEnd::CompletedWithExceptions { hosts: 1 },
        RollEnd::Stopped { reason },
        RollEnd::Aborted,
    ];
    kinds.extend(ends.into_iter().map(|end| EventKind::RollEnded { end }));
    // Kinds that came later stand at the end: the lines above are never changed.
    kinds.push(EventKind::CoordinatorLost { host: host("h1") });
    kinds.push(EventKind::CoordinatorBack { host: host("h1") });
    numbered(kinds)
}

/// The events as a journal has them: in the lowest form that has their words.
pub(crate) fn numbered(kinds: Vec<EventKind>) -> Vec<Event> {
    let event = |(at, what): (u64, EventKind)| Event {
        schema: what.form(),
        seq: at + 1,
        fence: 7,
        at: Timestamp(1_000 + at),
        what,
    };
    (0_u64..).zip(kinds).map(event).collect()
}

pub(crate) fn plan() -> Plan {
    let memory = Mib::from_gib(4);
    let guest = || GuestId::new("g1").unwrap();
    let moves = vec![Move { guest: guest(), from: host("h1"), to: host("h2"), memory }];
    Plan {
        schema: PLAN_SCHEMA,
        pool: PoolName::new("play").unwrap(),
        target: release(),
        policy: Policy::default(),
        coordinator: Some(host("h1")),
        suspends: vec![FeatureKind::HaAdmissionControl, FeatureKind::PowerManagement],
        steps: vec![PlanStep { host: host("h1"), wave: 1, moves, stops: Vec::new() }],
        unchanged: vec![host("h3")],
        blocked: vec![Blocked {
            host: host("h4"),
            guest: Some(guest()),
            reason: "no room".to_owned(),
            remedy: "make room".to_owned(),
        }],
        excluded: Vec::new(),
        placement: Vec::new(),
        figures: Figures {
            moves: Bound { planned: 1, bound: 1 },
            makespan: Bound { planned: Millis(2), bound: Millis(1) },
            no_failover: vec![(1, 1)],
            ..Figures::default()
        },
        notes: vec!["a note".to_owned()],
    }
}

pub(crate) fn lines(events: &[Event]) -> String {
    events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect()
}

#[test]
fn every_event_of_form_1_is_read_and_written_as_it_was() {
    let golden = std::fs::read_to_string(path("events-v1.jsonl")).unwrap();
    let read: Vec<Event> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, events());
    assert_eq!(lines(&events()), golden);
    assert_eq!(lines(&read), golden);
    assert!(read.iter().all(|event| event.schema == 1), "a reader that knows form 1 only reads all of them");
}

#[test]
fn a_plan_of_form_1_is_read_and_keeps_its_hash() {
    let golden = std::fs::read_to_string(path("plan-v1.json")).unwrap();
    let read: Plan = serde_json::from_str(&golden).unwrap();
    assert_eq!(read, plan());
    assert_eq!(read.hash().unwrap(), Sha256Hex::of(golden.trim_end().as_bytes()));
    assert_eq!(serde_json::to_string(&read).unwrap() + "\n", golden);
}

#[test]
fn an_event_of_a_newer_lifeboat_is_kept_as_unknown_and_fields_it_adds_are_passed_over() {
    let line = r#"{"schema":1,"seq":9,"fence":1,"at":5,"new":true,"what":{"kind":"gate-opened","gate":"g"}}"#;
    let event: Event = serde_json::from_str(line).unwrap();
    assert_eq!(event.what, EventKind::Unknown);
}

#[test]
#[ignore = "writes the golden files; for a new form only"]
fn write_golden_files() {
    std::fs::write(path("events-v1.jsonl"), lines(&events())).unwrap();
    std::fs::write(path("plan-v1.json"), serde_json::to_string(&plan()).unwrap() + "\n").unwrap();
}
