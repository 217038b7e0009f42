//! What a person does to a simulated pool: releases, faults, conditions, features, power.
//!
//! Owns: [`SimOrder`], the one form of such an order, and the carrying out. Promises: an order that names nothing of
//! this pool is refused and changes nothing; the controller sees what changed. Does not: keep orders; `inbox.rs` does.

use std::path::PathBuf;

use lifeboat_model::{Bank, FeatureKind, FeatureView, GuestId, HostId, ReleaseRef};
use serde::{Deserialize, Serialize};

use super::banks::{InstallOrder, Refusal};
use super::condition::{Condition, GuestCondition, HostCondition};
use super::create::boot_id;
use super::fault::Fault;
use super::kernel::SimKernel;
use super::pool::SimPool;
use super::state::{Offered, Power};
use crate::{DriverError, Hypervisor};

/// One order of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum SimOrder {
    /// Let a condition be so.
    Set {
        /// Which.
        condition: Condition,
    },
    /// Let a condition not be so any more.
    Clear {
        /// Which.
        condition: Condition,
    },
    /// Let a fault strike.
    Strike {
        /// Which.
        fault: Fault,
    },
    /// End a fault.
    End {
        /// Which.
        fault: Fault,
    },
    /// End all faults and clear all conditions.
    ClearAll,
    /// Give a feature a value.
    Feature {
        /// Which.
        feature: FeatureKind,
        /// Its new value; [`FeatureView::OFF`] switches it off.
        value: String,
    },
    /// Press the reset button of a host.
    Reset {
        /// Which.
        host: HostId,
    },
    /// Shut a guest down or start it, where it is, at once.
    Guest {
        /// Which.
        guest: GuestId,
        /// Whether it runs then.
        run: bool,
    },
    /// Offer a release to the hosts.
    Offer {
        /// Its bundle, absolute.
        bundle: PathBuf,
    },
}

impl SimPool {
    /// Offers a release to the hosts of a pool without disks; `kernel` says what its boots do.
    ///
    /// # Errors
    /// [`DriverError`] if the pool's state cannot be written.
    pub fn offer_release(&mut self, release: ReleaseRef, kernel: SimKernel) -> Result<(), DriverError> {
        self.offer(Offered::of_values(release, kernel))
    }

    pub(super) fn offer(&mut self, offered: Offered) -> Result<(), DriverError> {
        self.state.releases.retain(|known| known.release.digest != offered.release.digest);
        self.state.releases.push(offered);
        self.touch();
        self.save()
    }

    /// Orders a fault. It stays until [`SimPool::clear_faults`], except one that counts how often it strikes.
    ///
    /// # Errors
    /// [`DriverError`] if the fault names a host or guest that the pool does not have, or if the pool's state
    /// cannot be written.
    pub fn order_fault(&mut self, fault: Fault) -> Result<(), DriverError> {
        self.order(&SimOrder::Strike { fault })
    }

    /// Ends all faults. A host that is down because of one stays down until [`SimPool::press_reset`].
    ///
    /// # Errors
    /// [`DriverError`] if the pool's state cannot be written.
    pub fn clear_faults(&mut self) -> Result<(), DriverError> {
        self.only_looks("ending faults")?;
        self.state.faults.end_all();
        self.touch();
        self.save()
    }

    /// The faults that are ordered.
    pub fn faults(&self) -> &[Fault] {
        self.state.faults.all()
    }

    /// Lets a condition be so.
    ///
    /// # Errors
    /// As [`SimPool::order`].
    pub fn set_condition(&mut self, condition: Condition) -> Result<(), DriverError> {
        self.order(&SimOrder::Set { condition })
    }

    /// The conditions that are so. A host that is switched off or in maintenance shows that itself.
    pub fn conditions(&self) -> Vec<Condition> {
        self.state.conditions.all()
    }

    /// Presses the reset button of a host, as a person would.
    ///
    /// # Errors
    /// As [`SimPool::order`].
    pub fn press_reset(&mut self, id: &HostId) -> Result<(), DriverError> {
        self.order(&SimOrder::Reset { host: id.clone() })
    }

