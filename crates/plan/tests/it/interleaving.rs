//! What the roll may rely on: the rules of the crate documentation are enough, in whatever order steps run.
//!
//! A small roll starts steps, moves guests and commits hosts in a random order that the rules allow, and checks every
//! single move.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{GuestId, HostId, Movable, Move, Order, Plan, World};
use lifeboat_plan::Options;

use crate::pools::{Pool, at_once, planned, random_pool};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Pending,
    /// So many of its moves are done.
    Draining(usize),
    Upgrading,
    Committed,
}

struct Roll<'p> {
    world: &'p World,
    plan: &'p Plan,
    turns: Vec<Turn>,
    step_of: BTreeMap<&'p HostId, usize>,
    at: BTreeMap<&'p GuestId, &'p HostId>,
    load: BTreeMap<&'p HostId, u64>,
    random: u64,
}

/// Runs a plan several times in random orders; true if every run ends with all hosts committed. Panics with the cause
/// if a move breaks a rule.
pub(crate) fn plan_is_safe_in_any_order(world: &World, plan: &Plan, runs: u64) -> bool {
    (0..runs).all(|seed| {
        let mut roll = Roll::new(world, plan, seed);
        while roll.tick() {}
        roll.place();
        roll.turns.iter().all(|turn| *turn == Turn::Committed)
    })
}

