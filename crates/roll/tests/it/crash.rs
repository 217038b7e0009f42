//! A controller that dies anywhere, and any number of times, changes nothing about the end.

use std::collections::BTreeSet;

use lifeboat_model::{EffectKey, InFlight, OperatorVerb, Policy};
use proptest::prelude::*;

use crate::toy::{Die, Faults, guest, host, pool};

fn scenarios() -> Vec<(&'static str, Faults)> {
    let hosts = |n: usize| BTreeSet::from([host(n)]);
    vec![
        ("good", Faults::default()),
        ("falls back", Faults { falls_back: hosts(1), ..Faults::default() }),
        ("never returns", Faults { never_returns: hosts(2), ..Faults::default() }),
        ("guest is stuck", Faults { stuck_guests: BTreeSet::from([guest(1)]), ..Faults::default() }),
        ("coordinator falls back", Faults { falls_back: hosts(0), ..Faults::default() }),
    ]
}

#[test]
fn killed_at_every_event_and_every_effect_the_roll_comes_to_the_same_end() {
    let mut kills = 0;
    for (name, faults) in scenarios() {
        let mut whole = pool(4, Policy::default());
        whole.faults = faults.clone();
        whole.take_up();
        assert!(whole.run(Die::Never));
        whole.assert_kept();
        let deaths =
            (3..=whole.events.len()).map(Die::AfterEvent).chain((1..=whole.done.len()).map(Die::AfterEffect));
        for death in deaths {
            let mut toy = pool(4, Policy::default());
            toy.faults = faults.clone();
            toy.take_up();
            if toy.run(death) {
                continue;
            }
            kills += 1;
            toy.take_up();
            assert!(toy.run(Die::Never));
            assert_eq!(toy.outcome(), whole.outcome(), "{name}, killed {death:?}");
            toy.assert_kept();
        }
    }
    println!("{kills} kills");
    assert!(kills > 300, "only {kills} kills");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_faults_any_deaths_any_width_the_promises_hold(
        hosts in 2_usize..6,
        width in 1_u32..3,
        back in proptest::collection::btree_set(0_usize..6, 0..2),
        gone in proptest::collection::btree_set(0_usize..6, 0..2),
        stuck in proptest::collection::btree_set(0_usize..6, 0..2),
        once in proptest::collection::btree_set((0_usize..6, 0_usize..6), 0..4),
        deaths in proptest::collection::vec(1_usize..40, 0..4),
        abort in proptest::option::of(1_usize..60),
    ) {
        let policy = Policy { max_in_flight: InFlight::Hosts(width), ..Policy::default() };
        let mut toy = pool(hosts, policy);
        let steps = ["check", "save-state", "enter-maintenance", "stage", "install", "reboot"];
        toy.faults = Faults {
            falls_back: back.into_iter().map(host).collect(),
            never_returns: gone.into_iter().map(host).collect(),
            stuck_guests: stuck.into_iter().map(guest).collect(),
            once: once.into_iter().map(|(h, s)| EffectKey(format!("{}/{}", host(h), steps[s]))).collect(),
            ..Faults::default()
        };
        toy.take_up();
        let mut ended = false;
        for death in deaths {
            if toy.run(Die::AfterEffect(death)) {
                ended = true;
                break;
            }
            toy.take_up();
        }
        if let (Some(at), false) = (abort, ended) {
            let at = toy.events.len() + at;
            if !toy.run(Die::AfterEvent(at)) {
                toy.take_up();
                toy.order(OperatorVerb::Abort);
            }
        }
        prop_assert!(toy.run(Die::Never));
        prop_assert_eq!(&toy.broken, &Vec::<String>::new());
        toy.assert_kept();
    }
}
