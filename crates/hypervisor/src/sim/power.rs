//! Power, firmware and boots of a host, and the agent that judges them.
//!
//! Promises: what boots is decided from the banks, one-shot boot first; a trial is blessed by the bank that runs
//! and by nothing else; guests on a host that goes down are recorded as lost.

use lifeboat_model::{Bank, BankState, HostId, Timestamp};

use super::banks::Refusal;
use super::condition::HostCondition;
use super::create::boot_id;
use super::effects::Begin;
use super::kernel::Behaviour;
use super::pool::{SimPool, Timer};
use super::state::{Host, LostGuest, Power};

/// So many boots in a row without coming up are a loop.
const LOOP: u32 = 10;

impl SimPool {
    pub(super) fn begin_reboot(
        &mut self,
        id: &HostId,
        bank: Bank,
        before: &str,
        now: Timestamp,
    ) -> Result<Begin, Refusal> {
        let host = self.state.hosts.get(id);
        let host = host.ok_or_else(|| Refusal::firm(format!("pool {} has no host {id}", self.state.pool)))?;
        match &host.power {
            Power::Up if host.boot_id != before => Ok(Begin::Already(self.told_boot(id))),
            Power::Up => {
                let unguarded = self.state.conditions.unguarded(id);
                // The install said that it was done, so nobody expects the refusal that would come (I-24).
                let unwritten = self.state.faults.nothing_installed(id) && !host.banks.is_bootable(bank);
                if host.active == bank && !unguarded {
                    return Err(Refusal::firm(format!(
                        "bank {bank} of {id} runs already; there is nothing to try"
                    )));
                }
                self.change_host(id, |host| {
                    // The watchdog is armed before the one-shot boot is set: a hang must not outlast it.
                    host.watchdog = true;
                    match (unwritten, unguarded) {
                        (true, _) => Ok(()),
                        (false, true) => host.banks.activate_unguarded(bank),
                        (false, false) => host.banks.activate(bank),
                    }
                })??;
                self.power_cycle(id, now);
                Ok(Begin::Waits)
            }
            Power::Settling { .. }
            | Power::Booting { .. }
            | Power::Stuck { .. }
            | Power::Dead { .. }
            | Power::Alone { .. } => Ok(Begin::Waits),
        }
    }

    /// A reboot into the bank that runs.
    pub(super) fn begin_restart(
        &mut self,
        id: &HostId,
        before: &str,
        now: Timestamp,
    ) -> Result<Begin, Refusal> {
        let host = self.state.hosts.get(id);
        let host = host.ok_or_else(|| Refusal::firm(format!("pool {} has no host {id}", self.state.pool)))?;
        match &host.power {
            Power::Up if host.boot_id != before => Ok(Begin::Already(self.told_boot(id))),
            Power::Up => {
                self.power_cycle(id, now);
                Ok(Begin::Waits)
            }
            Power::Settling { .. }
            | Power::Booting { .. }
            | Power::Stuck { .. }
            | Power::Dead { .. }
            | Power::Alone { .. } => Ok(Begin::Waits),
        }
    }

    /// The host goes down and firmware begins.
    pub(super) fn power_cycle(&mut self, id: &HostId, now: Timestamp) {
        self.break_moves(id);
        self.lose_guests(id, now);
        let time = self.duration(self.state.spec.times.boot, &format!("{id}/boot"), Some(id));
        let (due, seq) = self.schedule(now.after(time), Timer::Host(id.clone()));
        // A host that is not in the pool has no timer that could find it.
        let _ = self.change_host(id, |host| {
            host.power = Power::Booting { due, seq };
            host.boots += 1;
        });
    }

    /// Guests that run on a host that goes down are lost. A roll must never come here with any.
    fn lose_guests(&mut self, id: &HostId, now: Timestamp) {
        for guest_id in self.on_host.get(id).cloned().unwrap_or_default() {
            let Some(guest) = self.state.guests.get_mut(&guest_id).filter(|guest| guest.running) else {
                continue;
            };
            guest.running = false;
            guest.life.lost = true;
            let memory = guest.memory;
            self.state.lost.push(LostGuest { guest: guest_id.clone(), host: id.clone(), at: now });
            self.free(id, memory);
            self.tell_guest(&guest_id);
            self.plan_restart(&guest_id, now);
        }
    }

    /// Somebody cuts a host's power.
    pub(super) fn power_off(&mut self, id: &HostId, now: Timestamp) {
        self.break_moves(id);
        self.lose_guests(id, now);
        self.die(id, "it is switched off".to_owned());
    }

    /// The power or the boot of a host goes on.
    pub(super) fn host_timer(&mut self, id: &HostId, timer: u64, now: Timestamp) {
        let Some(host) = self.state.hosts.get(id) else { return };
        match host.power {
            Power::Booting { seq, .. } if seq == timer => self.firmware(id, now),
            Power::Stuck { seq, .. } if seq == timer => self.power_cycle(id, now),
            Power::Settling { seq, .. } if seq == timer => self.judge(id, now),
            // An entry of the queue that a reset made stale.
            Power::Booting { .. }
            | Power::Stuck { .. }
            | Power::Settling { .. }
            | Power::Up
            | Power::Dead { .. }
            | Power::Alone { .. } => {}
        }
    }