impl<'p> Roll<'p> {
    fn new(world: &'p World, plan: &'p Plan, seed: u64) -> Self {
        Self {
            world,
            plan,
            turns: vec![Turn::Pending; plan.steps.len()],
            step_of: plan.steps.iter().enumerate().map(|(index, step)| (&step.host, index)).collect(),
            at: world.guests().filter(|guest| guest.running).map(|guest| (&guest.id, &guest.host)).collect(),
            load: world.hosts().map(|host| (&host.id, world.load_of(&host.id).0)).collect(),
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// One random thing that the rules allow; false if there is none.
    fn tick(&mut self) -> bool {
        let able: Vec<usize> = (0..self.turns.len()).filter(|&step| self.may_go_on(step)).collect();
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let Some(count) = u64::try_from(able.len()).ok().filter(|count| *count > 0) else { return false };
        let step = able[usize::try_from((self.random >> 33) % count).unwrap()];
        self.turns[step] = match self.turns[step] {
            Turn::Pending => Turn::Draining(0),
            Turn::Draining(done) if done < self.plan.steps[step].moves.len() => {
                self.move_guest(step, done);
                Turn::Draining(done + 1)
            }
            Turn::Draining(_) => {
                let step = &self.plan.steps[step];
                let down: u64 = step.stops.iter().map(|stop| stop.memory.0).sum();
                assert_eq!(self.load[&step.host], down, "a host without a running guest is upgraded");
                for stop in &step.stops {
                    assert_eq!(self.at[&stop.guest], &step.host, "a guest that is stopped stays on its host");
                }
                Turn::Upgrading
            }
            Turn::Upgrading | Turn::Committed => Turn::Committed,
        };
        true
    }

    fn may_go_on(&self, step: usize) -> bool {
        match self.turns[step] {
            Turn::Pending => self.may_start(step),
            Turn::Draining(_) | Turn::Upgrading => true,
            Turn::Committed => false,
        }
    }

    /// Whether the policy puts the host of a step last.
    fn goes_last(&self, step: usize) -> bool {
        let (policy, host) = (&self.plan.policy, &self.plan.steps[step].host);
        policy.last.contains(host)
            || (policy.order == Order::CoordinatorLast && self.world.coordinator() == Some(host))
    }

    fn in_flight(&self) -> impl Iterator<Item = usize> {
        let running = |turn: &Turn| matches!(turn, Turn::Draining(_) | Turn::Upgrading);
        self.turns.iter().enumerate().filter(move |(_, turn)| running(turn)).map(|(step, _)| step)
    }

    fn may_start(&self, step: usize) -> bool {
        let domain =
            |step: usize| self.world.host(&self.plan.steps[step].host).unwrap().fault_domain.as_ref();
        let limit = usize::try_from(self.plan.figures.peak_hosts_down.planned).unwrap();
        let racks = self.plan.policy.one_per_fault_domain && domain(step).is_some();
        let first = step == 0 || self.turns[0] == Turn::Committed;
        let targets = self.plan.steps[step].moves.iter().filter_map(|each| self.step_of.get(&each.to));
        let targets_ready = targets.filter(|other| **other < step).all(|&t| self.turns[t] == Turn::Committed);
        let drained = |other: usize| matches!(self.turns[other], Turn::Upgrading | Turn::Committed);
        let sources = (0..step).filter(|&other| {
            self.plan.steps[other].moves.iter().any(|each| each.to == self.plan.steps[step].host)
        });
        let sources_ready = sources.into_iter().all(drained);
        let before = !self.goes_last(step) || (0..step).all(|other| self.turns[other] == Turn::Committed);
        first
            && before
            && targets_ready
            && sources_ready
            && self.in_flight().count() < limit
            && !(racks && self.in_flight().any(|other| domain(other) == domain(step)))
    }

    fn move_guest(&mut self, step: usize, done: usize) {
        let each = &self.plan.steps[step].moves[done];
        assert_eq!(self.at[&each.guest], &each.from, "{} is where the plan expects it", each.guest);
        let to = self.world.host(&each.to).unwrap();
        let serves = self.step_of.get(&each.to).is_none_or(|&other| {
            (other < step && self.turns[other] == Turn::Committed)
                || (other > step && self.turns[other] == Turn::Pending)
        });
        assert!(serves && to.reachable && !to.maintenance, "{} serves when {} arrives", each.to, each.guest);
        self.arrive(each);
    }

    /// The moves after the last host, in their order.
    fn place(&mut self) {
        for each in &self.plan.placement {
            assert_eq!(self.at[&each.guest], &each.from, "{} is where the plan expects it", each.guest);
            let runs = self.world.host(&each.to).unwrap().running == Some(self.plan.target.digest);
            assert!(runs || self.step_of.contains_key(&each.to), "{} ends on the release", each.guest);
            self.arrive(each);
        }
    }

    fn arrive(&mut self, each: &'p Move) {
        let (guest, to) = (self.world.guest(&each.guest).unwrap(), self.world.host(&each.to).unwrap());
        assert!(guest.movable == Movable::Yes && to.reachable && !to.maintenance, "{} can move", each.guest);
        assert!(guest.needs.is_subset(&to.offers), "{} finds on {} what it needs", each.guest, to.id);
        let group = guest.keep_apart.as_ref();
        let meets = self.at.iter().find(|(other, at)| {
            **at == &to.id && group.is_some() && self.world.guest(other).unwrap().keep_apart.as_ref() == group
        });
        assert!(meets.is_none(), "{} meets {meets:?} on {}", each.guest, to.id);
        *self.load.get_mut(&each.from).unwrap() -= each.memory.0;
        *self.load.get_mut(&each.to).unwrap() += each.memory.0;
        assert!(self.load[&to.id] <= to.memory.0, "{} fits on {}", each.guest, to.id);
        self.at.insert(&each.guest, &each.to);
    }
}

#[test]
fn a_spilling_plan_is_safe_in_any_order() {
    let world = random_pool(16, 256, 70, 4).world();
    let policy = lifeboat_model::Policy { spill: 4, ..at_once(5) };
    let plan = planned(&world, &policy, &Options::default());
    assert!(plan_is_safe_in_any_order(&world, &plan, 50));
}

#[test]
fn a_plan_on_unequal_hosts_is_safe_in_any_order() {
    let mut pool = Pool::default();
    for (index, gib) in [64, 64, 128, 32, 256, 128, 64].into_iter().enumerate() {
        pool = pool.host(&format!("h{index}"), gib).with(&[gib / 4, gib / 8, gib / 8]);
    }
    let world = pool.coordinator("h4").world();
    let plan = planned(&world, &at_once(3), &Options::default());
    assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
    let hosts: BTreeSet<_> = plan.steps.iter().map(|step| &step.host).collect();
    assert_eq!(hosts.len(), 7);
    assert!(plan_is_safe_in_any_order(&world, &plan, 200));
}
