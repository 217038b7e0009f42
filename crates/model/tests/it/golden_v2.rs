//! What form 2 of events and the later fields of plans added, as they lie in journals that exist.
//!
//! Promises: a kind, outcome, effect or verb that is added to the words must be added here, and the lines that are
//! there are never changed.

use lifeboat_model::{
    After, Approve, Bank, Bound, Day, Effect, Event, EventKind, FeatureKind, Figures, Fix, Gate, GuestId,
    GuestRule, GuestStop, GuestStrategy, Hook, HookStage, Mib, Millis, Move, OperatorVerb, Outcome,
    Placement, Plan, PlanStep, Policy, Prices, RollId, Sha256Hex, Timestamp, Window,
};

use super::golden::{host, lines, numbered, path, plan};

fn guest() -> GuestId {
    GuestId::new("g1").unwrap()
}

fn policy() -> Policy {
    Policy {
        placement: Placement::Restore,
        canary: Some(host("h2")),
        last: vec![host("h9")],
        reserve_percent: 10,
        guests: vec![GuestRule { guests: vec!["gpu-*".to_owned()], strategy: GuestStrategy::StopStart }],
        immovable_guests: GuestStrategy::Leave,
        approve: Approve::FirstWave,
        windows: vec![Window {
            days: vec![Day::Sat, Day::Sun],
            from: "22:00".to_owned(),
            to: "04:00".to_owned(),
            zone: "Europe/Vienna".to_owned(),
        }],
        window_margin: Millis::from_secs(1800),
        hooks: vec![Hook {
            name: "load-balancer".to_owned(),
            stage: HookStage::PreMaintenance,
            command: vec!["/usr/local/bin/take-out".to_owned(), "--now".to_owned()],
            hosts: vec!["h*".to_owned()],
            timeout: Millis::from_secs(60),
            warn_after: Some(Millis::from_secs(30)),
        }],
        gates: vec![Gate {
            name: "error-rate".to_owned(),
            command: vec!["/usr/local/bin/error-rate".to_owned()],
            after: After::EveryWave,
            timeout: Millis::from_secs(60),
            attempts: 3,
            delay: Millis::from_secs(10),
        }],
        ..Policy::default()
    }
}

fn fixes() -> Vec<Fix> {
    vec![
        Fix::EjectMedia { guest: guest(), image: "tools.iso".to_owned() },
        Fix::CleanBank { host: host("h1"), bank: Bank::B, files: vec!["EFI/old.efi".to_owned()] },
        Fix::RebuildBank { host: host("h1"), bank: Bank::B },
        Fix::SetClock { host: host("h1"), offset_ms: -4200 },
        Fix::RescanStorage { host: host("h1"), storage: "san-1".to_owned() },
    ]
}

fn effects() -> Vec<Effect> {
    let h1 = host("h1");
    let mut effects = vec![
        Effect::StopGuest { guest: guest(), host: h1.clone() },
        Effect::StartGuest { guest: guest(), host: h1.clone() },
        Effect::Place { guest: guest(), from: h1.clone(), to: host("h2") },
        Effect::RunGate { gate: "error-rate".to_owned(), wave: 1 },
    ];
    effects.extend(HookStage::ALL.map(|stage| Effect::RunHook {
        hook: "load-balancer".to_owned(),
        stage,
        host: h1.clone(),
    }));
    effects.extend(fixes().into_iter().map(|fix| Effect::Mend { fix }));
    effects.push(Effect::Unmend { fix: fixes()[0].clone() });
    effects
}

