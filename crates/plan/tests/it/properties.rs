//! What holds for every pool, the tight ones above all.

use std::collections::BTreeSet;

use lifeboat_model::{GuestId, GuestView, InFlight, Mib, Movable, Order, Plan, Policy, World};
use lifeboat_plan::{Options, Timing, diff, plan};
use proptest::prelude::*;

use crate::interleaving::plan_is_safe_in_any_order;
use crate::pools::{Pool, assert_clean, target};

/// A host: GiB, per cent filled, domain, what is odd about it.
type RawHost = (u64, u64, u8, u8);
/// A guest: GiB and what is odd about it.
type RawGuest = (u64, u8);

fn pool_of(hosts: &[RawHost], guests: &[RawGuest], coordinator: Option<usize>) -> Pool {
    let mut pool = Pool::default();
    let mut guests = guests.iter().cycle();
    for (index, &(gib, percent, domain, oddity)) in hosts.iter().enumerate() {
        pool = pool.host(&format!("h{index:02}"), gib).host_is(|host| {
            host.fault_domain = (domain > 0).then(|| format!("r{domain}"));
            match oddity {
                0 => host.reachable = false,
                1 => host.maintenance = true,
                2 => host.failed_releases.push(target().digest),
                3 | 4 => host.running = Some(target().digest),
                _ => {}
            }
        });
        let mut left = gib * percent / 100;
        while let Some(&(size, oddity)) = guests.next()
            && left > 0
        {
            let size = size.min(left);
            left -= size;
            pool.guests.push(GuestView {
                id: GuestId::new(format!("g{:04}", pool.guests.len())).unwrap(),
                host: pool.hosts[index].id.clone(),
                memory: Mib::from_gib(size),
                running: oddity != 0,
                movable: if oddity == 1 { Movable::No { reason: "pinned".to_owned() } } else { Movable::Yes },
                keep_apart: (2..6).contains(&oddity).then(|| format!("k{oddity}")),
                needs: std::collections::BTreeSet::new(),
            });
        }
    }
    pool.coordinator = coordinator.map(|index| format!("h{:02}", index % hosts.len()));
    pool
}

pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    (1_u32..5, 0_u32..3, 0_u32..2, any::<bool>(), any::<bool>()).prop_map(
        |(at_once, spill, reserve, first, racks)| Policy {
            order: if first { Order::CoordinatorFirst } else { Order::LeastLoadedFirst },
            max_in_flight: InFlight::Hosts(at_once),
            one_per_fault_domain: racks,
            reserve_hosts: reserve,
            spill,
            ..Policy::default()
        },
    )
}

/// Pools of up to 9 hosts. `odd` widens the range of oddities, so that a larger number makes them rarer.
pub(crate) fn worlds(
    fill: std::ops::RangeInclusive<u64>,
    odd: std::ops::Range<u8>,
) -> impl Strategy<Value = World> {
    let host = (prop_oneof![Just(32_u64), Just(64), Just(128)], fill, 0_u8..4, odd);
    let guest = (prop_oneof![Just(1_u64), Just(4), Just(8), Just(16), Just(32), Just(64)], 0_u8..60);
    let hosts = prop::collection::vec(host, 1..9);
    let guests = prop::collection::vec(guest, 1..40);
    (hosts, guests, prop::option::of(0_usize..9))
        .prop_map(|(hosts, guests, coordinator)| pool_of(&hosts, &guests, coordinator).world())
}

