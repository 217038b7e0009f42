//! The driver `lab`: the words of the pool for machines that boot for real.
//!
//! Owns: the translation between effects and the commands of agents. Promises: an effect that is at work is not
//! ordered twice; a host that reboots is merely out of reach; nothing is known of a host but what its agent said.
//! Does not: start or stop machines, or have guests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lifeboat_model::agent::{AgentCommand, AgentOutcome, AgentStatus};
use lifeboat_model::{
    Bank, BankView, Effect, EffectKey, HostId, HostView, Mib, Outcome, PoolName, Progress, ReleaseRef,
    Timestamp, World,
};

use super::bundles::chain;
use super::{AgentEvent, Lab, LabError, Listener};
use crate::release::takes_release;
use crate::{DriverError, DriverEvent, Hypervisor};

/// How long the first question waits for agents that were never seen: their pauses before they dial are up to 7.5 s, and
/// a machine that is interpreted may need some more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Speaks to the pool of a lab.
#[derive(Debug)]
pub struct LabDriver {
    lab: Lab,
    pool: PoolName,
    listener: Listener,
    seen: BTreeMap<String, AgentStatus>,
    views: BTreeMap<String, HostView>,
    releases: Vec<ReleaseRef>,
    /// Effects at work, by the key that the agent knows.
    open: BTreeMap<String, (EffectKey, Effect)>,
    ready: Vec<DriverEvent>,
    asked: u64,
    waited: bool,
}

impl LabDriver {
    /// Opens the port of `lab` and waits for nobody.
    pub fn open(lab: Lab, pool: PoolName) -> Result<Self, LabError> {
        let listener = lab.listen()?;
        let releases = lab.releases()?.into_iter().map(|(release, _)| release).collect();
        Ok(Self {
            lab,
            pool,
            listener,
            seen: BTreeMap::new(),
            views: BTreeMap::new(),
            releases,
            open: BTreeMap::new(),
            ready: Vec::new(),
            asked: 0,
            waited: false,
        })
    }

    /// Offers the bundle of a release that the lab did not make itself.
    pub fn offer(&mut self, release: ReleaseRef, bundle: std::path::PathBuf) {
        self.listener.offer(release.digest, bundle);
        self.releases.push(release);
    }

    /// What the agent of a host said last.
    pub fn seen(&self, host: &str) -> Option<&AgentStatus> {
        self.seen.get(host)
    }

    /// The lab.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Waits until every agent has been heard, or the patience is at its end.
    fn wait_for_agents(&mut self) {
        let begin = Instant::now();
        while !self.waited && self.seen.len() < self.lab.settings().hosts.len() && begin.elapsed() < PATIENCE
        {
            if let Some(event) = self.listener.next(Duration::from_millis(200)) {
                self.take(event);
            }
        }
        self.waited = true;
    }

    fn view(&self, host: &str) -> Result<HostView, DriverError> {
        let id = HostId::new(host).map_err(|error| self.damaged(error.to_string()))?;
        let settings = self.lab.settings().hosts.iter().find(|known| known.name == host);
        let maintenance = settings.is_some_and(|known| known.maintenance);
        let Some(status) = self.seen.get(host) else {
            return Ok(HostView {
                id,
                memory: Mib(0),
                fault_domain: None,
                reachable: false,
                boot_id: None,
                active: None,
                banks: [BankView::empty(), BankView::empty()],
                running: None,
                version: None,
                maintenance,
                failed_releases: Vec::new(),
                offers: std::collections::BTreeSet::new(),
                pending_reboot: Vec::new(),
            });
        };
        Ok(HostView {
            id,
            memory: status.memory,
            fault_domain: None,
            reachable: self.listener.connected(host),
            boot_id: Some(status.boot_id.clone()),
            active: Some(status.active),
            banks: Bank::BOTH.map(|bank| bank_view(status, bank)),
            running: status.digest,
            version: Some(lifeboat_model::ReleaseVersion(status.version.clone())),
            maintenance,
            failed_releases: status.failed.clone(),
            offers: std::collections::BTreeSet::new(),
            pending_reboot: Vec::new(),
        })
    }

    fn damaged(&self, reason: String) -> DriverError {
        DriverError::Damaged {
            path: self.lab.folder().join("lab.json").display().to_string(),
            reason,
            remedy: "remove the lab with `lifeboat lab down`".to_owned(),
        }
    }

    /// Tells of a host if it changed.
    fn tell_host(&mut self, host: &str) {
        let Ok(view) = self.view(host) else { return };
        if self.views.get(host) != Some(&view) {
            self.views.insert(host.to_owned(), view.clone());
            self.ready.push(DriverEvent::Host(Box::new(view)));
        }
    }

    fn take(&mut self, event: AgentEvent) {
        match event {
            AgentEvent::Status(status) => {
                let host = status.host.clone();
                self.seen.insert(host.clone(), *status);
                self.tell_host(&host);
            }
            AgentEvent::Lost { host } => self.tell_host(&host),
            AgentEvent::Progress { key, done, total, .. } => {
                if let Some((key, _)) = self.open.get(&key) {
                    let progress = Progress { done, total };
                    self.ready.push(DriverEvent::Progress { key: key.clone(), progress });
                }
            }
            AgentEvent::Outcome { key, outcome, .. } => {
                if let Some((key, _)) = self.open.remove(&key) {
                    let outcome = match outcome {
                        AgentOutcome::Done { detail } => Outcome::Done { detail: Some(detail) },
                        AgentOutcome::Failed { reason, retriable } => Outcome::Failed { reason, retriable },
                    };
                    self.ready.push(DriverEvent::Outcome { key, outcome });
                }
            }
        }
    }

