//! What holds for every pool, the tight ones above all.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{
    GuestId, GuestRule, GuestStrategy, GuestView, InFlight, Mib, Movable, Order, Placement, Plan, Policy,
    World,
};
use lifeboat_plan::{Options, PlanError, Timing, codes, diff, lint, plan};
use proptest::prelude::*;

use crate::interleaving::plan_is_safe_in_any_order;
use crate::pools::{Pool, assert_clean, target};

/// A host: GiB, per cent filled, domain, what is odd about it, what it offers.
type RawHost = (u64, u64, u8, u8, u8);
/// A guest: GiB and what is odd about it.
type RawGuest = (u64, u8);

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The names of guests that rules of the policy are about begin with what the rules say.
fn kind(oddity: u8) -> &'static str {
    match oddity {
        20..24 => "stop",
        24 | 25 => "leave",
        26 => "forbid",
        27 | 28 => "migrate",
        _ => "g",
    }
}

fn pool_of(hosts: &[RawHost], guests: &[RawGuest], coordinator: Option<usize>) -> Pool {
    let mut pool = Pool::default();
    let mut guests = guests.iter().cycle();
    for (index, &(gib, percent, domain, oddity, offers)) in hosts.iter().enumerate() {
        pool = pool.host(&format!("h{index:02}"), gib).host_is(|host| {
            host.fault_domain = (domain > 0).then(|| format!("r{domain}"));
            host.offers = match offers {
                0 => set(&[]),
                1 | 2 => set(&["net:a"]),
                3 => set(&["cpu:new"]),
                _ => set(&["net:a", "cpu:new"]),
            };
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
                id: GuestId::new(format!("{}{:04}", kind(oddity), pool.guests.len())).unwrap(),
                host: pool.hosts[index].id.clone(),
                memory: Mib::from_gib(size),
                running: oddity != 0,
                movable: if oddity == 1 { Movable::No { reason: "pinned".to_owned() } } else { Movable::Yes },
                keep_apart: (2..6).contains(&oddity).then(|| format!("k{oddity}")),
                needs: match oddity {
                    6..12 => set(&["cpu:new"]),
                    12..16 => set(&["net:a"]),
                    16 | 17 => set(&["cpu:new", "net:a"]),
                    18 => set(&["storage:here"]),
                    _ => set(&[]),
                },
            });
        }
    }
    pool.coordinator = coordinator.map(|index| format!("h{:02}", index % hosts.len()));
    pool
}

fn policies() -> impl Strategy<Value = RawPolicy> {
    let orders = [Order::CoordinatorFirst, Order::CoordinatorLast, Order::LeastLoadedFirst];
    let placements = [Placement::Keep, Placement::Rebalance, Placement::Restore];
    let immovable = [GuestStrategy::Forbid, GuestStrategy::StopStart, GuestStrategy::Leave];
    let numbers = (1_u32..5, 0_u32..3, 0_u32..2, prop_oneof![3 => Just(0_u32), 1 => 5_u32..30]);
    let words = (select(&orders), select(&placements), select(&immovable), any::<bool>(), any::<bool>());
    let names = (prop::option::of(0_usize..9), prop::collection::vec(0_usize..9, 0..3));
    (numbers, words, names).prop_map(|(numbers, words, (canary, last))| {
        let (at_once, spill, reserve_hosts, reserve_percent) = numbers;
        let (order, placement, immovable_guests, racks, rules) = words;
        let rule = |name: &str, strategy| GuestRule { guests: vec![format!("{name}*")], strategy };
        let rules = if rules {
            vec![
                rule("stop", GuestStrategy::StopStart),
                rule("leave", GuestStrategy::Leave),
                rule("forbid", GuestStrategy::Forbid),
                rule("migrate", GuestStrategy::Migrate),
            ]
        } else {
            Vec::new()
        };
        let policy = Policy {
            order,
            max_in_flight: InFlight::Hosts(at_once),
            one_per_fault_domain: racks,
            reserve_hosts,
            reserve_percent,
            spill,
            placement,
            guests: rules,
            immovable_guests,
            ..Policy::default()
        };
        RawPolicy { policy, canary, last }
    })
}

