//! What all connections share.
//!
//! Owns: the folder of the controller with its lock, the ledger, the authority, who is connected, events. Promises:
//! one process has the folder; an order is given to its host at once if it is connected, and at every connection
//! until its outcome came. Does not: touch sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifeboat_model::PoolName;
use lifeboat_model::agent::{AgentOutcome, AgentStatus, ControllerMessage};
use lifeboat_wire::{
    Authority, AuthorityError, HubEventKind, Order, Revocations, RevokedError, SERVER_LIFE, ServerKeys,
    Subject, TlsError, make_folder, write_durably,
};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use crate::time::now_secs;
use crate::{Entry, EventLog, Ledger, LedgerError, Settings};

const SCHEMA: u32 = 1;

/// Why the controller cannot work.
#[derive(Debug, Error)]
pub enum ControllerError {
    /// A file failed.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process has the folder.
    #[error("{} is in use by another lifeboatd; give this command while it runs and names the right --socket, or stop it", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// `controller.json` is not what it should be.
    #[error("{} is damaged: put it back from a backup, or write it anew with `lifeboatd init --again`", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// The authority.
    #[error("the pool's authority")]
    Authority {
        /// The cause.
        #[source]
        source: AuthorityError,
    },
    /// The ledger.
    #[error("what lifeboatd remembers")]
    Ledger {
        /// The cause.
        #[source]
        source: LedgerError,
    },
    /// The revocation list.
    #[error("what lifeboatd refuses")]
    Revoked {
        /// The cause.
        #[source]
        source: RevokedError,
    },
    /// TLS.
    #[error("the port for agents")]
    Tls {
        /// The cause.
        #[source]
        source: TlsError,
    },
}

/// The file `controller.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Form {
    schema: u32,
    /// Names and addresses in the server's certificate.
    names: Vec<String>,
}

/// A connection's mailbox.
#[derive(Debug)]
pub(crate) enum Mail {
    /// To be sent.
    Say(Box<ControllerMessage>),
    /// The connection ends.
    Close(String),
}

/// A host's connection.
#[derive(Debug)]
struct Link {
    generation: u64,
    mail: UnboundedSender<Mail>,
    since: u64,
    address: SocketAddr,
}

/// What is known of hosts only as long as this process lives.
#[derive(Debug, Default)]
pub(crate) struct Live {
    links: BTreeMap<String, Link>,
    /// Last word of each host, with its time.
    pub(crate) last: BTreeMap<String, (u64, Box<AgentStatus>)>,
    /// Why a host was refused last.
    pub(crate) refused: BTreeMap<String, String>,
    /// Orders that a host may have seen: they cannot be taken back.
    given: BTreeSet<(String, String)>,
    /// Orders that are being taken back: they are not given.
    withdrawing: BTreeSet<(String, String)>,
    generation: u64,
}

/// A controller.
#[derive(Debug)]
pub struct Controller {
    /// Settings.
    pub settings: Settings,
    /// What must not be forgotten.
    pub ledger: Ledger,
    /// What happened.
    pub events: EventLog,
    /// The pool's authority.
    pub authority: Authority,
    /// What is refused.
    pub revocations: Arc<Revocations>,
    names: Vec<String>,
    live: Mutex<Live>,
    /// One enrolment or revocation at a time.
    pub(crate) certificates: tokio::sync::Mutex<()>,
    port: Mutex<u16>,
    _lock: File,
}

impl Controller {
    /// Makes the folder and the authority. `again` keeps an authority that is there, and writes the names anew.
    pub fn init(
        settings: &Settings,
        pool: &PoolName,
        names: &[String],
        again: bool,
    ) -> Result<(), ControllerError> {
        let folder = &settings.dir;
        make_folder(folder).map_err(file_error("making", folder))?;
        let _lock = lock_folder(folder)?;
        let ca = folder.join("ca");
        let made = Authority::create(&ca, pool, now_secs());
        let authority = match made {
            Err(AuthorityError::Exists { .. }) if again => Authority::open(&ca),
            made => made,
        }
        .map_err(|source| ControllerError::Authority { source })?;
        // Shows now whether the names can stand in a certificate.
        authority
            .issue_named(Subject::Server, names, now_secs(), SERVER_LIFE)
            .map_err(|source| ControllerError::Authority { source })?;
        let path = folder.join("controller.json");
        let form = Form { schema: SCHEMA, names: names.to_vec() };
        let bytes = serde_json::to_vec_pretty(&form).unwrap_or_default();
        write_durably(&path, &bytes).map_err(file_error("writing", &path))
    }