/// One event of everything that form 2 has and form 1 has not.
fn events() -> Vec<Event> {
    let feature = FeatureKind::HaAdmissionControl;
    let reason = "why".to_owned();
    let original = "reserve 25 %".to_owned();
    let mut kinds = Vec::new();
    for effect in effects() {
        kinds.push(EventKind::Intent { key: effect.key(), attempt: 1, effect });
    }
    for detail in [None, Some("nothing to do here".to_owned())] {
        kinds.push(EventKind::Outcome { key: effects()[4].key(), outcome: Outcome::NothingToDo { detail } });
    }
    let verbs = [
        OperatorVerb::PauseAfterHost,
        OperatorVerb::Stop,
        OperatorVerb::Approve { wave: 2 },
        OperatorVerb::SetPolicy { policy: Box::new(policy()) },
        OperatorVerb::HandOver,
    ];
    kinds.extend(verbs.into_iter().map(|verb| EventKind::Operator { verb, who: "root".to_owned() }));
    kinds.extend([
        EventKind::Held { reason: reason.clone(), finish: true },
        EventKind::FeatureTouched { feature, value: "reserve 10 %".to_owned() },
        EventKind::FeatureKept { feature, value: "reserve 10 %".to_owned(), original: original.clone() },
        EventKind::WindowOpened { until: Some(Timestamp(9_000)) },
        EventKind::WindowOpened { until: None },
        EventKind::WindowClosed { until: Some(Timestamp(9_000)) },
        EventKind::WindowClosed { until: None },
        EventKind::Warned { code: "placement".to_owned(), subject: "g1".to_owned(), text: reason },
        EventKind::SuspensionAdopted { feature, original, from: RollId::new("r1").unwrap() },
    ]);
    // What came later stands at the end: the lines above are never changed.
    let restart = Effect::Restart { host: host("h1"), boot_id_before: "boot-1".to_owned() };
    kinds.push(EventKind::Intent { key: restart.key(), attempt: 1, effect: restart });
    numbered(kinds)
}

/// A plan that uses every field that came after the first form.
fn later_plan() -> Plan {
    let moves = vec![Move { guest: guest(), from: host("h1"), to: host("h2"), memory: Mib::from_gib(4) }];
    let stops = vec![
        GuestStop { guest: GuestId::new("gpu-1").unwrap(), memory: Mib::from_gib(8), by_owner: false },
        GuestStop { guest: GuestId::new("owned").unwrap(), memory: Mib::from_gib(8), by_owner: true },
    ];
    let placement = vec![Move { guest: guest(), from: host("h2"), to: host("h1"), memory: Mib::from_gib(4) }];
    Plan {
        policy: policy(),
        steps: vec![PlanStep { host: host("h1"), wave: 1, moves, stops }],
        excluded: vec![host("h5")],
        placement,
        figures: Figures {
            moves: Bound { planned: 1, bound: 1 },
            prices: Some(Prices { rebalance: (0, Mib(0)), restore: (1, Mib::from_gib(4)) }),
            ..Figures::default()
        },
        ..plan()
    }
}

#[test]
fn every_event_of_form_2_is_read_and_written_as_it_was() {
    let golden = std::fs::read_to_string(path("events-v2.jsonl")).unwrap();
    let read: Vec<Event> = golden.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, events());
    assert_eq!(lines(&read), golden);
}

#[test]
fn a_plan_with_the_later_fields_is_read_and_keeps_its_hash() {
    let golden = std::fs::read_to_string(path("plan-v1b.json")).unwrap();
    let read: Plan = serde_json::from_str(&golden).unwrap();
    assert_eq!(read, later_plan());
    assert_eq!(read.hash().unwrap(), Sha256Hex::of(golden.trim_end().as_bytes()));
    assert_eq!(serde_json::to_string(&read).unwrap() + "\n", golden);
}

#[test]
fn whatever_form_2_added_says_so_and_the_first_form_has_none_of_it() {
    assert!(events().iter().all(|event| event.schema == 2));
    // A program that knows form 1 asks for the number first; what it then reads has no word that it does not know.
    let first = std::fs::read_to_string(path("events-v1.jsonl")).unwrap();
    for line in first.lines() {
        let event: Event = serde_json::from_str(line).unwrap();
        assert_eq!((event.schema, event.what.form()), (1, 1), "{line}");
    }
}

#[test]
fn every_word_of_a_kind_stands_in_a_golden_file() {
    let both =
        ["events-v1.jsonl", "events-v2.jsonl"].map(|name| std::fs::read_to_string(path(name)).unwrap());
    let text = both.concat();
    for word in [
        "roll-started",
        "controller-started",
        "intent",
        "outcome",
        "host-phase",
        "halted",
        "coordinator-lost",
        "coordinator-back",
        "operator",
        "roll-ended",
        "held",
        "feature-touched",
        "feature-kept",
        "window-opened",
        "window-closed",
        "warned",
        "suspension-adopted",
    ] {
        assert!(text.contains(&format!(r#""kind":"{word}""#)), "{word}");
    }
}

#[test]
#[ignore = "writes the golden files; for a new form only"]
fn write_golden_files_of_form_2() {
    std::fs::write(path("events-v2.jsonl"), lines(&events())).unwrap();
    std::fs::write(path("plan-v1b.json"), serde_json::to_string(&later_plan()).unwrap() + "\n").unwrap();
}
