//! Moving running guests.
//!
//! Promises: while a guest moves its memory counts on both hosts; it runs on exactly one of them at any time, and
//! on the old one if the move fails.

use lifeboat_model::{EffectKey, GuestId, HostId, Mib, Movable};

use super::banks::Refusal;
use super::effects::Begin;
use super::fault::Fault;
use super::pool::SimPool;
use super::state::Guest;

impl SimPool {
    pub(super) fn begin_move(&mut self, id: &GuestId, from: &HostId, to: &HostId) -> Result<Begin, Refusal> {
        let guest = self.guest(id)?;
        if guest.host == *to {
            return Ok(Begin::Already(format!("{id} is on {to}")));
        }
        if guest.host != *from {
            return Err(Refusal::firm(format!("{id} is on {}, not on {from}", guest.host)));
        }
        if !guest.running {
            return Err(Refusal::firm(format!("{id} does not run, so it cannot be moved while it runs")));
        }
        match &guest.movable {
            Movable::Yes => {}
            Movable::No { reason } => return Err(Refusal::firm(format!("{id} cannot be moved: {reason}"))),
        }
        let (memory, apart) = (guest.memory, guest.keep_apart.clone());
        self.host_up(from)?;
        let target = self.host_up(to)?;
        if target.maintenance {
            return Err(Refusal::firm(format!("{to} is in maintenance and takes no guests")));
        }
        let used = self.load.get(to).copied().unwrap_or_default();
        if used + memory > target.memory {
            let (all, free) = (target.memory, target.memory.saturating_sub(used));
            return Err(Refusal::for_now(format!("{id} needs {memory}; {to} has {free} of {all} free")));
        }
        if let Some(other) = self.apart_on(to, id, apart.as_deref()) {
            return Err(Refusal::firm(format!("{id} must be kept apart from {other}, which is on {to}")));
        }
        *self.load.entry(to.clone()).or_default() += memory;
        let time = self.state.spec.times.migration(memory);
        Ok(Begin::Takes(self.duration(time, &format!("migrate/{id}"), Some(from))))
    }

    pub(super) fn guest(&self, id: &GuestId) -> Result<&Guest, Refusal> {
        self.state
            .guests
            .get(id)
            .ok_or_else(|| Refusal::firm(format!("pool {} has no guest {id}", self.state.pool)))
    }

    /// A guest on `host`, or on its way there, that `id` must not share a host with.
    fn apart_on(&self, host: &HostId, id: &GuestId, group: Option<&str>) -> Option<&GuestId> {
        let group = group?;
        let coming = self.state.jobs.values().filter_map(|job| {
            job.effect.migration().filter(|(_, _, to)| *to == host).map(|(guest, _, _)| guest)
        });
        let there = self.on_host.get(host).into_iter().flatten();
        there.chain(coming).filter(|other| *other != id).find(|other| {
            self.state.guests.get(*other).is_some_and(|other| other.keep_apart.as_deref() == Some(group))
        })
    }

    pub(super) fn end_move(&mut self, id: &GuestId, from: &HostId, to: &HostId) -> Result<String, Refusal> {
        let outcome = self.judge_move(id, from, to);
        let memory = self.guest(id)?.memory;
        let Some(guest) = self.state.guests.get_mut(id) else { return outcome };
        if outcome.is_ok() {
            guest.host = to.clone();
            guest.life.moves += 1;
            self.free(from, memory);
            if let Some(there) = self.on_host.get_mut(from) {
                there.remove(id);
            }
            self.on_host.entry(to.clone()).or_default().insert(id.clone());
            self.tell_guest(id);
        } else {
            guest.life.failed_moves += 1;
            self.free(to, memory);
        }
        outcome
    }

    fn judge_move(&mut self, id: &GuestId, from: &HostId, to: &HostId) -> Result<String, Refusal> {
        let guest = self.guest(id)?;
        if guest.host != *from || !guest.running {
            return Err(Refusal::firm(format!("{id} does not run on {from} any more")));
        }
        self.host_up(from)?;
        if self.host_up(to)?.maintenance {
            return Err(Refusal::firm(format!("{to} entered maintenance meanwhile; {id} stayed on {from}")));
        }
        let strikes = self.state.faults.iter_mut().find_map(|fault| match fault {
            Fault::MigrationFails { guest, times } if guest == id => Some(times),
            Fault::MigrationFails { .. }
            | Fault::NoBoot { .. }
            | Fault::NeverReturns { .. }
            | Fault::CoordinatorLost { .. }
            | Fault::DiskError { .. }
            | Fault::NeverEnds { .. }
            | Fault::Slow { .. } => None,
        });
        match strikes {
            None | Some(Some(0)) => return Ok(format!("{id} runs on {to}")),
            Some(None) => {}
            Some(Some(times)) => *times -= 1,
        }
        Err(Refusal::for_now(format!(
            "the move of {id} to {to} broke off (a fault that was ordered); it stayed on {from}"
        )))
    }

    /// The host loses so much load.
    pub(super) fn free(&mut self, host: &HostId, memory: Mib) {
        if let Some(load) = self.load.get_mut(host) {
            *load = load.saturating_sub(memory);
        }
    }

    /// A host goes down: moves from it and to it end, and guests that run on it are lost.
    pub(super) fn break_moves(&mut self, down: &HostId) {
        let broken: Vec<(EffectKey, GuestId, HostId)> = self
            .state
            .jobs
            .iter()
            .filter_map(|(key, job)| {
                let (guest, from, to) = job.effect.migration()?;
                (from == down || to == down).then(|| (key.clone(), guest.clone(), to.clone()))
            })
            .collect();
        for (key, id, to) in broken {
            if let Some(guest) = self.state.guests.get_mut(&id) {
                guest.life.failed_moves += 1;
                let memory = guest.memory;
                self.free(&to, memory);
            }
            self.cut_short(&key, Err(Refusal::for_now(format!("{down} went down during the move of {id}"))));
        }
    }
}