    /// Opens the folder that the settings name.
    pub fn open(settings: Settings) -> Result<Self, ControllerError> {
        let folder = settings.dir.clone();
        let authority_error = |source| ControllerError::Authority { source };
        let ca = folder.join("ca");
        if !ca.join("authority.crt").exists() {
            return Err(authority_error(AuthorityError::None { folder: ca }));
        }
        let lock = lock_folder(&folder)?;
        let path = folder.join("controller.json");
        let bytes = std::fs::read(&path).map_err(file_error("reading", &path))?;
        let form: Form = serde_json::from_slice(&bytes)
            .map_err(|source| ControllerError::Damaged { path: path.clone(), source })?;
        let authority = Authority::open(&ca).map_err(authority_error)?;
        let revocations = Revocations::open(&ca.join("revoked.json"))
            .map_err(|source| ControllerError::Revoked { source })?;
        let ledger = Ledger::open(&folder.join("controller.journal"))
            .map_err(|source| ControllerError::Ledger { source })?;
        let mut names = form.names;
        for name in &settings.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut live = Live::default();
        for (host, book) in &ledger.book().hosts {
            live.given.extend(book.orders.iter().map(|order| (host.clone(), order.key.clone())));
        }
        // Two streams with one name would hide a gap.
        let stream = format!("{:x}-{:x}", crate::time::now_millis(), getrandom::u64().unwrap_or(0));
        let controller = Self {
            port: Mutex::new(settings.listen.port()),
            settings,
            ledger,
            events: EventLog::new(stream),
            authority,
            revocations: Arc::new(revocations),
            names,
            live: Mutex::new(live),
            certificates: tokio::sync::Mutex::new(()),
            _lock: lock,
        };
        controller.publish_revocations()?;
        Ok(controller)
    }

    /// A key and certificate for the port of agents.
    pub fn server_keys(&self) -> Result<ServerKeys, ControllerError> {
        let (certificate, key) = self.server_certificate()?;
        ServerKeys::new(&certificate, &key, self.authority.der())
            .map_err(|source| ControllerError::Tls { source })
    }

    /// Puts a new key and certificate in the place of the port's.
    pub fn renew_server_keys(&self, keys: &ServerKeys) -> Result<(), ControllerError> {
        let (certificate, key) = self.server_certificate()?;
        keys.replace(&certificate, &key, self.authority.der())
            .map_err(|source| ControllerError::Tls { source })
    }

    fn server_certificate(&self) -> Result<(String, String), ControllerError> {
        let issued = self
            .authority
            .issue_named(Subject::Server, &self.names, now_secs(), SERVER_LIFE)
            .map_err(|source| ControllerError::Authority { source })?;
        Ok((issued.certificate, issued.key.unwrap_or_default()))
    }

    /// Writes the revocation list for others than lifeboatd.
    pub fn publish_revocations(&self) -> Result<(), ControllerError> {
        let path = self.settings.dir.join("ca/revoked.crl");
        let text = self.revocation_list().map_err(|source| ControllerError::Authority { source })?;
        write_durably(&path, text.as_bytes()).map_err(file_error("writing", &path))
    }

    /// The revocation list, PEM.
    pub(crate) fn revocation_list(&self) -> Result<String, AuthorityError> {
        let list = self.revocations.list();
        self.authority.revocation_list(list.number, &list.serials, now_secs())
    }

    /// Where agents dial, for people.
    pub fn agent_address(&self) -> String {
        let name = self.names.first().map_or("localhost", String::as_str);
        let port = *self.port.lock().unwrap_or_else(PoisonError::into_inner);
        if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
    }

    /// Says which port was opened.
    pub fn keep_port(&self, port: u16) {
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = port;
    }

    /// Life of a host's certificate.
    pub(crate) fn agent_life(&self) -> Duration {
        Duration::from_secs(self.settings.agent_certificate_secs)
    }

