//! The replay: every move of a plan on the pool, one after the other.
//!
//! Owns: where every guest is after every move, and what is wrong with a move. Promises: what is found to fit holds
//! for every order of steps that the rules in the crate documentation allow, since a target only gains guests until
//! its own turn. Does not: check lists and figures.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_model::{
    Finding, GuestId, GuestStop, GuestStrategy, GuestView, HostId, HostView, Movable, Move, Plan, PlanStep,
    World,
};

use super::{blocker, codes, placement};

/// What the replay counted.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) moves: u64,
    pub(super) moved: u64,
    pub(super) most_moves: u32,
}

/// The pool at one point of the plan.
pub(super) struct State<'w> {
    pub(super) world: &'w World,
    pub(super) plan: &'w Plan,
    pub(super) at: BTreeMap<&'w GuestId, &'w HostId>,
    on: BTreeMap<&'w HostId, BTreeSet<&'w GuestId>>,
    pub(super) load: BTreeMap<&'w HostId, u64>,
    pub(super) moves_of: BTreeMap<&'w GuestId, u32>,
    /// Hosts that run the release at this point.
    pub(super) upgraded: BTreeSet<&'w HostId>,
    /// Hosts of the wave that is replayed.
    wave: BTreeSet<&'w HostId>,
    /// Hosts that took a guest in this wave.
    took: BTreeSet<&'w HostId>,
}

/// Replays `plan` and adds what is wrong.
pub(super) fn run(world: &World, plan: &Plan, findings: &mut Vec<Finding>) -> Replay {
    let mut state = State {
        world,
        plan,
        at: BTreeMap::new(),
        on: BTreeMap::new(),
        load: BTreeMap::new(),
        moves_of: BTreeMap::new(),
        upgraded: BTreeSet::new(),
        wave: BTreeSet::new(),
        took: BTreeSet::new(),
    };
    for guest in world.guests().filter(|guest| guest.running) {
        state.at.insert(&guest.id, &guest.host);
        state.on.entry(&guest.host).or_default().insert(&guest.id);
        *state.load.entry(&guest.host).or_default() += guest.memory.0;
    }
    let current = world.hosts().filter(|host| host.running == Some(plan.target.digest));
    state.upgraded.extend(current.map(|host| &host.id));
    let mut counts = Replay::default();
    for wave in plan.steps.chunk_by(|a, b| a.wave == b.wave) {
        state.wave = wave.iter().map(|step| &step.host).collect();
        state.took.clear();
        for step in wave {
            state.step(step, &mut counts, findings);
        }
        state.upgraded.extend(wave.iter().map(|step| &step.host));
    }
    state.check_counts(findings);
    state.wave.clear();
    placement::run(&mut state, &mut counts, findings);
    counts.most_moves = state.moves_of.values().copied().max().unwrap_or(0);
    counts
}

impl<'w> State<'w> {
    fn step(&mut self, step: &'w PlanStep, counts: &mut Replay, findings: &mut Vec<Finding>) {
        if self.took.contains(&step.host) {
            let evidence = "it takes guests in the wave in which it is drained".to_owned();
            findings.push(blocker(codes::MOVE_TO, step.host.as_str(), evidence));
        }
        for each in &step.moves {
            counts.moves += 1;
            counts.moved = counts.moved.saturating_add(each.memory.0);
            self.one_move(step, each, findings);
        }
        for stop in &step.stops {
            self.one_stop(step, stop, findings);
        }
        let stopped: BTreeSet<&GuestId> = step.stops.iter().map(|stop| &stop.guest).collect();
        let left = self.on.get(&step.host).into_iter().flatten().filter(|guest| !stopped.contains(**guest));
        let left: Vec<&str> = left.map(|id| id.as_str()).collect();
        if !left.is_empty() {
            let evidence =
                format!("{} guests still run on it when it is upgraded: {}", left.len(), left.join(", "));
            findings.push(blocker(codes::NOT_DRAINED, step.host.as_str(), evidence));
        }
    }

    /// A guest that is down while its host is upgraded. It stays in the load of its host, where it starts again.
    fn one_stop(&self, step: &PlanStep, stop: &GuestStop, findings: &mut Vec<Finding>) {
        let subject = stop.guest.as_str();
        let Some(guest) = self.world.guest(&stop.guest).filter(|guest| guest.running) else {
            let evidence = "no guest of this name runs in the pool".to_owned();
            findings.push(blocker(codes::UNKNOWN_GUEST, subject, evidence));
            return;
        };
        if step.moves.iter().any(|each| each.guest == stop.guest) {
            let evidence = format!("the turn of {} moves it away and stops it", step.host);
            findings.push(blocker(codes::MOVED_AND_STOPPED, subject, evidence));
        } else if self.at.get(&stop.guest) != Some(&&step.host)
            || stop.memory != guest.memory
            || step.stops.iter().filter(|other| other.guest == stop.guest).count() > 1
        {
            let at = self.at.get(&stop.guest).map_or("nowhere", |host| host.as_str());
            let evidence = format!(
                "it ({}) is to be down once while {} is upgraded; it is on {at} and takes {}",
                stop.memory, step.host, guest.memory
            );
            findings.push(blocker(codes::STOP_FROM, subject, evidence));
        }
        let strategy = self.plan.policy.strategy_of(&guest.id, guest.movable == Movable::Yes);
        let asked = match strategy {
            GuestStrategy::StopStart => !stop.by_owner,
            GuestStrategy::Leave => stop.by_owner,
            GuestStrategy::Migrate | GuestStrategy::Forbid => false,
        };
        if !asked {
            let who = if stop.by_owner { "its owner" } else { "the roll" };
            let evidence = format!("{who} is to shut it down, and the policy says {strategy}");
            findings.push(blocker(codes::STOP_WITHOUT_RULE, subject, evidence));
        }
    }