    /// Orders a command, unless the same effect is at work.
    fn order(&mut self, key: &EffectKey, effect: &Effect, host: &HostId, command: AgentCommand) {
        let same = |(open, at_work): &(EffectKey, Effect)| open == key && at_work == effect;
        if self.open.values().any(same) {
            return;
        }
        // A key of its own for each order: an agent repeats what it answered to an old one.
        self.asked += 1;
        let name = format!("{key}#{}.{}.{}", std::process::id(), self.now().0, self.asked);
        self.open.insert(name.clone(), (key.clone(), effect.clone()));
        self.listener.send(host.as_str(), &name, command);
    }

    fn answer(&mut self, key: &EffectKey, answer: Result<String, (String, bool)>) {
        let outcome = match answer {
            Ok(detail) => Outcome::Done { detail: Some(detail) },
            Err((reason, retriable)) => Outcome::Failed { reason, retriable },
        };
        self.ready.push(DriverEvent::Outcome { key: key.clone(), outcome });
    }

    /// What is known of a host against installing `release` on it.
    fn check(&self, host: &HostId, release: &ReleaseRef, retry: bool) -> Result<String, (String, bool)> {
        if !self.listener.connected(host.as_str()) {
            return Err((format!("{host} does not answer: look at its console"), true));
        }
        let Some(status) = self.seen.get(host.as_str()) else {
            return Err((format!("{host} was never heard: look at its console"), true));
        };
        if !self.releases.iter().any(|known| known.digest == release.digest) {
            return Err((format!("the bundle of {release} is not offered to the lab"), false));
        }
        takes_release(host, status, release, retry)
    }

    fn maintain(&mut self, host: &HostId, on: bool) -> Result<String, (String, bool)> {
        self.lab.set_maintenance(host.as_str(), on).map_err(|error| (chain(&error), true))?;
        self.tell_host(host.as_str());
        Ok(format!("{host} is {}in maintenance", if on { "" } else { "not " }))
    }
}

impl Hypervisor for LabDriver {
    fn observe(&mut self) -> Result<World, DriverError> {
        self.wait_for_agents();
        while let Some(event) = self.listener.next(Duration::ZERO) {
            self.take(event);
        }
        let names: Vec<String> = self.lab.settings().hosts.iter().map(|host| host.name.clone()).collect();
        let hosts = names.iter().map(|name| self.view(name)).collect::<Result<Vec<_>, _>>()?;
        Ok(World::new(self.pool.clone(), None, hosts, Vec::new(), Vec::new())?)
    }

    fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError> {
        match effect {
            Effect::CheckHost { host, release, retry } => {
                let answer = self.check(host, release, *retry);
                self.answer(key, answer);
            }
            Effect::EnterMaintenance { host } => {
                let answer = self.maintain(host, true);
                self.answer(key, answer);
            }
            Effect::LeaveMaintenance { host } => {
                let answer = self.maintain(host, false);
                self.answer(key, answer);
            }
            Effect::SaveState { host } => self.order(key, effect, host, AgentCommand::SaveState),
            Effect::Stage { host, release } => {
                self.order(key, effect, host, AgentCommand::Stage { release: release.clone() });
            }
            Effect::Install { host, release, bank, retry } => {
                // The agent writes the bank that does not run; if that is another one than planned, nothing is done.
                if self.seen.get(host.as_str()).is_some_and(|status| status.active == *bank) {
                    let reason = format!("bank {bank} of {host} runs; it is never written");
                    self.answer(key, Err((reason, false)));
                } else {
                    let command = AgentCommand::Install { release: release.clone(), retry: *retry };
                    self.order(key, effect, host, command);
                }
            }
            Effect::RebootInto { host, bank, boot_id_before } => {
                let command =
                    AgentCommand::RebootInto { bank: *bank, boot_id_before: boot_id_before.clone() };
                self.order(key, effect, host, command);
            }
            Effect::Restart { host, .. } => {
                let reason = format!("machines of the lab wait for no reboot, so {host} was not rebooted");
                self.answer(key, Err((reason, false)));
            }
            Effect::Migrate { guest, .. }
            | Effect::Place { guest, .. }
            | Effect::StopGuest { guest, .. }
            | Effect::StartGuest { guest, .. } => {
                self.answer(key, Err((format!("the lab has no guests, so it cannot move {guest}"), false)));
            }
            Effect::SuspendFeature { feature, .. } | Effect::RestoreFeature { feature, .. } => {
                self.answer(key, Err((format!("the lab has no feature {feature}"), false)));
            }
            Effect::RunHook { .. } | Effect::RunGate { .. } | Effect::Mend { .. } | Effect::Unmend { .. } => {
                self.answer(key, Err((format!("the lab cannot do this: {effect}"), false)));
            }
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<DriverEvent>, DriverError> {
        let wait = if self.ready.is_empty() { wait } else { Duration::ZERO };
        let mut next = self.listener.next(wait);
        while let Some(event) = next {
            self.take(event);
            next = self.listener.next(Duration::ZERO);
        }
        Ok(std::mem::take(&mut self.ready))
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

fn bank_view(status: &AgentStatus, bank: Bank) -> BankView {
    let Some(report) = status.bank(bank) else { return BankView::empty() };
    BankView {
        state: report.state,
        version: report.release.as_ref().map(|release| release.version.clone()),
        digest: report.release.as_ref().map(|release| release.digest),
        updated: report.updated,
        note: report.note.clone(),
    }
}
