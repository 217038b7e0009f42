//! The driver `libvirt`: the words of the pool for hosts that run libvirt, and agents of Lifeboat beside it.
//!
//! Owns: the translation between effects and what libvirt and agents are asked. Promises: an effect that is at work is
//! not ordered twice; nothing is polled that tells of itself; a host that reboots is merely out of reach. Does not:
//! decide.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_bundle::TrustStore;
use lifeboat_libvirt::{Connection, Uri, Uuid};
use lifeboat_model::agent::{AgentCommand, AgentOutcome, AgentStatus, HostKind};
use lifeboat_model::{
    Effect, EffectKey, GuestId, HostId, Outcome, PoolName, Progress, ReleaseFacts, ReleaseRef, Sha256Hex,
    Survey, Timestamp, World, chain,
};
use lifeboat_wire::{Heard, HubEventKind};

use super::agents::Agents;
use super::link::{self, Link};
use super::maintenance::Marks;
use super::migrate::{self, Ends, Move, Seen};
use super::pool::Pool;
use super::settings::{KvmSettings, LocalDisks};
use super::work::{self, Answer};
use super::{power, survey};
use crate::release::{bundle_facts, takes_release};
use crate::{DriverError, DriverEvent, HostLook, Hypervisor};

/// How long a question to a host may take before the host counts as one that does not answer.
const ANSWER: Duration = Duration::from_secs(20);

/// A guest that seems to run on two hosts is looked at again after this pause.
const AGAIN: Duration = Duration::from_millis(500);

/// What comes in.
pub(super) enum Message {
    Link(HostId, link::Told),
    Agents(Heard),
    Progress(EffectKey, Progress),
    Ended(EffectKey, Outcome, Seen),
}

/// Speaks to a pool of libvirt hosts.
#[derive(Debug)]
pub struct LibvirtDriver {
    pool: Pool,
    links: BTreeMap<HostId, Link>,
    agents: Option<Agents>,
    inbox: Receiver<Message>,
    sender: Sender<Message>,
    at_work: BTreeMap<EffectKey, Effect>,
    ready: Vec<DriverEvent>,
    /// Releases that the hosts may be given.
    releases: BTreeMap<Sha256Hex, ReleaseFacts>,
}

impl LibvirtDriver {
    /// Begins to connect to every host and to the controller of the agents. `folder` keeps what must outlive this
    /// program: which hosts are in maintenance.
    ///
    /// # Errors
    /// [`DriverError`] if the settings make no sense or the folder's file is damaged. Hosts that do not answer are no
    /// error.
    pub fn open(name: PoolName, settings: KvmSettings, folder: &Path) -> Result<Self, DriverError> {
        let wrong = |path: &Path, reason: String, remedy: &str| DriverError::Damaged {
            path: path.display().to_string(),
            reason,
            remedy: remedy.to_owned(),
        };
        settings.validate().map_err(|error| wrong(&folder.join("kvm.toml"), chain(&error), "correct it"))?;
        let marks = Marks::open(folder)
            .map_err(|error| wrong(folder, chain(&error), "see what it says, and repair it by hand"))?;
        let (sender, inbox) = channel();
        let mut links = BTreeMap::new();
        for host in &settings.hosts {
            let uri = Uri::parse(&host.uri)
                .map_err(|error| wrong(&folder.join("kvm.toml"), chain(&error), "correct it"))?;
            let tell = sender.clone();
            let link = Link::open(host.name.clone(), uri, move |host, told| {
                // Nobody listens any more only when the driver is being dropped.
                let _ = tell.send(Message::Link(host, told));
            });
            links.insert(host.name.clone(), link);
        }
        let agents = settings.controller.as_deref().map(|socket| {
            let tell = sender.clone();
            Agents::open(socket, name.clone(), move |heard| tell.send(Message::Agents(heard)).is_ok())
        });
        Ok(Self {
            pool: Pool::new(name, settings, marks),
            links,
            agents,
            inbox,
            sender,
            at_work: BTreeMap::new(),
            ready: Vec::new(),
            releases: BTreeMap::new(),
        })
    }

