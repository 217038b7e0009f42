//! No survey makes a check panic, and whatever it finds has a page.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{
    Admission, Bank, BankFacts, BankState, BankView, Fact, FeatureKind, FeatureView, GuestFacts, GuestId,
    GuestRule, GuestStrategy, GuestView, HostFacts, HostId, HostView, InFlight, Link, Mib, Millis, Movable,
    OnFailure, Policy, PoolFacts, PoolName, ReleaseFacts, ReleaseVersion, Space, StoragePaths, Survey, Task,
    TaskKind, Timestamp, Window, World,
};
use lifeboat_plan::check::{Ground, catalogue, explain, run};
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::checks_scene::{old, target};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..100, Just(u64::MAX), Just(u64::MAX / 2), Just(1 << 40), any::<u64>()]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("\u{1b}[2J\u{202e}evil\n\0".to_owned()),
        Just("ß".repeat(3000)),
        "[a-z]{1,6}",
        any::<String>(),
    ]
}

fn offers() -> impl Strategy<Value = BTreeSet<String>> {
    let word = prop_oneof![
        Just("net:prod".to_owned()),
        Just("storage:s".to_owned()),
        Just("cpu:x".to_owned()),
        text()
    ];
    btree_set(word, 0..4)
}

fn fact<T: Clone + std::fmt::Debug>(of: impl Strategy<Value = T>) -> impl Strategy<Value = Fact<T>> {
    option::of(of).prop_map(|value| value.map_or(Fact::Unknown, Fact::Known))
}

fn state() -> impl Strategy<Value = BankState> {
    prop::sample::select(vec![
        BankState::Empty,
        BankState::Invalid,
        BankState::Upgraded,
        BankState::Trying,
        BankState::Good,
        BankState::Failed,
    ])
}

fn host(index: usize) -> impl Strategy<Value = HostView> {
    let bank = || {
        (state(), option::of(text())).prop_map(|(state, note)| BankView { state, note, ..BankView::empty() })
    };
    let running = prop::sample::select(vec![None, Some(old()), Some(target().digest)]);
    (
        (number(), option::of(text()), any::<bool>(), any::<bool>()),
        (option::of(prop::sample::select(vec![Bank::A, Bank::B])), bank(), bank()),
        (running, option::of(text()), any::<bool>(), offers()),
    )
        .prop_map(move |(place, banks, runs)| HostView {
            id: HostId::new(format!("h{index}")).unwrap(),
            memory: Mib(place.0),
            fault_domain: place.1,
            reachable: place.2,
            boot_id: None,
            active: banks.0,
            banks: [banks.1, banks.2],
            running: runs.0,
            version: runs.1.map(ReleaseVersion),
            maintenance: place.3,
            failed_releases: if runs.2 { vec![target().digest] } else { Vec::new() },
            pending_reboot: Vec::new(),
            offers: runs.3,
        })
}

fn guest(index: usize, hosts: usize) -> impl Strategy<Value = GuestView> {
    let movable =
        prop_oneof![Just(Movable::Yes), Just(Movable::Yes), text().prop_map(|reason| Movable::No { reason })];
    let group = option::of(prop_oneof![Just("db".to_owned()), text()]);
    (0..hosts, number(), any::<bool>(), movable, group, offers()).prop_map(
        move |(host, memory, running, movable, keep_apart, needs)| GuestView {
            id: GuestId::new(format!("g{index}")).unwrap(),
            host: HostId::new(format!("h{host}")).unwrap(),
            memory: Mib(memory),
            running,
            movable,
            keep_apart,
            needs,
        },
    )
}

fn host_facts() -> impl Strategy<Value = HostFacts> {
    let bank = || {
        (option::of(text()), vec(text(), 0..3), vec(text(), 0..3), option::of(text())).prop_map(
            |(loader, foreign, damage, not_writable)| BankFacts { loader, foreign, damage, not_writable },
        )
    };
    let space = (text(), number(), number()).prop_map(|(place, free, needed)| Space { place, free, needed });
    let storage = (text(), any::<u32>(), any::<u32>()).prop_map(|(name, paths, alive)| StoragePaths {
        name,
        paths,
        alive,
    });
    let link = (text(), any::<bool>()).prop_map(|(name, up)| Link { name, up });
    let clock = prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), -99_999_i64..99_999];
    (
        (fact(vec(text(), 0..3)), fact(clock), fact(vec(space, 0..3)), fact([bank(), bank()])),
        (fact(vec(link, 0..3)), fact(vec(storage, 0..3)), fact(offers()), fact(text())),
    )
        .prop_map(|(first, second)| HostFacts {
            pending_reboot: first.0,
            clock_offset_ms: first.1,
            spaces: first.2,
            banks: first.3,
            networks: second.0,
            storages: second.1,
            offers_after: second.2,
            machine: second.3,
            emulator: None,
        })
}

fn guest_facts() -> impl Strategy<Value = GuestFacts> {
    (option::of(text()), option::of(text()), option::of(text()), any::<bool>(), any::<bool>()).prop_map(
        |(media, device, local_disk, fault_tolerant, auto_start)| GuestFacts {
            media,
            device,
            local_disk,
            fault_tolerant,
            auto_start,
        },
    )
}