fn select<T: Copy + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

/// A policy whose hosts are numbers: it gets names when the pool is there.
#[derive(Debug, Clone)]
struct RawPolicy {
    policy: Policy,
    canary: Option<usize>,
    last: Vec<usize>,
}

impl RawPolicy {
    fn of(self, world: &World) -> Policy {
        let name = |index: usize| world.hosts().nth(index % world.hosts().len()).unwrap().id.clone();
        let last: Vec<_> = self.last.into_iter().map(name).collect();
        let canary = self.canary.map(name).filter(|host| !last.contains(host));
        Policy { canary, last, ..self.policy }
    }
}

/// Pools of up to 9 hosts. `odd` widens the range of oddities, so that a larger number makes them rarer.
pub(crate) fn worlds(
    fill: std::ops::RangeInclusive<u64>,
    odd: std::ops::Range<u8>,
) -> impl Strategy<Value = World> {
    let host = (prop_oneof![Just(32_u64), Just(64), Just(128)], fill, 0_u8..4, odd, 0_u8..8);
    let guest = (prop_oneof![Just(1_u64), Just(4), Just(8), Just(16), Just(32), Just(64)], 0_u8..60);
    let hosts = prop::collection::vec(host, 1..9);
    let guests = prop::collection::vec(guest, 1..40);
    (hosts, guests, prop::option::of(0_usize..9))
        .prop_map(|(hosts, guests, coordinator)| pool_of(&hosts, &guests, coordinator).world())
}

/// What every plan must keep, whatever the pool; none if the policy contradicts the pool and says so.
fn check(world: &World, policy: &Policy, options: &Options) -> Option<Plan> {
    let made = match plan(world, &target(), policy, options) {
        Ok(made) => made,
        Err(error @ PlanError::Order { .. }) => {
            let coordinator = world.coordinator().unwrap_or_else(|| unreachable!("{error}"));
            assert!(policy.last.contains(coordinator) || policy.canary.as_ref() == Some(coordinator));
            return None;
        }
        Err(other) => unreachable!("{other}"),
    };
    assert_clean(world, &made);
    check_moves(world, policy, &made);
    check_order(world, policy, &made);
    check_end(world, policy, &made);
    let named: Vec<_> = (made.steps.iter().map(|step| &step.host))
        .chain(&made.unchanged)
        .chain(made.blocked.iter().map(|blocked| &blocked.host))
        .chain(&made.excluded)
        .collect();
    assert_eq!(named.len(), world.hosts().len(), "every host has a turn or a reason, and only one");
    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len());
    assert!(made.blocked.iter().all(|blocked| !blocked.reason.is_empty() && !blocked.remedy.is_empty()));
    assert!(made.figures.prices.is_some());
    assert!(plan_is_safe_in_any_order(world, &made, 3));
    let again = plan(world, &target(), policy, options).unwrap();
    assert_eq!(serde_json::to_vec(&made).unwrap(), serde_json::to_vec(&again).unwrap());
    assert!(diff(&made, &again).is_empty());
    Some(made)
}

/// In turns of hosts no guest moves more than twice unless hosts may spill; who is stopped does not move.
fn check_moves(world: &World, policy: &Policy, made: &Plan) {
    let mut moves_of: BTreeMap<&GuestId, u32> = BTreeMap::new();
    for each in made.steps.iter().flat_map(|step| &step.moves) {
        *moves_of.entry(&each.guest).or_default() += 1;
    }
    if policy.spill == 0 {
        assert!(moves_of.values().all(|moves| *moves <= 2));
    }
    let turns: BTreeSet<_> = made.steps.iter().map(|step| &step.host).collect();
    let stopped: BTreeSet<_> =
        made.steps.iter().flat_map(|step| &step.stops).map(|stop| &stop.guest).collect();
    for guest in world.guests().filter(|guest| guest.running && turns.contains(&guest.host)) {
        let movable = guest.movable == Movable::Yes;
        match policy.strategy_of(&guest.id, movable) {
            GuestStrategy::Migrate => assert!(movable && moves_of.contains_key(&guest.id), "{}", guest.id),
            GuestStrategy::StopStart | GuestStrategy::Leave => {
                assert!(stopped.contains(&guest.id) && !moves_of.contains_key(&guest.id), "{}", guest.id);
            }
            GuestStrategy::Forbid => unreachable!("{} has a turn with {}", guest.host, guest.id),
        }
    }
}