    /// Lets hosts download the bundle of a release.
    ///
    /// # Errors
    /// [`DriverError::Unreachable`] if there is no controller of agents, or it does not answer.
    pub fn offer(
        &mut self,
        release: &ReleaseRef,
        bundle: &Path,
        trust: &TrustStore,
    ) -> Result<(), DriverError> {
        let refused = |reason: String, remedy: &str| DriverError::Unreachable {
            doing: format!("offering {release} to the hosts"),
            reason,
            remedy: remedy.to_owned(),
        };
        let path = bundle.canonicalize().map_err(|error| {
            refused(format!("{}: {error}", bundle.display()), "name a bundle that is there")
        })?;
        let Some(agents) = self.agents.as_mut() else {
            let remedy = "name its socket as `controller` in the pool's kvm.toml";
            return Err(refused("the pool has no controller of agents".to_owned(), remedy));
        };
        agents.offer(release, &path).map_err(|error| refused(error, "look at: lifeboatd host list"))?;
        self.expect(release, &path, trust);
        Ok(())
    }

    /// Takes a release for one that is offered, for a look at what would be in its way.
    pub fn expect(&mut self, release: &ReleaseRef, bundle: &Path, trust: &TrustStore) {
        self.releases.insert(release.digest, bundle_facts(release.clone(), bundle, trust));
    }

    /// What the agent of a host said last.
    pub fn status(&self, host: &HostId) -> Option<&AgentStatus> {
        self.pool.hosts.get(host).and_then(|told| told.status.as_ref())
    }

    /// Why a host's libvirt does not answer.
    pub fn silent(&self, host: &HostId) -> Option<&str> {
        self.pool.hosts.get(host).and_then(|told| told.silent.as_deref())
    }

    /// What is wrong with how guests are described: the same guest running twice, above all.
    pub fn notes(&mut self) -> Vec<String> {
        self.pool.guests().notes.clone()
    }

    /// Reads these hosts afresh.
    fn ask(&mut self, hosts: &BTreeSet<HostId>) {
        let answers: Vec<_> = self
            .links
            .iter()
            .filter(|(host, _)| hosts.contains(*host))
            .map(|(host, link)| (host.clone(), link.ask()))
            .collect();
        let until = std::time::Instant::now() + ANSWER;
        for (host, answer) in answers {
            let left = until.saturating_duration_since(std::time::Instant::now());
            match (answer.wait(left), self.pool.host(&host)) {
                (Ok(read), Some(told)) => {
                    told.read = Some(read);
                    told.silent = None;
                }
                (Err(reason), Some(told)) => told.silent = Some(reason),
                (_, None) => {}
            }
        }
    }