fn features() -> impl Strategy<Value = Vec<FeatureView>> {
    let kinds = [
        FeatureKind::Ha,
        FeatureKind::HaAdmissionControl,
        FeatureKind::PowerManagement,
        FeatureKind::LoadBalancer,
        FeatureKind::FaultTolerance,
        FeatureKind::BackupSchedules,
        FeatureKind::AutoPowerOn,
    ];
    vec((prop::sample::select(kinds.to_vec()), text()), 0..8)
        .prop_map(|list| list.into_iter().map(|(kind, value)| FeatureView { kind, value }).collect())
}

fn pool_facts(hosts: usize) -> impl Strategy<Value = PoolFacts> {
    let kind = prop::sample::select(vec![TaskKind::Backup, TaskKind::Guest, TaskKind::Host, TaskKind::Roll]);
    let task = (kind, text(), option::of(number())).prop_map(|(kind, what, since)| Task {
        kind,
        what,
        since: since.map(Timestamp),
    });
    let admission = option::of(any::<u32>()).prop_map(|hosts| hosts.map(|hosts| Admission { hosts }));
    // Also for hosts that are not there.
    (fact(vec(task, 0..3)), fact(admission), vec((0..hosts + 2, number()), 0..4)).prop_map(
        |(tasks, admission, floors)| PoolFacts {
            tasks,
            admission,
            serial_floor: floors
                .into_iter()
                .map(|(host, serial)| (HostId::new(format!("h{host}")).unwrap(), serial))
                .collect(),
        },
    )
}

fn release() -> impl Strategy<Value = ReleaseFacts> {
    (option::of(text()), option::of(number()), option::of(number()), btree_set(text(), 0..3)).prop_map(
        |(signed_by, serial, expires, machines)| ReleaseFacts {
            release: target(),
            signed_by,
            serial,
            expires: expires.map(Timestamp),
            machines,
        },
    )
}

fn survey() -> impl Strategy<Value = Survey> {
    (0_usize..5, 0_usize..8).prop_flat_map(|(hosts, guests)| {
        let guests = if hosts == 0 { 0 } else { guests };
        let views: Vec<_> = (0..hosts).map(host).collect();
        let guests: Vec<_> = (0..guests).map(|index| guest(index, hosts)).collect();
        let known = vec((0..hosts + 1, host_facts()), 0..5);
        let guest_facts = vec((0_usize..9, guest_facts()), 0..6);
        (
            (views, guests, features(), option::of(0..hosts.max(1))),
            (known, guest_facts, any::<bool>(), number()),
            (pool_facts(hosts), option::of(release())),
        )
            .prop_map(move |(world, facts, pool)| {
                let name = |index: usize| HostId::new(format!("h{index}")).unwrap();
                let coordinator = world.3.filter(|_| hosts > 0).map(name);
                let pool_name = PoolName::new("p").unwrap();
                let world = World::new(pool_name, coordinator, world.0, world.1, world.2).unwrap();
                Survey {
                    world,
                    at: Timestamp(facts.3),
                    hosts: facts.0.into_iter().map(|(host, facts)| (name(host), facts)).collect(),
                    guests: facts
                        .1
                        .into_iter()
                        .map(|(guest, facts)| (GuestId::new(format!("g{guest}")).unwrap(), facts))
                        .collect::<BTreeMap<_, _>>(),
                    guests_known: facts.2,
                    pool: pool.0,
                    release: pool.1,
                }
            })
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let strategy = prop::sample::select(vec![
        GuestStrategy::Migrate,
        GuestStrategy::StopStart,
        GuestStrategy::Leave,
        GuestStrategy::Forbid,
    ]);
    let pattern = prop_oneof![Just("*".to_owned()), Just("g?".to_owned()), Just("g1".to_owned()), text()];
    let rule =
        (vec(pattern, 0..3), strategy.clone()).prop_map(|(guests, strategy)| GuestRule { guests, strategy });
    let time =
        || prop_oneof![Just("00:00".to_owned()), Just("24:00".to_owned()), Just("22:30".to_owned()), text()];
    let window =
        (time(), time(), text()).prop_map(|(from, to, zone)| Window { days: Vec::new(), from, to, zone });
    (
        (any::<u32>(), any::<bool>(), any::<u32>(), any::<u32>()),
        (vec(rule, 0..4), strategy, vec(window, 0..3), number(), any::<u32>()),
    )
        .prop_map(|(numbers, more)| Policy {
            max_in_flight: if numbers.1 { InFlight::Hosts(numbers.0) } else { InFlight::Percent(numbers.0) },
            reserve_hosts: numbers.2,
            reserve_percent: numbers.3,
            guests: more.0,
            immovable_guests: more.1,
            windows: more.2,
            window_margin: Millis(more.3),
            on_failure: OnFailure::Continue(more.4),
            ..Policy::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_survey_makes_a_check_panic_and_every_finding_has_its_page(survey in survey(), policy in policy()) {
        let checked = run(&Ground { survey: &survey, policy: &policy, plan: None, rolls: &[] });
        let pages = catalogue();
        prop_assert!(checked.len() <= pages.len());
        for found in checked.iter().flat_map(|checked| &checked.findings) {
            let page = explain(&found.code);
            prop_assert!(page.is_some(), "{} has no page", found.code);
            prop_assert_eq!(Some(found.severity), page.map(|page| page.severity));
            for text in [&found.subject, &found.evidence, &found.remedy] {
                prop_assert!(!text.contains(char::is_control), "{:?}", text);
                prop_assert!(text.len() < 20_000);
            }
        }
    }
}
