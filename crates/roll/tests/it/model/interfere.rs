//! What comes from outside: time, persons.

use lifeboat_model::{Effect, EventKind, GuestView, HostId, OperatorVerb, RollEnd};
use lifeboat_roll::Status;

use super::act::Act;
use super::machine::Machine;
use super::state::{Seen, State};
use super::watch::lose_ears;

impl Machine {
    pub(crate) fn time(&self, state: &State, actions: &mut Vec<Act>) {
        let busy = state.busy();
        let slow = busy && state.left.slow > 0;
        if ((!busy && state.news.is_empty()) || slow) && self.needs_time(state) {
            actions.push(Act::Tick);
        }
    }

    pub(crate) fn persons(&self, state: &State, ended: bool, actions: &mut Vec<Act>) {
        let left = &state.left;
        let journal = &state.fold.journal;
        let stopped = matches!(journal.status(), Status::Ended(RollEnd::Stopped { .. }));
        if left.verbs > 0 && (!ended || stopped) {
            // A roll that has ended has no controller that could leave it.
            let verbs = self.scene.verbs.iter().enumerate();
            let may = verbs.filter(|(_, verb)| !ended || **verb != OperatorVerb::HandOver);
            actions.extend(may.map(|(at, _)| Act::Verb(at)));
        }
        if left.touches > 0 && !ended {
            for &kind in &self.scene.plan.suspends {
                // A driver compares and sets: while an order about the feature is under way there is no telling.
                let about = |effect: &Effect| {
                    matches!(effect, Effect::SuspendFeature { feature, .. } | Effect::RestoreFeature { feature, .. }
                        if *feature == kind)
                };
                if !state.under_way.values().any(|order| about(&order.effect)) {
                    actions.extend((0..self.scene.values.len()).map(|at| Act::Touch(kind, at)));
                }
            }
        }
        if left.strays > 0 && !ended {
            actions.extend(
                state
                    .world()
                    .hosts()
                    .filter(|host| stray(state, &host.id).is_some())
                    .map(|host| Act::Stray(host.id.clone())),
            );
        }
        if let (true, false, Some(window)) = (left.windows > 0, ended, journal.window()) {
            actions.push(Act::Window(!window.open));
        }
    }

    pub(crate) fn verb(&self, state: &mut State, at: usize) {
        state.left.verbs -= 1;
        let verb: OperatorVerb = self.scene.verbs[at].clone();
        if self.compare {
            state.luck.push(format!("{verb:?}"));
        }
        let order = EventKind::Operator { verb, who: "model".to_owned() };
        if matches!(state.fold.journal.status(), Status::Ended(_)) {
            // A roll that has ended is taken up by a new controller, which hears the order first.
            state.fence += 1;
            let started = EventKind::ControllerStarted { holder: "model".to_owned() };
            return self.record(state, &[started, order]);
        }
        let leaves = self.scene.verbs[at] == OperatorVerb::HandOver;
        self.record(state, &[order]);
        if leaves {
            state.leader = None;
            lose_ears(state);
        }
    }

    pub(crate) fn bring_stray(state: &mut State, host: &HostId) {
        state.left.strays -= 1;
        let Some(guest) = stray(state, host) else { return };
        let mut world = state.world().clone();
        world.set_guest(guest).unwrap();
        state.seen = Seen::new(world);
    }
}

/// The guest that a person brings to a host in maintenance, as it is there. A driver does not let one come to a host
/// that it is about to reboot, nor while the guest is being moved.
fn stray(state: &State, to: &HostId) -> Option<GuestView> {
    let world = state.world();
    let host = world.host(to).filter(|host| host.reachable && host.maintenance)?;
    let about = |effect: &Effect| matches!(effect, Effect::RebootInto { host, .. } | Effect::Restart { host, .. } if host == to);
    if state.under_way.values().any(|order| about(&order.effect)) {
        return None;
    }
    let mut guests = world.guests().filter(|guest| guest.running && guest.host != *to);
    let guest = guests.find(|guest| {
        let about = format!("/{}", guest.id);
        !state.under_way.keys().any(|key| key.0.ends_with(&about))
    })?;
    (world.load_of(to).0 + guest.memory.0 <= host.memory.0)
        .then(|| GuestView { host: to.clone(), ..guest.clone() })
}
