//! Shutting guests down and starting them, and what the pool does so by itself.
//!
//! Promises: a guest that is shut down stays on its host and takes no memory; it is started where it is, if there is
//! room; what somebody else did meanwhile is found and not done again. By itself the pool starts guests only where a
//! feature says so: HA elsewhere after their host went down (I-22), auto power-on with their host.

use lifeboat_model::{FeatureKind, FeatureView, GuestId, HostId, Timestamp};

use super::banks::Refusal;
use super::condition::GuestCondition;
use super::effects::Begin;
use super::pool::{SimPool, Timer};
use super::state::Power;

fn told(id: &GuestId, run: bool) -> String {
    format!("{id} {}", if run { "runs" } else { "is shut down" })
}

impl SimPool {
    pub(super) fn begin_power(&mut self, id: &GuestId, on: &HostId, run: bool) -> Result<Begin, Refusal> {
        let guest = self.guest(id)?;
        if guest.running == run {
            return Ok(Begin::Already(told(id, run)));
        }
        if guest.host != *on {
            return Err(Refusal::firm(format!("{id} is on {}, not on {on}", guest.host)));
        }
        if let Some(other) = self.moving.get(id) {
            return Err(Refusal::for_now(format!("{id} is on its way ({other})")));
        }
        let (memory, apart) = (guest.memory, guest.keep_apart.clone());
        let target = self.host_up(on)?;
        if run {
            if target.maintenance {
                return Err(Refusal::for_now(format!("{on} is in maintenance and starts no guests")));
            }
            self.room_for(id, memory, on)?;
            let apart = apart.as_deref().and_then(|group| self.apart_on(on, id, Some(group)));
            if let Some(other) = apart.filter(|other| self.guest(other).is_ok_and(|other| other.running)) {
                return Err(Refusal::firm(format!("{id} must be kept apart from {other}, which is on {on}")));
            }
            *self.load.entry(on.clone()).or_default() += memory;
        }
        let time = self.state.spec.times.guest;
        Ok(Begin::Takes(self.duration(time, &format!("power/{id}"), Some(on))))
    }

    pub(super) fn end_power(
        &mut self,
        id: &GuestId,
        on: &HostId,
        run: bool,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let (memory, running, host) = {
            let guest = self.guest(id)?;
            (guest.memory, guest.running, guest.host.clone())
        };
        if run {
            // The room that was taken for it; it is taken again below if it starts.
            self.free(on, memory);
        }
        if host != *on {
            return Err(Refusal::firm(format!("{id} went to {host} meanwhile")));
        }
        self.host_up(on)?;
        if running == run {
            return Ok(format!("{}, by somebody else's hand", told(id, run)));
        }
        self.switch_guest(id, run, now);
        Ok(told(id, run))
    }

    /// A guest runs, or does not run, from now on, where it is.
    pub(super) fn switch_guest(&mut self, id: &GuestId, run: bool, now: Timestamp) {
        let Some(guest) = self.state.guests.get_mut(id).filter(|guest| guest.running != run) else { return };
        guest.running = run;
        let (memory, host) = (guest.memory, guest.host.clone());
        if run {
            guest.life.restarts += 1;
            *self.load.entry(host).or_default() += memory;
        } else {
            guest.life.stops += 1;
            self.free(&host, memory);
            self.emptied(&host, now);
        }
        self.tell_guest(id);
    }

    /// Whether an automatism of the pool is on.
    pub(super) fn is_on(&self, kind: FeatureKind) -> bool {
        self.state.features.get(&kind).is_some_and(|value| value != FeatureView::OFF)
    }

    fn runs_none(&self, host: &HostId) -> bool {
        let running = |id: &GuestId| self.state.guests.get(id).is_some_and(|guest| guest.running);
        !self.on_host.get(host).into_iter().flatten().any(running)
    }

    /// A guest left a host: power management looks whether it is still needed (I-02).
    pub(super) fn emptied(&mut self, host: &HostId, now: Timestamp) {
        if !self.is_on(FeatureKind::PowerManagement) || !self.runs_none(host) {
            return;
        }
        let due = self.schedule(now.after(self.state.spec.times.idle), Timer::Idle(host.clone()));
        if let Some(host) = self.state.hosts.get_mut(host) {
            host.idle = Some(due);
        }
    }

    /// Power management switches a host off that was idle for its time.
    pub(super) fn idle_timer(&mut self, id: &HostId, seq: u64) {
        let Some(host) = self.state.hosts.get_mut(id) else { return };
        if host.idle.is_none_or(|(_, planned)| planned != seq) {
            return;
        }
        host.idle = None;
        let needed = host.power != Power::Up || self.state.coordinator.as_ref() == Some(id);
        let coming = self.arriving.get(id).is_some_and(|coming| !coming.is_empty());
        if needed || coming || !self.is_on(FeatureKind::PowerManagement) || !self.runs_none(id) {
            return;
        }
        self.die(id, "power management switched it off, since no guest ran on it".to_owned());
    }

    /// HA: a guest whose host went down is started elsewhere, if HA is on then.
    pub(super) fn plan_restart(&mut self, id: &GuestId, now: Timestamp) {
        if self.is_on(FeatureKind::Ha) {
            let due = self.schedule(now.after(self.state.spec.times.ha), Timer::Restart(id.clone()));
            self.state.restarts.insert(id.clone(), due);
        }
    }

    /// The time of a restart has come.
    pub(super) fn restart_timer(&mut self, id: &GuestId, seq: u64, now: Timestamp) {
        if self.state.restarts.get(id).is_none_or(|(_, planned)| *planned != seq) {
            return;
        }
        self.state.restarts.remove(id);
        let Ok(guest) = self.guest(id) else { return };
        if guest.running || !self.is_on(FeatureKind::Ha) {
            return;
        }
        let memory = guest.memory;
        let mut best = None;
        for (name, host) in &self.state.hosts {
            if host.maintenance || self.room_for(id, memory, name).is_err() {
                continue;
            }
            let free = host.memory.saturating_sub(self.load.get(name).copied().unwrap_or_default());
            if best.as_ref().is_none_or(|(most, _)| free > *most) {
                best = Some((free, name.clone()));
            }
        }
        // Without room it stays down, and the next person finds it so.
        if let Some((_, host)) = best {
            self.settle_on(id, &host);
            self.switch_guest(id, true, now);
        }
    }

    /// A host came up: auto power-on starts its guests that are to start with it.
    pub(super) fn auto_start(&mut self, host: &HostId, now: Timestamp) {
        if !self.is_on(FeatureKind::AutoPowerOn) {
            return;
        }
        for id in self.on_host.get(host).cloned().unwrap_or_default() {
            let wanted = self.state.conditions.guest(&id).any(|is| *is == GuestCondition::AutoStart);
            let Some(guest) = self.state.guests.get(&id).filter(|guest| wanted && !guest.running) else {
                continue;
            };
            if self.room_for(&id, guest.memory, host).is_ok() {
                self.switch_guest(&id, true, now);
            }
        }
    }
}