    /// Carries out an order at once.
    ///
    /// # Errors
    /// [`DriverError`] if the order names what the pool does not have, if a host cannot do it now, or if the pool's
    /// state cannot be written. Then nothing was changed.
    pub fn order(&mut self, order: &SimOrder) -> Result<(), DriverError> {
        self.only_looks("ordering something")?;
        self.check_order(order)?;
        let now = self.now();
        match order {
            SimOrder::Set { condition } => self.set(condition).map_err(refused(order))?,
            SimOrder::Clear { condition } => self.unset(condition).map_err(refused(order))?,
            SimOrder::Strike { fault } => self.state.faults.add(fault.clone()),
            SimOrder::End { fault } => {
                self.state.faults.end(fault);
            }
            SimOrder::ClearAll => {
                self.state.faults.end_all();
                for condition in self.state.conditions.all() {
                    self.state.conditions.clear(&condition);
                }
                self.tell_all();
            }
            SimOrder::Feature { feature, value } => {
                self.put_feature(*feature, value);
            }
            SimOrder::Reset { host } => self.power_cycle(host, now),
            SimOrder::Guest { guest, run } => self.press_guest(guest, *run).map_err(refused(order))?,
            SimOrder::Offer { bundle } => {
                self.offer_bundle(bundle)?;
            }
        }
        self.touch();
        self.save()
    }

    /// Whether an order names only what this pool has; for one that somebody else will carry out.
    ///
    /// # Errors
    /// [`DriverError`] that says what is missing.
    pub fn check_order(&self, order: &SimOrder) -> Result<(), DriverError> {
        let host =
            |id: &HostId| self.missing(self.state.hosts.contains_key(id), order, &format!("host {id}"));
        let guest =
            |id: &GuestId| self.missing(self.state.guests.contains_key(id), order, &format!("guest {id}"));
        match order {
            SimOrder::Set { condition } | SimOrder::Clear { condition } => match condition {
                Condition::Host(id, HostCondition::Unguarded) if self.trust.is_some() => {
                    let reason = "what writes its banks on disk has the guards built in".to_owned();
                    host(id)?;
                    Err(wrong(order, reason, "use a pool without disks"))
                }
                Condition::Host(id, _) => host(id),
                Condition::Guest(id, _) => guest(id),
                Condition::Task { .. } | Condition::Admission { .. } => Ok(()),
            },
            SimOrder::Strike { fault } | SimOrder::End { fault } => match (fault.host(), fault.guest()) {
                (Some(id), _) => host(id),
                (None, Some(id)) => guest(id),
                (None, None) => self.missing(self.state.coordinator.is_some(), order, "coordinator"),
            },
            SimOrder::Reset { host: id } => host(id),
            SimOrder::Guest { guest: id, .. } => guest(id),
            SimOrder::Feature { value, .. } if value.is_empty() || value.chars().any(char::is_control) => {
                let remedy = format!("give a value, or {} to switch it off", FeatureView::OFF);
                Err(wrong(order, format!("{value:?} is no value of a feature"), &remedy))
            }
            SimOrder::Feature { .. } | SimOrder::ClearAll | SimOrder::Offer { .. } => Ok(()),
        }
    }

    fn missing(&self, there: bool, order: &SimOrder, what: &str) -> Result<(), DriverError> {
        if there {
            return Ok(());
        }
        let reason = format!("pool {} has no {what}", self.state.pool);
        Err(wrong(order, reason, "name a host (h01, h02, …) or a guest (g01, g02, …) of the pool"))
    }

    /// What a new pool is like from its beginning.
    pub(super) fn begin_with(&mut self, conditions: &[Condition]) -> Result<(), DriverError> {
        for condition in conditions {
            self.order(&SimOrder::Set { condition: condition.clone() })?;
        }
        Ok(())
    }

    fn set(&mut self, condition: &Condition) -> Result<(), Refusal> {
        let now = self.now();
        match condition {
            Condition::Host(id, HostCondition::Unreachable) => {
                if !self.state.hosts.get(id).is_some_and(|host| matches!(host.power, Power::Dead { .. })) {
                    self.power_off(id, now);
                }
                return Ok(());
            }
            Condition::Host(id, HostCondition::Maintenance) => {
                return self.set_maintenance(id, true).map(drop);
            }
            Condition::Host(id, HostCondition::RunsNewer) => return self.upgrade_by_hand(id),
            Condition::Host(..)
            | Condition::Guest(..)
            | Condition::Task { .. }
            | Condition::Admission { .. } => {}
        }
        if self.state.conditions.set(condition.clone()) {
            self.tell_of(condition);
        }
        Ok(())
    }