    fn ask_agents(&mut self) -> Result<(), String> {
        let Some(agents) = self.agents.as_mut() else { return Ok(()) };
        for host in agents.hosts()? {
            let Ok(id) = HostId::new(&host.host) else { continue };
            let Some(told) = self.pool.host(&id) else { continue };
            told.connected = host.connected_since.is_some();
            if let Some(status) = host.status {
                told.status = Some(*status);
            }
        }
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Link(host, told) => self.take_link(&host, told),
            Message::Agents(Heard::Gap) => {
                // A controller that does not answer is said at the next order.
                let _ = self.ask_agents();
                let ended = self.agents.as_mut().map(Agents::give_again).unwrap_or_default();
                for (key, outcome) in ended {
                    self.end(&key, agent_outcome(outcome));
                }
            }
            Message::Agents(Heard::Event(event)) => {
                if let Ok(host) = HostId::new(&event.host) {
                    self.take_agent(&host, event.what);
                }
            }
            Message::Progress(key, progress) => self.ready.push(DriverEvent::Progress { key, progress }),
            Message::Ended(key, outcome, seen) => {
                for (host, uuid, domain) in seen {
                    self.pool.see_domain(&host, uuid, domain.map(|domain| *domain));
                }
                self.end(&key, outcome);
            }
        }
    }

    fn take_link(&mut self, host: &HostId, told: link::Told) {
        match told {
            link::Told::Up(read) => {
                if let Some(known) = self.pool.host(host) {
                    known.read = Some(*read);
                    known.silent = None;
                }
            }
            link::Told::Guest(domain) => {
                let uuid = domain.domain.uuid;
                self.pool.see_domain(host, uuid, Some(*domain));
            }
            link::Told::Gone(uuid) => self.pool.see_domain(host, uuid, None),
            link::Told::Down(reason) => {
                if let Some(known) = self.pool.host(host) {
                    known.silent = Some(reason);
                }
            }
        }
    }

    fn take_agent(&mut self, host: &HostId, what: HubEventKind) {
        match what {
            HubEventKind::Connected { status } => {
                if let Some(told) = self.pool.host(host) {
                    told.connected = true;
                    told.status = Some(*status);
                }
            }
            HubEventKind::Status { status } => {
                if let Some(told) = self.pool.host(host) {
                    told.status = Some(*status);
                }
            }
            HubEventKind::Lost { .. } => {
                if let Some(told) = self.pool.host(host) {
                    told.connected = false;
                }
            }
            HubEventKind::Progress { key, done, total, .. } => {
                if let Some(key) = self.agents.as_ref().and_then(|agents| agents.effect_of(&key)) {
                    let progress = Progress { done, total };
                    self.ready.push(DriverEvent::Progress { key: key.clone(), progress });
                }
            }
            HubEventKind::Outcome { key, outcome } => {
                if let Some(key) = self.agents.as_mut().and_then(|agents| agents.ended(&key)) {
                    self.end(&key, agent_outcome(outcome));
                }
            }
            HubEventKind::Certificate { .. }
            | HubEventKind::Revoked { .. }
            | HubEventKind::Changed { .. } => {}
        }
    }

    /// What is seen of the world is told before the outcome of what changed it.
    fn end(&mut self, key: &EffectKey, outcome: Outcome) {
        self.at_work.remove(key);
        let news = self.pool.news();
        self.ready.extend(news);
        self.ready.push(DriverEvent::Outcome { key: key.clone(), outcome });
    }

    fn answer(&mut self, key: &EffectKey, answer: Answer) {
        self.end(key, work::outcome(answer));
    }

    /// Orders a command of a host's agent.
    fn order(&mut self, key: &EffectKey, effect: &Effect, host: &HostId, command: AgentCommand) {
        let now = self.now();
        let Some(agents) = self.agents.as_mut() else {
            let reason = format!(
                "the pool has no controller of agents, so {host} cannot be told to {effect}; name its socket as \
                 `controller` in the pool's kvm.toml"
            );
            return self.answer(key, Err((reason, false)));
        };
        match agents.order(key, effect, host, command, now) {
            Ok(None) => drop(self.at_work.insert(key.clone(), effect.clone())),
            Ok(Some(outcome)) => self.end(key, agent_outcome(outcome)),
            Err(reason) => self.answer(key, Err((reason, true))),
        }
    }

    /// Does work in a thread of its own; its end comes as a message.
    fn spawn(
        &mut self,
        key: &EffectKey,
        effect: &Effect,
        job: impl FnOnce(&mut dyn FnMut(Progress)) -> (Outcome, Seen) + Send + 'static,
    ) {
        self.at_work.insert(key.clone(), effect.clone());
        let (tell, key) = (self.sender.clone(), key.clone());
        std::thread::spawn(move || {
            let mut progress = |progress| drop(tell.send(Message::Progress(key.clone(), progress)));
            let (outcome, seen) = job(&mut progress);
            // Nobody listens any more only when the driver was dropped; the next one looks where the guest is.
            let _ = tell.send(Message::Ended(key, outcome, seen));
        });
    }

    /// The connection to a host, or why there is none.
    fn connection(&self, host: &HostId) -> Result<Connection, (String, bool)> {
        let link = self.links.get(host).ok_or_else(|| (format!("the pool has no host {host}"), false))?;
        link.current().ok_or_else(|| {
            let why = self.silent(host).map_or_else(String::new, |why| format!(": {why}"));
            (format!("libvirt of {host} does not answer{why}"), true)
        })
    }

    /// A guest's name in libvirt.
    fn known(&mut self, guest: &GuestId) -> Result<(Uuid, String), (String, bool)> {
        match self.pool.guest(guest) {
            Some(known) => Ok((known.uuid, known.name.clone())),
            None => Err((format!("the pool has no guest {guest}"), false)),
        }
    }

    fn migrate(&mut self, key: &EffectKey, effect: &Effect, guest: &GuestId, from: &HostId, to: &HostId) {
        match self.prepare(guest, from, to) {
            Ok((job, source, target, uri)) => self.spawn(key, effect, move |progress| {
                // The call lasts as long as the migration: it has a connection of its own.
                match Connection::open(&uri) {
                    Ok(call) => migrate::run(&job, &Ends { call, source, target }, progress),
                    Err(error) => {
                        let reason = format!("{} cannot be reached: {}", job.from, chain(&error));
                        (Outcome::Failed { reason, retriable: true }, Vec::new())
                    }
                }
            }),
            Err(refusal) => self.answer(key, Err(refusal)),
        }
    }

    fn prepare(
        &mut self,
        guest: &GuestId,
        from: &HostId,
        to: &HostId,
    ) -> Result<(Move, Connection, Connection, Uri), (String, bool)> {
        let (uuid, name) = self.known(guest)?;
        let (source, target) = (self.connection(from)?, self.connection(to)?);
        if self.pool.marks().get(to).is_some() {
            return Err((format!("{to} is in maintenance and takes no guests"), false));
        }
        self.pool.room_for(guest, to)?;
        let host =
            self.pool.settings.host(to).ok_or_else(|| (format!("the pool has no host {to}"), false))?;
        let (peer, migrate_uri) = (host.peer().to_owned(), host.migrate_uri.clone());
        let uri = self.links.get(from).map(|link| link.uri().clone());
        let uri = uri.ok_or_else(|| (format!("the pool has no host {from}"), false))?;
        let settings = self.pool.settings.migration.clone();
        let now_on = self.pool.guest(guest).is_some_and(|known| known.facts.auto_start);
        let local_disks =
            if settings.local_disks == LocalDisks::Copy { self.pool.local_disks(guest) } else { Vec::new() };
        let autostart = now_on || self.pool.marks().started_with_host(&uuid);
        let job = Move {
            uuid,
            name,
            from: from.clone(),
            to: to.clone(),
            peer,
            migrate_uri,
            autostart,
            local_disks,
            settings,
        };
        Ok((job, source, target, uri))
    }

    /// What is known of a host against installing `release` on it.
    fn check(&self, host: &HostId, release: &ReleaseRef, retry: bool) -> Answer {
        let Some(told) = self.pool.hosts.get(host) else {
            return Err((format!("the pool has no host {host}"), false));
        };
        if let Some(why) = &told.silent {
            return Err((format!("libvirt of {host} does not answer: {why}"), true));
        }
        let Some(status) = told.status.as_ref().filter(|_| told.connected) else {
            return Err((format!("the agent of {host} is not connected; see: lifeboatd host list"), true));
        };
        if status.banks.is_empty() {
            let notes = status.notes.join("; ");
            return Err((
                format!("the agent of {host} does not know what is installed there: {notes}"),
                false,
            ));
        }
        if let Some(held) = &status.held {
            return Err((format!("{host} is held back from rebooting: {held}"), false));
        }
        if !self.releases.contains_key(&release.digest) {
            return Err((format!("the bundle of {release} is not offered to the hosts"), false));
        }
        takes_release(host, status, release, retry)
    }
}

