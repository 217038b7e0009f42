//! The pool as it was told last.
//!
//! Owns: what each host and each agent said, and the views that follow from it. Promises: what did not change is not
//! told again; a host that does not answer keeps its guests, since nobody saw them leave. Does not: ask.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_libvirt::Uuid;
use lifeboat_model::agent::AgentStatus;
use lifeboat_model::{
    Bank, BankState, BankView, GuestId, GuestView, HostId, HostView, Mib, PoolName, ReleaseVersion, World,
    WorldError,
};

use super::facts::{Guest, Guests, guests, local_disks, memory, offers};
use super::maintenance::Marks;
use super::read::{DomainRead, HostRead};
use super::settings::KvmSettings;
use crate::DriverEvent;

/// One host as it was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) read: Option<HostRead>,
    /// Why its libvirt does not answer; none if it does.
    pub(super) silent: Option<String>,
    pub(super) status: Option<AgentStatus>,
    /// Whether its agent is connected.
    pub(super) connected: bool,
}

/// The pool as it was told last.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) name: PoolName,
    pub(super) settings: KvmSettings,
    pub(super) hosts: BTreeMap<HostId, Told>,
    marks: Marks,
    guests: Guests,
    /// Guests that were found running on two hosts in two looks.
    twice: BTreeSet<Uuid>,
    /// What was handed out last.
    host_views: BTreeMap<HostId, HostView>,
    guest_views: BTreeMap<GuestId, GuestView>,
    /// What hosts said is not put together yet.
    stale: bool,
    /// What changed is not handed out yet.
    untold: bool,
}

impl Pool {
    pub(super) fn new(name: PoolName, settings: KvmSettings, marks: Marks) -> Self {
        let hosts = settings.hosts.iter().map(|host| (host.name.clone(), Told::default())).collect();
        Self {
            name,
            settings,
            hosts,
            marks,
            guests: Guests::default(),
            twice: BTreeSet::new(),
            host_views: BTreeMap::new(),
            guest_views: BTreeMap::new(),
            stale: true,
            untold: true,
        }
    }

    pub(super) fn host(&mut self, host: &HostId) -> Option<&mut Told> {
        self.stale = true;
        self.untold = true;
        self.hosts.get_mut(host)
    }

    /// Which hosts are in maintenance.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Which hosts are in maintenance, to be changed.
    pub(super) fn marks_mut(&mut self) -> &mut Marks {
        self.untold = true;
        &mut self.marks
    }

    /// A guest is seen on a host, or is not there any more.
    pub(super) fn see_domain(&mut self, host: &HostId, uuid: Uuid, domain: Option<DomainRead>) {
        let Some(read) = self.host(host).and_then(|told| told.read.as_mut()) else { return };
        let known = read.domains.iter().position(|known| known.domain.uuid == uuid);
        match (known, domain) {
            (Some(at), Some(domain)) => {
                if let Some(place) = read.domains.get_mut(at) {
                    *place = domain;
                }
            }
            (Some(at), None) => drop(read.domains.remove(at)),
            (None, Some(domain)) => read.domains.push(domain),
            (None, None) => {}
        }
    }

    /// All guests.
    pub(super) fn guests(&mut self) -> &Guests {
        if self.stale {
            let reads = self.hosts.iter().filter_map(|(id, told)| Some((id, told.read.as_ref()?)));
            self.guests = guests(reads, &self.settings, &self.twice);
            self.stale = false;
        }
        &self.guests
    }

    /// Guests that seem to run on two hosts.
    pub(super) fn suspects(&mut self) -> BTreeSet<Uuid> {
        self.guests().suspects.clone()
    }

    /// These guests were seen on two hosts twice.
    pub(super) fn believe(&mut self, twice: BTreeSet<Uuid>) {
        if self.twice != twice {
            self.twice = twice;
            self.stale = true;
            self.untold = true;
        }
    }

    /// One guest.
    pub(super) fn guest(&mut self, id: &GuestId) -> Option<&Guest> {
        self.guests().all.get(id)
    }

    /// Whether a host has the memory for a guest that comes, and what it needs.
    pub(super) fn room_for(&mut self, guest: &GuestId, on: &HostId) -> Result<(), (String, bool)> {
        let Some(wanted) = self.guest(guest).map(|known| known.view.clone()) else {
            return Err((format!("the pool has no guest {guest}"), false));
        };
        let Some(told) = self.hosts.get(on) else {
            return Err((format!("the pool has no host {on}"), false));
        };
        let view = self.view(on, told);
        if let Some(lack) = wanted.needs.iter().find(|need| !view.offers.contains(*need)) {
            return Err((format!("{guest} needs {lack}, which {on} does not offer"), false));
        }
        let others = self.guests().all.values().map(|other| &other.view);
        let used: Mib = others
            .filter(|other| other.host == *on && other.running && other.id != *guest)
            .map(|other| other.memory)
            .sum();
        if used + wanted.memory > view.memory {
            let free = view.memory.saturating_sub(used);
            let reason = format!("{guest} needs {}; {on} has {free} of {} free", wanted.memory, view.memory);
            return Err((reason, true));
        }
        Ok(())
    }

