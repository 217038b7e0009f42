//! Remedies of checks, and taking them back.
//!
//! Promises: carried out twice, a remedy is done once; what can be taken back is kept and put back as it was. A bank
//! of a disk is really made anew, from the bundle of the release that runs; foreign files and damaged entries are
//! conditions in both kinds of pools, never bytes.

use lifeboat_model::{Bank, BankState, Fix, GuestId, HostId, Timestamp};

use super::banks::{HostBanks, InstallOrder, Refusal};
use super::condition::{Condition, GuestCondition, HostCondition};
use super::effects::Begin;
use super::pool::SimPool;

impl SimPool {
    fn mend_takes(&self, fix: &Fix, host: Option<&HostId>) -> Begin {
        Begin::Takes(self.duration(self.state.spec.times.mend, &fix.key(), host))
    }

    fn media_of(&self, guest: &GuestId) -> Option<String> {
        let image = |is: &GuestCondition| {
            if let GuestCondition::Media { image } = is { Some(image.clone()) } else { None }
        };
        self.state.conditions.guest(guest).find_map(image)
    }

    pub(super) fn begin_mend(&self, fix: &Fix) -> Result<Begin, Refusal> {
        let conditions = &self.state.conditions;
        let host = match fix {
            Fix::EjectMedia { guest, image } => {
                self.guest(guest)?;
                match self.media_of(guest) {
                    None => return Ok(Begin::Already(format!("no image is connected to {guest}"))),
                    Some(there) if there != *image => {
                        let reason = format!("{guest} has {there} connected by now, not {image}");
                        return Err(Refusal::firm(reason));
                    }
                    Some(_) => return Ok(self.mend_takes(fix, None)),
                }
            }
            Fix::CleanBank { host, bank, files } => {
                self.host_up(host)?;
                let there = conditions.foreign(host, *bank);
                if files.iter().all(|file| !there.contains(file)) {
                    return Ok(Begin::Already(format!("bank {bank} of {host} does not have them")));
                }
                host
            }
            Fix::RebuildBank { host, bank } => {
                self.may_rebuild(host, *bank)?;
                if !self.is_broken(host, *bank) {
                    return Ok(Begin::Already(format!("bank {bank} of {host} is whole")));
                }
                host
            }
            Fix::SetClock { host, .. } => {
                self.host_up(host)?;
                if conditions.clock(host) == 0 {
                    return Ok(Begin::Already(format!("the clock of {host} is right")));
                }
                host
            }
            Fix::RescanStorage { host, storage } => {
                self.host_up(host)?;
                let storages = conditions.storages(host);
                let found = storages
                    .into_iter()
                    .find(|found| found.name == *storage)
                    .ok_or_else(|| Refusal::firm(format!("{host} has no storage {storage}")))?;
                if found.alive == found.paths {
                    return Ok(Begin::Already(format!("all paths of {host} to {storage} work")));
                }
                host
            }
        };
        Ok(self.mend_takes(fix, Some(host)))
    }

    pub(super) fn end_mend(&mut self, fix: &Fix, now: Timestamp) -> Result<String, Refusal> {
        match fix {
            Fix::EjectMedia { guest, image } => {
                let image = GuestCondition::Media { image: image.clone() };
                self.state.conditions.clear(&Condition::Guest(guest.clone(), image));
                self.tell_guest(guest);
                Ok(format!("no image is connected to {guest}"))
            }
            Fix::CleanBank { host, bank, files } => {
                self.host_up(host)?;
                let mut gone = 0;
                for file in files {
                    let condition = foreign(host, *bank, file);
                    if self.state.conditions.clear(&condition) {
                        self.state.kept.push(condition);
                        gone += 1;
                    }
                }
                self.touch();
                Ok(format!("{gone} of bank {bank} of {host} removed; a copy of each is kept"))
            }
            Fix::RebuildBank { host, bank } => self.rebuild_bank(host, *bank, now),
            Fix::SetClock { host, .. } => {
                self.host_up(host)?;
                self.state.conditions.clear_host(host, |is| matches!(is, HostCondition::Clock { .. }));
                self.touch();
                Ok(format!("the clock of {host} is right"))
            }
            Fix::RescanStorage { host, storage } => {
                self.host_up(host)?;
                let storages = self.state.conditions.storages(host);
                if let Some(found) = storages.into_iter().find(|found| found.name == *storage) {
                    let (alive, paths, storage) = (found.paths, found.paths, found.name);
                    let condition = HostCondition::StoragePaths { storage, alive, paths };
                    self.state.conditions.set(Condition::Host(host.clone(), condition));
                    self.tell_host(host);
                }
                Ok(format!("all paths of {host} to {storage} work"))
            }
        }
    }