/// What every plan must keep, whatever the pool.
fn check(world: &World, policy: &Policy, options: &Options) -> Plan {
    let made = plan(world, &target(), policy, options).unwrap();
    assert_clean(world, &made);
    if policy.spill == 0 {
        assert!(made.figures.most_moves_of_a_guest <= 2);
    }
    let named: BTreeSet<_> = (made.steps.iter().map(|step| &step.host))
        .chain(&made.unchanged)
        .chain(made.blocked.iter().map(|blocked| &blocked.host))
        .chain(&options.exclude)
        .collect();
    assert_eq!(named.len(), world.hosts().len(), "every host has a turn or a reason");
    assert!(made.blocked.iter().all(|blocked| !blocked.reason.is_empty() && !blocked.remedy.is_empty()));
    assert!(plan_is_safe_in_any_order(world, &made, 3));
    let again = plan(world, &target(), policy, options).unwrap();
    assert_eq!(serde_json::to_vec(&made).unwrap(), serde_json::to_vec(&again).unwrap());
    assert!(diff(&made, &again).is_empty());
    made
}

/// Found by [`a_slower_network_never_shortens_the_estimate`]: a host that fitted nowhere while the wave before ran,
/// and fitted once that wave was over, had neither a turn nor a reason.
#[test]
fn a_host_that_fits_only_once_the_last_wave_is_over_has_its_turn() {
    let mut pool = Pool::default();
    for (host, gib, guests) in [
        ("h00", 32, [(18, "k2")].as_slice()),
        ("h01", 128, &[(16, "k3"), (31, "k3")]),
        ("h02", 64, &[(19, "k4")]),
    ] {
        pool = pool.host(host, gib);
        for &(gib, group) in guests {
            pool = pool.with(&[gib]).guest_is(|guest| guest.keep_apart = Some(group.to_owned()));
        }
    }
    let world = pool.world();
    for policy in [crate::pools::at_once(1), crate::pools::at_once(2)] {
        for network in [Timing::default().network, Mib(112)] {
            let options = Options { timing: Timing { network, ..Timing::default() }, ..Options::default() };
            let made = check(&world, &policy, &options);
            assert!(made.blocked.is_empty(), "{:?}", made.blocked);
            assert_eq!(crate::pools::order(&made), ["h02", "h00", "h01"]);
            assert_eq!(crate::pools::waves(&made), [1, 1, 1]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_clean_on_odd_pools(world in worlds(0..=100, 0..20), policy in policies()) {
        check(&world, &policy, &Options::default());
    }

    #[test]
    fn every_plan_is_clean_on_tight_pools(world in worlds(80..=100, 5..6), policy in policies()) {
        check(&world, &policy, &Options::default());
    }

    #[test]
    fn leaving_out_the_blocked_hosts_gives_the_same_steps(
        world in worlds(30..=100, 0..20),
        policy in policies(),
    ) {
        let made = check(&world, &policy, &Options::default());
        let exclude = made.blocked.iter().map(|blocked| blocked.host.clone()).collect();
        let options = Options { exclude, ..Options::default() };
        let second = check(&world, &policy, &options);
        assert!(second.blocked.is_empty(), "{:?}", second.blocked);
        assert_eq!(made.steps, second.steps);
    }

    #[test]
    fn equal_hosts_with_room_for_one_are_never_blocked_and_reach_the_bound(
        hosts in 3_usize..16,
        percent in 10_u64..66,
        at_once in 1_u32..5,
        seed in any::<u64>(),
    ) {
        let world = crate::pools::random_pool(hosts, 256, percent, seed).world();
        let made = check(&world, &crate::pools::at_once(at_once), &Options::default());
        assert!(made.blocked.is_empty());
        assert_eq!(made.figures.moves.planned, made.figures.moves.bound);
        assert_eq!(made.figures.moved.planned, made.figures.moved.bound);
    }

    #[test]
    fn a_slower_network_never_shortens_the_estimate(world in worlds(30..=70, 5..6)) {
        let slow = Options { timing: Timing { network: Mib(112), ..Timing::default() }, ..Options::default() };
        let policy = crate::pools::at_once(1);
        let fast = check(&world, &policy, &Options::default());
        let slow = check(&world, &policy, &slow);
        assert!(slow.figures.makespan.planned >= fast.figures.makespan.planned);
    }
}