    /// Guests that other hosts have, by UUID.
    pub(super) fn elsewhere(&self, host: &HostId) -> BTreeSet<String> {
        let others =
            self.hosts.iter().filter(|(id, _)| *id != host).filter_map(|(_, told)| told.read.as_ref());
        others.flat_map(|read| &read.domains).map(|domain| domain.domain.uuid.to_string()).collect()
    }

    /// Disks of a guest that only its host has, by their names in the guest.
    pub(super) fn local_disks(&mut self, guest: &GuestId) -> Vec<String> {
        let Some((uuid, host)) = self.guest(guest).map(|known| (known.uuid, known.view.host.clone())) else {
            return Vec::new();
        };
        let Some(read) = self.hosts.get(&host).and_then(|told| told.read.as_ref()) else { return Vec::new() };
        let described = read.domains.iter().find(|domain| domain.domain.uuid == uuid);
        let Some(Ok(facts)) = described.map(|domain| domain.facts.as_ref()) else { return Vec::new() };
        local_disks(facts, read, &self.settings)
    }

    fn is_reachable(&self, told: &Told) -> bool {
        told.read.is_some() && told.silent.is_none() && (told.connected || self.settings.controller.is_none())
    }

    fn view(&self, id: &HostId, told: &Told) -> HostView {
        let said = self.settings.host(id);
        let status = told.status.as_ref();
        let memory =
            told.read.as_ref().map_or(said.and_then(super::KvmHost::memory).unwrap_or(Mib(0)), |read| {
                memory(read, said.and_then(super::KvmHost::memory))
            });
        // A host without banks tells of its generations of packages as of banks; one whose record is damaged of none.
        let banked = status.filter(|status| !status.banks.is_empty());
        HostView {
            id: id.clone(),
            memory,
            fault_domain: said.and_then(|host| host.fault_domain.clone()),
            reachable: self.is_reachable(told),
            boot_id: status.map(|status| status.boot_id.clone()),
            active: banked.map(|status| status.active),
            banks: Bank::BOTH
                .map(|bank| banked.map_or_else(BankView::empty, |status| bank_view(status, bank))),
            running: status.and_then(|status| status.digest),
            version: status
                .filter(|status| !status.version.is_empty())
                .map(|status| ReleaseVersion(status.version.clone())),
            maintenance: self.marks.get(id).is_some(),
            failed_releases: status.map(|status| status.failed.clone()).unwrap_or_default(),
            offers: told.read.as_ref().map(|read| offers(read, &self.settings)).unwrap_or_default(),
            pending_reboot: Vec::new(),
        }
    }

    /// The pool as a roll sees it; it is all handed out then.
    pub(super) fn world(&mut self) -> Result<World, WorldError> {
        let guests: Vec<GuestView> = self.guests().all.values().map(|guest| guest.view.clone()).collect();
        let hosts: Vec<HostView> = self.hosts.iter().map(|(id, told)| self.view(id, told)).collect();
        self.host_views = hosts.iter().map(|view| (view.id.clone(), view.clone())).collect();
        self.guest_views = guests.iter().map(|view| (view.id.clone(), view.clone())).collect();
        self.untold = false;
        World::new(self.name.clone(), None, hosts, guests, Vec::new())
    }

    /// What changed since it was handed out last.
    pub(super) fn news(&mut self) -> Vec<DriverEvent> {
        if !std::mem::take(&mut self.untold) {
            return Vec::new();
        }
        let mut events = Vec::new();
        for (id, told) in &self.hosts {
            let view = self.view(id, told);
            if self.host_views.get(id) != Some(&view) {
                self.host_views.insert(id.clone(), view.clone());
                events.push(DriverEvent::Host(Box::new(view)));
            }
        }
        let now: BTreeMap<GuestId, GuestView> =
            self.guests().all.iter().map(|(id, guest)| (id.clone(), guest.view.clone())).collect();
        for (id, view) in &now {
            if self.guest_views.get(id) != Some(view) {
                events.push(DriverEvent::Guest(view.clone()));
            }
        }
        let gone: BTreeSet<&GuestId> = self.guest_views.keys().filter(|id| !now.contains_key(*id)).collect();
        events.extend(gone.into_iter().cloned().map(DriverEvent::GuestGone));
        self.guest_views = now;
        events
    }
}

fn bank_view(status: &AgentStatus, bank: Bank) -> BankView {
    let Some(report) = status.bank(bank) else { return BankView::empty() };
    let trying = status.on_trial && status.active == bank && report.state == BankState::Upgraded;
    BankView {
        state: if trying { BankState::Trying } else { report.state },
        version: report.release.as_ref().map(|release| release.version.clone()),
        digest: report.release.as_ref().map(|release| release.digest),
        updated: report.updated,
        note: report.note.clone(),
    }
}