fn check_order(world: &World, policy: &Policy, made: &Plan) {
    let Some(first) = made.steps.first() else { return };
    let current = |host| world.host(host).unwrap().running == Some(target().digest);
    let coordinator = world.coordinator().filter(|host| !current(host));
    match (policy.order, coordinator, &policy.canary) {
        (Order::CoordinatorFirst, Some(coordinator), _) => assert_eq!(&first.host, coordinator),
        (_, _, Some(canary)) if !current(canary) => assert_eq!(&first.host, canary),
        _ => {}
    }
    let lasts = |host: &lifeboat_model::HostId| {
        policy.last.contains(host) || (policy.order == Order::CoordinatorLast && coordinator == Some(host))
    };
    let mut seen = false;
    for step in &made.steps {
        assert!(!seen || lasts(&step.host), "{} comes after a host that goes last", step.host);
        seen |= lasts(&step.host) && (step.host != first.host || made.steps.len() > 1);
    }
}

/// Where guests end is what the placement promises, or a note says what is missing.
fn check_end(world: &World, policy: &Policy, made: &Plan) {
    let says = |text: &str| made.notes.iter().any(|note| note.contains(text));
    let open = lint(world, made).into_iter().filter(|found| found.code == codes::PLACEMENT_OPEN).count();
    let prices = made.figures.prices.unwrap();
    let cost = made.placement.iter().map(|each| each.memory).sum::<Mib>();
    let cost = (made.placement.len() as u64, cost);
    match policy.placement {
        Placement::Keep => assert!(made.placement.is_empty()),
        Placement::Rebalance => {
            assert_eq!(open > 0, says("of the average load"), "{open}");
            assert_eq!(prices.rebalance, cost);
        }
        Placement::Restore => {
            assert_eq!(open > 0, says("cannot be brought back"), "{open}");
            assert_eq!(prices.restore, cost);
        }
    }
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
            let made = check(&world, &policy, &options).unwrap();
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
        check(&world, &policy.of(&world), &Options::default());
    }

    #[test]
    fn every_plan_is_clean_on_tight_pools(world in worlds(80..=100, 5..6), policy in policies()) {
        check(&world, &policy.of(&world), &Options::default());
    }

    #[test]
    fn leaving_out_the_blocked_hosts_gives_the_same_steps(
        world in worlds(30..=100, 0..20),
        policy in policies(),
    ) {
        let policy = policy.of(&world);
        let Some(made) = check(&world, &policy, &Options::default()) else { return Ok(()) };
        let exclude = made.blocked.iter().map(|blocked| blocked.host.clone()).collect();
        let options = Options { exclude, ..Options::default() };
        let second = check(&world, &policy, &options).unwrap();
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
        let made = check(&world, &crate::pools::at_once(at_once), &Options::default()).unwrap();
        assert!(made.blocked.is_empty());
        assert_eq!(made.figures.moves.planned, made.figures.moves.bound);
        assert_eq!(made.figures.moved.planned, made.figures.moved.bound);
    }

    #[test]
    fn a_slower_network_never_shortens_the_estimate(world in worlds(30..=70, 5..6)) {
        let slow = Options { timing: Timing { network: Mib(112), ..Timing::default() }, ..Options::default() };
        let policy = crate::pools::at_once(1);
        let fast = check(&world, &policy, &Options::default()).unwrap();
        let slow = check(&world, &policy, &slow).unwrap();
        assert!(slow.figures.makespan.planned >= fast.figures.makespan.planned);
    }
}