    pub(crate) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host is connected: an older connection of it ends, and every open order is put into its mailbox.
    pub(crate) fn connected(
        &self,
        host: &str,
        address: SocketAddr,
        mail: UnboundedSender<Mail>,
        status: Box<AgentStatus>,
    ) -> u64 {
        let now = crate::time::now_millis();
        let mut live = self.live();
        live.generation += 1;
        let generation = live.generation;
        let orders = self.ledger.book().hosts.get(host).map(|book| book.orders.clone()).unwrap_or_default();
        for order in orders {
            live.give(&mail, order);
        }
        let link = Link { generation, mail, since: now, address };
        if let Some(old) = live.links.insert(host.to_owned(), link) {
            let _ = old.mail.send(Mail::Close("the host connected anew".to_owned()));
        }
        live.refused.remove(host);
        live.last.insert(host.to_owned(), (now, status.clone()));
        // Told under the lock: a connection's events stand in their order.
        self.events.tell(host, HubEventKind::Connected { status });
        generation
    }

    /// A host's connection ended.
    pub(crate) fn lost(&self, host: &str, generation: u64, reason: String) {
        let mut live = self.live();
        if live.links.get(host).is_some_and(|link| link.generation == generation) {
            live.links.remove(host);
            self.events.tell(host, HubEventKind::Lost { reason });
        }
    }

    /// A host told how it is.
    pub(crate) fn heard(&self, host: &str, status: Box<AgentStatus>) {
        let mut live = self.live();
        let now = crate::time::now_millis();
        let changed = live.last.get(host).is_none_or(|(_, before)| !same(before, &status));
        live.last.insert(host.to_owned(), (now, status.clone()));
        if changed {
            self.events.tell(host, HubEventKind::Status { status });
        }
    }

    /// Gives orders that are in the ledger to their hosts.
    pub(crate) fn give(&self, orders: Vec<Order>) {
        let mut live = self.live();
        for order in orders {
            let Some(mail) = live.links.get(&order.host).map(|link| link.mail.clone()) else { continue };
            live.give(&mail, order);
        }
    }

    /// Ends the connection of a host, if it has one.
    pub(crate) fn close(&self, host: &str, reason: &str) -> bool {
        let live = self.live();
        live.links.get(host).is_some_and(|link| link.mail.send(Mail::Close(reason.to_owned())).is_ok())
    }

    /// Keeps the outcome of an order, and tells it.
    pub(crate) async fn ended(
        &self,
        host: &str,
        key: String,
        outcome: AgentOutcome,
    ) -> Result<(), Arc<LedgerError>> {
        if self.ledger.book().hosts.get(host).is_none_or(|book| book.open(&key).is_none()) {
            // Told before, or never ordered.
            return Ok(());
        }
        let entry = Entry::Ended { host: host.to_owned(), key: key.clone(), outcome: outcome.clone() };
        if self.ledger.append(vec![entry]).await? == [true] {
            self.live().given.remove(&(host.to_owned(), key.clone()));
            self.events.tell(host, HubEventKind::Outcome { key, outcome });
        }
        Ok(())
    }
}

impl Live {
    fn give(&mut self, mail: &UnboundedSender<Mail>, order: Order) {
        let name = (order.host, order.key.clone());
        if self.withdrawing.contains(&name) {
            return;
        }
        self.given.insert(name);
        let (key, command, fence) = (order.key, order.command, order.fence);
        // A connection that ended has its successor, which gives it again.
        let _ = mail.send(Mail::Say(Box::new(ControllerMessage::Command { key, command, fence })));
    }

    /// Keeps an order from being given, if it was not yet.
    pub(crate) fn withhold(&mut self, host: &str, key: &str) -> bool {
        let name = (host.to_owned(), key.to_owned());
        !self.given.contains(&name) && self.withdrawing.insert(name)
    }

    /// It may be given again, or is gone.
    pub(crate) fn release(&mut self, host: &str, key: &str) {
        self.withdrawing.remove(&(host.to_owned(), key.to_owned()));
    }

    /// Since when a host is connected, and from where.
    pub(crate) fn link(&self, host: &str) -> Option<(u64, SocketAddr)> {
        self.links.get(host).map(|link| (link.since, link.address))
    }
}

/// Whether nothing changed but the time.
fn same(one: &AgentStatus, other: &AgentStatus) -> bool {
    AgentStatus { uptime: other.uptime, ..one.clone() } == *other
}

fn lock_folder(folder: &Path) -> Result<File, ControllerError> {
    let path = folder.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(file_error("opening", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ControllerError::Busy { folder: folder.to_owned() }),
        Err(error) => Err(file_error("locking", &path)(error.into())),
    }
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ControllerError + use<> {
    let path = path.to_owned();
    move |source| ControllerError::File { doing, path, source }
}