    /// A move in the turn of a host.
    fn one_move(&mut self, step: &'w PlanStep, each: &'w Move, findings: &mut Vec<Finding>) {
        if each.from != step.host {
            let evidence = format!("the turn of {} moves it from {}", step.host, each.from);
            findings.push(blocker(codes::MOVE_FROM, each.guest.as_str(), evidence));
        }
        self.go(each, findings);
    }

    /// One move, wherever it stands in the plan.
    pub(super) fn go(&mut self, each: &'w Move, findings: &mut Vec<Finding>) {
        let subject = each.guest.as_str();
        let (Some(guest), Some(&at)) = (self.world.guest(&each.guest), self.at.get(&each.guest)) else {
            let evidence = "no guest of this name runs in the pool".to_owned();
            findings.push(blocker(codes::UNKNOWN_GUEST, subject, evidence));
            return;
        };
        if *at != each.from || each.memory != guest.memory {
            let evidence = format!(
                "it ({}) is to go from {}; it is on {at} and takes {}",
                each.memory, each.from, guest.memory
            );
            findings.push(blocker(codes::MOVE_FROM, subject, evidence));
        }
        match &guest.movable {
            Movable::Yes => {}
            Movable::No { reason } => {
                findings.push(blocker(codes::NOT_MOVABLE, subject, format!("it cannot be moved: {reason}")));
            }
        }
        let strategy = self.plan.policy.strategy_of(&guest.id, guest.movable == Movable::Yes);
        if strategy != GuestStrategy::Migrate {
            let evidence = format!("it goes to {}, and the policy says {strategy}", each.to);
            findings.push(blocker(codes::MOVE_AGAINST_RULE, subject, evidence));
        }
        let Some(to) = self.world.host(&each.to) else {
            findings.push(blocker(
                codes::UNKNOWN_HOST,
                each.to.as_str(),
                format!("guest {subject} goes there"),
            ));
            return;
        };
        self.check_target(at, guest, to, findings);
        if let Some(there) = self.on.get_mut(at) {
            there.remove(&each.guest);
        }
        if let Some(load) = self.load.get_mut(at) {
            *load = load.saturating_sub(guest.memory.0);
        }
        self.at.insert(&guest.id, &to.id);
        self.on.entry(&to.id).or_default().insert(&guest.id);
        let load = self.load.entry(&to.id).or_default();
        *load = load.saturating_add(guest.memory.0);
        if *load > to.memory.0 {
            let evidence = format!("guest {subject} brings its load to {load} MiB of {} MiB", to.memory.0);
            findings.push(blocker(codes::CAPACITY, to.id.as_str(), evidence));
        }
        *self.moves_of.entry(&guest.id).or_default() += 1;
        self.took.insert(&to.id);
    }

    fn check_target(&self, at: &HostId, guest: &GuestView, to: &'w HostView, findings: &mut Vec<Finding>) {
        let subject = guest.id.as_str();
        let refused = if to.id == *at {
            Some("it is there already")
        } else if !to.reachable {
            Some("that host does not answer")
        } else if to.maintenance {
            Some("that host is in maintenance")
        } else if self.wave.contains(&to.id) {
            Some("that host has its turn in the same wave")
        } else {
            None
        };
        if let Some(why) = refused {
            findings.push(blocker(codes::MOVE_TO, subject, format!("it goes to {}: {why}", to.id)));
        }
        if self.upgraded.contains(at) && !self.upgraded.contains(&to.id) {
            let evidence = format!("it goes from {at}, which runs the release, to {}, which does not", to.id);
            findings.push(blocker(codes::BACKWARD, subject, evidence));
        }
        let lacking: Vec<&str> =
            guest.needs.iter().filter(|need| !to.offers.contains(*need)).map(String::as_str).collect();
        if !lacking.is_empty() {
            let evidence = format!("it goes to {}, which does not offer {}", to.id, lacking.join(", "));
            findings.push(blocker(codes::LACKS, subject, evidence));
        }
        let Some(group) = guest.keep_apart.as_deref() else { return };
        let others = self.on.get(&to.id).into_iter().flatten().filter(|other| ***other != guest.id);
        for other in others.filter_map(|other| self.world.guest(other)) {
            if other.keep_apart.as_deref() == Some(group) {
                let evidence = format!("on {} it meets {}, also of group {group}", to.id, other.id);
                findings.push(blocker(codes::KEEP_APART, subject, evidence));
            }
        }
    }

    /// Two moves are the most that a first host on old hosts can cause; every guest that spills may need one more.
    fn check_counts(&self, findings: &mut Vec<Finding>) {
        let allowed = if self.plan.policy.spill == 0 { 2 } else { 3 };
        for (guest, &moves) in self.moves_of.iter().filter(|(_, moves)| **moves > allowed) {
            let evidence = format!("it moves {moves} times; {allowed} are enough");
            findings.push(blocker(codes::TOO_MANY_MOVES, guest.as_str(), evidence));
        }
    }
}