impl Hypervisor for LibvirtDriver {
    fn observe(&mut self) -> Result<World, DriverError> {
        let hosts: BTreeSet<HostId> = self.links.keys().cloned().collect();
        self.look(&hosts)?;
        Ok(self.pool.world()?)
    }

    fn look_at(&mut self, hosts: &BTreeSet<HostId>) -> Result<Vec<HostLook>, DriverError> {
        self.look(hosts)?;
        let world = self.pool.world()?;
        let looks = hosts.iter().filter_map(|id| world.host(id)).map(|host| HostLook {
            host: host.clone(),
            guests: world.guests_on(&host.id).cloned().collect(),
        });
        Ok(looks.collect())
    }

    fn survey(&mut self, release: Option<&ReleaseRef>) -> Result<Survey, DriverError> {
        let world = self.observe()?;
        let at = self.now();
        let release = release.and_then(|release| self.releases.get(&release.digest)).cloned();
        Ok(survey::look(&mut self.pool, world, release, at))
    }

    fn set_fence(&mut self, fence: u64) {
        if let Some(agents) = self.agents.as_mut() {
            agents.set_fence(fence);
        }
    }

    fn start(&mut self, key: &EffectKey, effect: &Effect) -> Result<(), DriverError> {
        if let Some(at_work) = self.at_work.get(key) {
            if at_work != effect {
                // Its outcome would be taken for that of the new one.
                let reason = format!("the order before it is still at work: {at_work}");
                let outcome = Outcome::Failed { reason, retriable: true };
                self.ready.push(DriverEvent::Outcome { key: key.clone(), outcome });
            }
            return Ok(());
        }
        match effect {
            Effect::CheckHost { host, release, retry } => {
                let answer = self.check(host, release, *retry);
                self.answer(key, answer);
            }
            Effect::SaveState { host } => self.order(key, effect, host, AgentCommand::SaveState),
            Effect::EnterMaintenance { host } => {
                let answer = self.enter(host);
                self.answer(key, answer);
            }
            Effect::LeaveMaintenance { host } => {
                let answer = self.leave(host);
                self.answer(key, answer);
            }
            Effect::Migrate { guest, from, to } | Effect::Place { guest, from, to } => {
                self.migrate(key, effect, guest, from, to);
            }
            Effect::Stage { host, release } => {
                self.order(key, effect, host, AgentCommand::Stage { release: release.clone() });
            }
            Effect::Install { host, release, bank, retry } => {
                // The agent writes the bank that does not run; if that is another one than planned, nothing is done.
                if self.status(host).is_some_and(|status| status.active == *bank) {
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
            Effect::Restart { host, boot_id_before } => {
                let active = self.status(host).filter(|status| status.kind == HostKind::Banks);
                let boot_id_before = boot_id_before.clone();
                let command = match active {
                    Some(status) => AgentCommand::RebootInto { bank: status.active, boot_id_before },
                    None => AgentCommand::Reboot { boot_id_before },
                };
                self.order(key, effect, host, command);
            }
            Effect::StopGuest { guest, host } => self.power(key, effect, guest, host, false),
            Effect::StartGuest { guest, host } => self.power(key, effect, guest, host, true),
            Effect::SuspendFeature { feature, .. } | Effect::RestoreFeature { feature, .. } => {
                self.answer(key, Err((format!("a pool of libvirt hosts has no feature {feature}"), false)));
            }
            Effect::Mend { fix } | Effect::Unmend { fix } => {
                self.answer(key, Err((format!("a pool of libvirt hosts cannot do this: {fix}"), false)));
            }
            Effect::RunHook { .. } | Effect::RunGate { .. } => {
                self.answer(key, Err((format!("this is not done by a driver: {effect}"), false)));
            }
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<DriverEvent>, DriverError> {
        let wait = if self.ready.is_empty() { wait } else { Duration::ZERO };
        match self.inbox.recv_timeout(wait) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        self.take_all();
        let news = self.pool.news();
        self.ready.extend(news);
        Ok(std::mem::take(&mut self.ready))
    }

    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl LibvirtDriver {
    /// Asks hosts and agents afresh, and takes over what was told meanwhile.
    fn look(&mut self, hosts: &BTreeSet<HostId>) -> Result<(), DriverError> {
        self.ask(hosts);
        self.ask_agents().map_err(|reason| DriverError::Unreachable {
            doing: format!("looking at pool {}", self.pool.name),
            reason,
            remedy: "see: lifeboatd host list".to_owned(),
        })?;
        self.take_all();
        let suspects = self.pool.suspects();
        let twice = if suspects.is_empty() {
            suspects
        } else {
            // All hosts once more: a guest that went over meanwhile is then on one.
            std::thread::sleep(AGAIN);
            let all = self.links.keys().cloned().collect();
            self.ask(&all);
            self.take_all();
            self.pool.suspects().intersection(&suspects).copied().collect()
        };
        self.pool.believe(twice);
        Ok(())
    }

    fn take_all(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            self.take(message);
        }
    }

    fn enter(&mut self, host: &HostId) -> Answer {
        let conn = self.connection(host)?;
        let now = self.now();
        power::enter(&conn, host, self.pool.marks_mut(), now)
    }

    fn leave(&mut self, host: &HostId) -> Answer {
        let conn = self.connection(host)?;
        let elsewhere = self.pool.elsewhere(host);
        power::leave(&conn, host, self.pool.marks_mut(), &elsewhere)
    }

    fn power(&mut self, key: &EffectKey, effect: &Effect, guest: &GuestId, host: &HostId, run: bool) {
        let ready = self.known(guest).and_then(|known| Ok((known, self.connection(host)?)));
        match ready {
            Ok(((uuid, name), conn)) => {
                let host = host.clone();
                self.spawn(key, effect, move |_| power::switch(&conn, &host, uuid, &name, run));
            }
            Err(refusal) => self.answer(key, Err(refusal)),
        }
    }
}

fn agent_outcome(outcome: AgentOutcome) -> Outcome {
    match outcome {
        AgentOutcome::Done { detail } => Outcome::Done { detail: Some(detail) },
        AgentOutcome::Failed { reason, retriable } => Outcome::Failed { reason, retriable },
    }
}
