//! Shutting guests down and starting them.
//!
//! Promises: a guest that is shut down stays on its host and takes no memory; it is started where it is, if there is
//! room. Does not: start or stop anything by itself.

use lifeboat_model::{GuestId, HostId};

use super::banks::Refusal;
use super::effects::Begin;
use super::pool::SimPool;

impl SimPool {
    pub(super) fn begin_power(&mut self, id: &GuestId, on: &HostId, run: bool) -> Result<Begin, Refusal> {
        let (host, running, memory) = {
            let guest = self.guest(id)?;
            (guest.host.clone(), guest.running, guest.memory)
        };
        if running == run {
            return Ok(Begin::Already(format!("{id} {}", if run { "runs" } else { "is shut down" })));
        }
        if host != *on {
            return Err(Refusal::firm(format!("{id} is on {host}, not on {on}")));
        }
        let target = self.host_up(on)?;
        if run {
            if target.maintenance {
                return Err(Refusal::for_now(format!("{on} is in maintenance and starts no guests")));
            }
            let used = self.load.get(on).copied().unwrap_or_default();
            if used + memory > target.memory {
                let (all, free) = (target.memory, target.memory.saturating_sub(used));
                return Err(Refusal::for_now(format!("{id} needs {memory}; {on} has {free} of {all} free")));
            }
            *self.load.entry(on.clone()).or_default() += memory;
        }
        let time = self.state.spec.times.guest;
        Ok(Begin::Takes(self.duration(time, &format!("power/{id}"), Some(on))))
    }

    pub(super) fn end_power(&mut self, id: &GuestId, on: &HostId, run: bool) -> Result<String, Refusal> {
        let memory = self.guest(id)?.memory;
        if let Err(refusal) = self.host_up(on) {
            if run {
                self.free(on, memory);
            }
            return Err(refusal);
        }
        let Some(guest) = self.state.guests.get_mut(id) else {
            return Err(Refusal::firm(format!("{id} is gone")));
        };
        guest.running = run;
        if run {
            guest.life.restarts += 1;
        } else {
            guest.life.stops += 1;
            self.free(on, memory);
        }
        self.tell_guest(id);
        Ok(format!("{id} {}", if run { "runs" } else { "is shut down" }))
    }
}