    fn unset(&mut self, condition: &Condition) -> Result<(), Refusal> {
        let now = self.now();
        match condition {
            Condition::Host(id, HostCondition::Unreachable) => {
                if self.state.hosts.get(id).is_some_and(|host| matches!(host.power, Power::Dead { .. })) {
                    self.power_cycle(id, now);
                }
                return Ok(());
            }
            Condition::Host(id, HostCondition::Maintenance) => {
                return self.set_maintenance(id, false).map(drop);
            }
            Condition::Host(id, HostCondition::RunsNewer) => {
                return Err(Refusal::firm(format!(
                    "{id} runs what it runs; an upgrade is not taken back so"
                )));
            }
            Condition::Host(..)
            | Condition::Guest(..)
            | Condition::Task { .. }
            | Condition::Admission { .. } => {}
        }
        if self.state.conditions.clear(condition) {
            self.tell_of(condition);
        }
        Ok(())
    }

    /// Tells the controller what a condition changes.
    fn tell_of(&mut self, condition: &Condition) {
        use HostCondition as C;
        match condition {
            // A network or storage that is named for the first time is one that every host has.
            Condition::Host(_, C::NetworkDown { .. } | C::NoNetwork { .. } | C::StoragePaths { .. })
            | Condition::Guest(_, GuestCondition::Needs { .. }) => self.tell_all(),
            Condition::Host(id, _) => self.tell_host(id),
            Condition::Guest(id, _) => self.tell_guest(id),
            Condition::Task { .. } | Condition::Admission { .. } => {}
        }
    }

    fn tell_all(&mut self) {
        let hosts: Vec<HostId> = self.state.hosts.keys().cloned().collect();
        for id in &hosts {
            self.tell_host(id);
        }
        let guests: Vec<GuestId> = self.state.conditions.guests().cloned().collect();
        for id in &guests {
            self.tell_guest(id);
        }
    }

    fn press_guest(&mut self, id: &GuestId, run: bool) -> Result<(), Refusal> {
        let now = self.now();
        let (memory, host) = {
            let guest = self.guest(id)?;
            if guest.running == run {
                return Ok(());
            }
            (guest.memory, guest.host.clone())
        };
        if run {
            self.room_for(id, memory, &host)?;
        }
        self.switch_guest(id, run, now);
        Ok(())
    }

    /// Somebody brings the newest release to a host, past every order of the pool.
    fn upgrade_by_hand(&mut self, id: &HostId) -> Result<(), Refusal> {
        let now = self.now();
        let (serial, active) = {
            let host = self.host_up(id)?;
            (host.running.serial, host.active)
        };
        let newest = self.state.releases.iter().max_by_key(|offered| offered.release.serial);
        let newest = newest.filter(|offered| offered.release.serial > serial).cloned().ok_or_else(|| {
            Refusal::firm(format!("{id} runs the newest release that is offered; offer a newer one first"))
        })?;
        self.stage_on_disk(id, &newest, now)?;
        let (trust, bank, seed) = (self.trust.clone(), active.other(), self.state.spec.seed);
        self.change_host(id, |host| -> Result<(), Refusal> {
            let order = InstallOrder {
                release: &newest,
                bank,
                active,
                retry: true,
                fails_at: None,
                unguarded: false,
            };
            host.banks.install(&order, trust.as_ref(), now.0 / 1000)?;
            host.banks.activate(bank)?;
            host.boots += 1;
            let booted = host.banks.boot(host.boots)?;
            host.banks.bless(booted.bank)?;
            let came_up: (Bank, ReleaseRef) = (booted.bank, booted.release);
            (host.active, host.running) = came_up;
            host.boot_id = boot_id(seed, id, host.boots);
            host.staged = None;
            Ok(())
        })??;
        self.come_up(id, now);
        Ok(())
    }
}

fn doing(order: &SimOrder) -> String {
    match order {
        SimOrder::Set { condition } => format!("setting the condition {condition}"),
        SimOrder::Clear { condition } => format!("clearing the condition {condition}"),
        SimOrder::Strike { fault } => format!("ordering the fault {fault}"),
        SimOrder::End { fault } => format!("ending the fault {fault}"),
        SimOrder::ClearAll => "clearing faults and conditions".to_owned(),
        SimOrder::Feature { feature, .. } => format!("changing {feature}"),
        SimOrder::Reset { host } => format!("resetting {host}"),
        SimOrder::Guest { guest, .. } => format!("switching {guest}"),
        SimOrder::Offer { bundle } => format!("offering {}", bundle.display()),
    }
}

fn wrong(order: &SimOrder, reason: String, remedy: &str) -> DriverError {
    DriverError::Unreachable { doing: doing(order), reason, remedy: remedy.to_owned() }
}

fn refused(order: &SimOrder) -> impl FnOnce(Refusal) -> DriverError {
    let doing = doing(order);
    move |refusal| DriverError::Unreachable {
        doing,
        reason: refusal.reason,
        remedy: "look at the pool, and order it when that has changed".to_owned(),
    }
}