    fn firmware(&mut self, id: &HostId, now: Timestamp) {
        if let Some(reason) = self.never_returns(id) {
            return self.die(id, reason);
        }
        let no_boot = self.state.faults.no_boot(id);
        let Some(host) = self.state.hosts.get_mut(id) else { return };
        let trial = host.banks.trial();
        host.cycles += 1;
        if host.cycles > LOOP {
            return self.die(id, format!("it booted {LOOP} times in a row without coming up"));
        }
        let booted = match host.banks.boot(host.boots) {
            Ok(booted) => booted,
            Err(refusal) => return self.die(id, refusal.reason),
        };
        let on_trial = trial == Some(booted.bank);
        let behaviour = if on_trial && no_boot { Behaviour::Panic } else { booted.kernel.on(id) };
        let times = self.state.spec.times.clone();
        match behaviour {
            Behaviour::Panic => self.stick(id, now.after(times.panic)),
            Behaviour::Hang if host.watchdog => self.stick(id, now.after(times.watchdog)),
            Behaviour::Hang => self.die(id, format!("bank {} hangs, and no watchdog is armed", booted.bank)),
            Behaviour::Good | Behaviour::Unhealthy => {
                host.boot_id = boot_id(self.state.spec.seed, id, host.boots);
                host.active = booted.bank;
                host.running = booted.release;
                let failed = host.banks.state(booted.bank) == BankState::Failed;
                if on_trial {
                    let time = self.duration(times.health, &format!("{id}/health"), Some(id));
                    let (due, seq) = self.schedule(now.after(time), Timer::Host(id.clone()));
                    let _ = self.change_host(id, |host| host.power = Power::Settling { due, seq });
                } else if failed {
                    // Its trial was judged before; the agent leaves it for the good bank.
                    self.power_cycle(id, now);
                } else {
                    if let Some(trial) = trial {
                        let reason = format!(
                            "it was tried and did not come up; the firmware booted bank {}",
                            booted.bank
                        );
                        if let Err(refusal) = host.banks.fail(trial, &reason) {
                            return self.die(id, refusal.reason);
                        }
                    }
                    self.come_up(id, now);
                }
            }
        }
    }

    fn never_returns(&self, id: &HostId) -> Option<String> {
        let coordinator = self.state.coordinator.as_ref() == Some(id);
        let strikes = self.state.faults.never_returns(id, coordinator);
        strikes.then(|| "it did not come back from its reboot (a fault that was ordered)".to_owned())
    }

    fn stick(&mut self, id: &HostId, at: Timestamp) {
        let (due, seq) = self.schedule(at, Timer::Host(id.clone()));
        let _ = self.change_host(id, |host| host.power = Power::Stuck { due, seq });
    }

    pub(super) fn die(&mut self, id: &HostId, reason: String) {
        let _ = self.change_host(id, |host| host.power = Power::Dead { reason });
    }

    /// The agent judges a boot on trial.
    fn judge(&mut self, id: &HostId, now: Timestamp) {
        let Some(host) = self.state.hosts.get_mut(id) else { return };
        let (bank, number) = (host.active, host.boots);
        let behaviour = host.banks.boot(number).map(|booted| booted.kernel.on(id));
        let judged = match behaviour {
            Ok(Behaviour::Good) => host.banks.bless(bank).map(|()| true),
            Ok(Behaviour::Unhealthy | Behaviour::Panic | Behaviour::Hang) => {
                host.banks.fail(bank, "it booted but failed its health checks").map(|()| false)
            }
            Err(refusal) => Err(refusal),
        };
        match judged {
            Ok(true) => self.come_up(id, now),
            Ok(false) => self.power_cycle(id, now),
            Err(refusal) => self.die(id, refusal.reason),
        }
    }

    /// The boot is judged: whoever waits for the reboot is told.
    pub(super) fn come_up(&mut self, id: &HostId, now: Timestamp) {
        let alone = self.left_behind(id);
        let power = alone.clone().map_or(Power::Up, |reason| Power::Alone { reason });
        // Whatever waited for a reboot has had it.
        self.state.conditions.clear_host(id, |is| matches!(is, HostCondition::PendingReboot { .. }));
        let _ = self.change_host(id, |host| {
            host.power = power;
            host.watchdog = false;
            host.cycles = 0;
        });
        if alone.is_some() {
            return;
        }
        self.auto_start(id, now);
        if let Some(key) = self.reboots.get(id).cloned() {
            let told = self.told_boot(id);
            self.cut_short(&key, Ok(told));
        }
        if self.state.spec.members_follow && self.state.coordinator.as_ref() == Some(id) {
            self.call_members(now);
        }
    }

    /// Members that waited for a coordinator as new as they are find their networks again.
    fn call_members(&mut self, now: Timestamp) {
        let alone =
            |(id, host): (&HostId, &Host)| matches!(host.power, Power::Alone { .. }).then(|| id.clone());
        let alone: Vec<HostId> = self.state.hosts.iter().filter_map(alone).collect();
        for id in alone {
            if self.left_behind(&id).is_none() {
                self.come_up(&id, now);
            }
        }
    }

    /// Why a member that runs finds no network, if so: it runs a newer release than its coordinator (I-11).
    fn left_behind(&self, id: &HostId) -> Option<String> {
        let first = self.state.coordinator.as_ref().filter(|_| self.state.spec.members_follow)?;
        let (member, coordinator) = (self.state.hosts.get(id)?, self.state.hosts.get(first)?);
        (id != first && member.running.serial > coordinator.running.serial).then(|| {
            format!(
                "it runs {} and finds no network: its coordinator {first} runs {}",
                member.running.version, coordinator.running.version
            )
        })
    }

    /// What a boot came to, in words.
    fn told_boot(&self, id: &HostId) -> String {
        let Some(host) = self.state.hosts.get(id) else { return String::new() };
        let (views, _) = host.banks.views();
        let [a, b] = &views;
        let other = match host.active {
            Bank::A => b,
            Bank::B => a,
        };
        let ran = format!("{id} runs {} from bank {}", host.running.version, host.active);
        match &other.note {
            Some(note) => format!("{ran}; bank {}: {note}", host.active.other()),
            None => ran,
        }
    }
}
