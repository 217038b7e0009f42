//! Moving running guests.
//!
//! Promises: while a guest moves its memory counts on both hosts; it runs on exactly one of them at any time, and
//! on the old one if the move fails.

use lifeboat_model::{EffectKey, GuestId, HostId, Mib, Movable, Timestamp};

use super::banks::Refusal;
use super::effects::Begin;
use super::pool::SimPool;
use super::state::Guest;

impl SimPool {
    pub(super) fn begin_move(&mut self, id: &GuestId, from: &HostId, to: &HostId) -> Result<Begin, Refusal> {
        if let Some(other) = self.moving.get(id) {
            return Err(Refusal::for_now(format!("{id} is on its way already ({other})")));
        }
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
        match self.state.movable(id, guest) {
            Movable::Yes => {}
            Movable::No { reason } => return Err(Refusal::firm(format!("{id} cannot be moved: {reason}"))),
        }
        let (memory, apart) = (guest.memory, guest.keep_apart.clone());
        self.host_up(from)?;
        let target = self.host_up(to)?;
        if target.maintenance {
            return Err(Refusal::firm(format!("{to} is in maintenance and takes no guests")));
        }
        self.room_for(id, memory, to)?;
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

    /// Whether a host has the memory for a guest and offers what it needs.
    pub(super) fn room_for(&self, id: &GuestId, memory: Mib, on: &HostId) -> Result<(), Refusal> {
        let host = self.host_up(on)?;
        let used = self.load.get(on).copied().unwrap_or_default();
        if used + memory > host.memory {
            let (all, free) = (host.memory, host.memory.saturating_sub(used));
            return Err(Refusal::for_now(format!("{id} needs {memory}; {on} has {free} of {all} free")));
        }
        let needs = self.state.conditions.needs(id);
        if needs.is_empty() {
            return Ok(());
        }
        let offers = self.state.offers(on, host);
        match needs.into_iter().find(|need| !offers.contains(need)) {
            None => Ok(()),
            Some(need) => Err(Refusal::firm(format!("{id} needs {need}, which {on} does not offer"))),
        }
    }

    /// A guest on `host`, or on its way there, that `id` must not share a host with.
    pub(super) fn apart_on(&self, host: &HostId, id: &GuestId, group: Option<&str>) -> Option<&GuestId> {
        let group = group?;
        let coming = self.arriving.get(host).into_iter().flatten();
        let there = self.on_host.get(host).into_iter().flatten();
        there.chain(coming).filter(|other| *other != id).find(|other| {
            self.state.guests.get(*other).is_some_and(|other| other.keep_apart.as_deref() == Some(group))
        })
    }

    pub(super) fn end_move(
        &mut self,
        id: &GuestId,
        from: &HostId,
        to: &HostId,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let outcome = self.judge_move(id, from, to);
        let memory = self.guest(id)?.memory;
        let Some(guest) = self.state.guests.get_mut(id) else { return outcome };
        if outcome.is_ok() {
            guest.life.moves += 1;
            self.free(from, memory);
            self.settle_on(id, to);
            self.emptied(from, now);
        } else {
            guest.life.failed_moves += 1;
            self.free(to, memory);
        }
        outcome
    }

    /// A guest is on another host from now on.
    pub(super) fn settle_on(&mut self, id: &GuestId, to: &HostId) {
        let Some(guest) = self.state.guests.get_mut(id) else { return };
        let from = std::mem::replace(&mut guest.host, to.clone());
        if let Some(there) = self.on_host.get_mut(&from) {
            there.remove(id);
        }
        self.on_host.entry(to.clone()).or_default().insert(id.clone());
        self.tell_guest(id);
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
        if !self.state.faults.strikes_migration(id) {
            return Ok(format!("{id} runs on {to}"));
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
        // Moves from here are of guests that are here; moves to here are on their way here.
        let near = [self.on_host.get(down), self.arriving.get(down)];
        let broken: Vec<(EffectKey, GuestId, HostId)> = near
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|guest| {
                let key = self.moving.get(guest)?;
                let (guest, _, to) = self.state.jobs.get(key)?.effect.migration()?;
                Some((key.clone(), guest.clone(), to.clone()))
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