    pub(super) fn begin_unmend(&self, fix: &Fix) -> Result<Begin, Refusal> {
        match fix {
            Fix::EjectMedia { guest, image } => {
                self.guest(guest)?;
                match self.media_of(guest) {
                    Some(there) if there == *image => {
                        Ok(Begin::Already(format!("{image} is connected to {guest}")))
                    }
                    Some(there) => Err(Refusal::firm(format!("{guest} has {there} connected by now"))),
                    None => Ok(self.mend_takes(fix, None)),
                }
            }
            Fix::CleanBank { host, bank, files } => {
                self.host_up(host)?;
                let kept = |file: &String| self.state.kept.contains(&foreign(host, *bank, file));
                if files.iter().any(kept) {
                    return Ok(self.mend_takes(fix, Some(host)));
                }
                Ok(Begin::Already(format!("no copy of a file of bank {bank} of {host} is kept")))
            }
            Fix::RebuildBank { .. } | Fix::SetClock { .. } | Fix::RescanStorage { .. } => {
                Err(Refusal::firm(format!("this cannot be taken back: {fix}")))
            }
        }
    }

    pub(super) fn end_unmend(&mut self, fix: &Fix) -> Result<String, Refusal> {
        match fix {
            Fix::EjectMedia { guest, image } => {
                if let Some(there) = self.media_of(guest).filter(|there| there != image) {
                    return Err(Refusal::firm(format!("{guest} has {there} connected by now")));
                }
                let condition = GuestCondition::Media { image: image.clone() };
                self.state.conditions.set(Condition::Guest(guest.clone(), condition));
                self.tell_guest(guest);
                Ok(format!("{image} is connected to {guest}"))
            }
            Fix::CleanBank { host, bank, files } => {
                self.host_up(host)?;
                for condition in files.iter().map(|file| foreign(host, *bank, file)) {
                    if let Some(at) = self.state.kept.iter().position(|kept| *kept == condition) {
                        self.state.kept.swap_remove(at);
                        self.state.conditions.set(condition);
                    }
                }
                self.touch();
                Ok(format!("bank {bank} of {host} has its files back"))
            }
            Fix::RebuildBank { .. } | Fix::SetClock { .. } | Fix::RescanStorage { .. } => {
                Err(Refusal::firm(format!("this cannot be taken back: {fix}")))
            }
        }
    }

    /// A bank is made anew only from a running one that is good, and never the running one.
    fn may_rebuild(&self, id: &HostId, bank: Bank) -> Result<(), Refusal> {
        let host = self.host_up(id)?;
        if host.active == bank {
            return Err(Refusal::firm(format!("bank {bank} of {id} runs; it is never written")));
        }
        let active = bank.other();
        let state = host.banks.state(active);
        if state != BankState::Good {
            let reason = format!("bank {active} of {id} is {state}, not good: nothing is made from it");
            return Err(Refusal::firm(reason));
        }
        match self.damage_of(id, active).first() {
            None => Ok(()),
            Some(damage) => Err(Refusal::firm(format!(
                "bank {active} of {id} is not whole ({damage}): nothing is made from it"
            ))),
        }
    }

    /// What is damaged in a bank, by conditions and by its bytes.
    pub(super) fn damage_of(&self, id: &HostId, bank: Bank) -> Vec<String> {
        let mut damage = self.state.conditions.damage(id, bank);
        if let Some(host) = self.state.hosts.get(id) {
            damage.extend(host.banks.damage(bank));
        }
        damage
    }

    fn is_broken(&self, id: &HostId, bank: Bank) -> bool {
        let conditions = &self.state.conditions;
        let state = self.state.hosts.get(id).map(|host| host.banks.state(bank));
        conditions.ghost(id, bank).is_some()
            || !conditions.foreign(id, bank).is_empty()
            || !self.damage_of(id, bank).is_empty()
            || matches!(state, Some(BankState::Invalid | BankState::Empty))
    }

    fn rebuild_bank(&mut self, id: &HostId, bank: Bank, now: Timestamp) -> Result<String, Refusal> {
        self.may_rebuild(id, bank)?;
        let running = self.host_up(id)?.running.clone();
        let offered = self.offered(&running)?.clone();
        let (kept, trust) = (self.kept_bundle(&offered), self.trust.clone());
        self.change_host(id, |host| match &mut host.banks {
            HostBanks::Values(banks) => {
                banks.rebuild(bank);
                Ok(())
            }
            HostBanks::Disk(banks) => {
                let order = InstallOrder {
                    release: &offered,
                    bank,
                    active: bank.other(),
                    retry: false,
                    fails_at: None,
                    unguarded: false,
                };
                let trust = trust.as_ref().ok_or_else(|| Refusal::firm("the pool trusts no key"))?;
                let kept = kept.ok_or_else(|| Refusal::firm(format!("the bundle of {running} is gone")))?;
                banks.install_from(&kept, &order, trust, now.0 / 1000)
            }
        })??;
        self.state.conditions.clear_host(id, |is| {
            matches!(is, HostCondition::Ghost { bank: of } if *of == bank)
                || matches!(is, HostCondition::Damage { bank: of, .. } if *of == bank)
                || matches!(is, HostCondition::ForeignFile { bank: of, .. } if *of == bank)
        });
        Ok(format!("bank {bank} of {id} is made anew from bank {}, verified", bank.other()))
    }
}

fn foreign(host: &HostId, bank: Bank, path: &str) -> Condition {
    Condition::Host(host.clone(), HostCondition::ForeignFile { bank, path: path.to_owned() })
}
