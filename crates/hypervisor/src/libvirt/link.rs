//! The connection to one host, kept up.
//!
//! Owns: a thread that connects, listens to the host's events, answers questions, and connects again. Promises: what
//! changes is told without being asked for; a host that is gone is told once, with the reason; after a reconnection
//! everything is read afresh. Does not: judge, or keep what it read.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lifeboat_libvirt::{ConnectOptions, Connection, Domain, Event, EventKind, Uri, Uuid};
use lifeboat_model::{HostId, chain};

use super::read::{DomainRead, HostRead, read_domain, read_host};

/// First and longest pause before connecting again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Longest wait for the answer to one question; a call has its own limit below this.
const ANSWER: Duration = Duration::from_secs(90);

/// What a link tells.
#[derive(Debug)]
pub(super) enum Told {
    /// The host answers, and this is how it is.
    Up(Box<HostRead>),
    /// A guest on it is seen anew.
    Guest(Box<DomainRead>),
    /// A guest is not on it any more.
    Gone(Uuid),
    /// The host does not answer.
    Down(String),
}

enum Ask {
    Read(Sender<Result<HostRead, String>>),
    Event(u64, Event),
    End,
}

/// The connection to one host.
#[derive(Debug)]
pub(super) struct Link {
    uri: Uri,
    asks: Sender<Ask>,
    current: Arc<Mutex<Option<Connection>>>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// Begins to connect, and tells into `tell`.
    pub(super) fn open(host: HostId, uri: Uri, tell: impl Fn(HostId, Told) + Send + 'static) -> Self {
        let (asks, receiver) = channel();
        let current = Arc::new(Mutex::new(None));
        let worker = Worker {
            uri: uri.clone(),
            own: asks.clone(),
            current: Arc::clone(&current),
            tell: Box::new(move |told| tell(host.clone(), told)),
            generation: 0,
            down: None,
        };
        let thread = thread::spawn(move || worker.run(&receiver));
        Self { uri, asks, current, thread: Some(thread) }
    }

    /// Asks the host how it is; the answer comes through what is returned.
    pub(super) fn ask(&self) -> Answer {
        let (sender, receiver) = channel();
        // A thread that ended has dropped its end: the answer then says so.
        let _ = self.asks.send(Ask::Read(sender));
        Answer(receiver)
    }

    /// The connection of now, if there is one.
    pub(super) fn current(&self) -> Option<Connection> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it connects to.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.asks.send(Ask::End);
        if let Some(conn) = self.current.lock().unwrap_or_else(PoisonError::into_inner).take() {
            conn.close();
        }
        // It may be in a connection attempt of some seconds, and needs nothing of us: it ends by itself.
        drop(self.thread.take());
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub(super) struct Answer(Receiver<Result<HostRead, String>>);

impl Answer {
    /// Waits for it.
    pub(super) fn wait(self, limit: Duration) -> Result<HostRead, String> {
        self.0.recv_timeout(limit.min(ANSWER)).unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => format!("it gave no answer for {} s", limit.as_secs()),
                RecvTimeoutError::Disconnected => "its link ended".to_owned(),
            })
        })
    }
}

struct Worker {
    uri: Uri,
    own: Sender<Ask>,
    current: Arc<Mutex<Option<Connection>>>,
    tell: Box<dyn Fn(Told) + Send>,
    /// Counts connections, so that events of an old one are told from those of the present one.
    generation: u64,
    /// Why the host does not answer, as it was told last.
    down: Option<String>,
}

impl Worker {
    fn run(mut self, asks: &Receiver<Ask>) {
        let mut pause = PAUSES.0;
        let options = ConnectOptions { call_timeout: Duration::from_secs(30), ..ConnectOptions::default() };
        loop {
            let reason = match self.connect(&options) {
                Ok(conn) => {
                    pause = PAUSES.0;
                    match self.serve(&conn, asks) {
                        Some(reason) => reason,
                        None => return,
                    }
                }
                Err(reason) => reason,
            };
            self.set(None);
            if self.down.as_ref() != Some(&reason) {
                self.down = Some(reason.clone());
                (self.tell)(Told::Down(reason.clone()));
            }
            if !wait(asks, pause, &reason) {
                return;
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn set(&self, conn: Option<Connection>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = conn;
    }

    fn connect(&mut self, options: &ConnectOptions) -> Result<Connection, String> {
        let conn = Connection::open_with(&self.uri, options).map_err(|error| chain(&error))?;
        self.generation += 1;
        // Before the first look: what changes after it is told.
        let events = conn.subscribe(&[EventKind::Lifecycle]).map_err(|error| chain(&error))?;
        let (own, generation) = (self.own.clone(), self.generation);
        thread::spawn(move || {
            for event in events {
                let last = matches!(event, Event::Closed(_));
                if own.send(Ask::Event(generation, event)).is_err() || last {
                    return;
                }
            }
            let ended = Event::Closed(lifeboat_libvirt::CloseReason::Asked);
            let _ = own.send(Ask::Event(generation, ended));
        });
        self.look(&conn)?;
        self.down = None;
        self.set(Some(conn.clone()));
        Ok(conn)
    }

    fn look(&self, conn: &Connection) -> Result<HostRead, String> {
        let read = read_host(conn).map_err(|error| chain(&error))?;
        (self.tell)(Told::Up(Box::new(read.clone())));
        Ok(read)
    }

    /// Serves a connection; says why it ended, or nothing if the link is not wanted any more.
    fn serve(&mut self, conn: &Connection, asks: &Receiver<Ask>) -> Option<String> {
        loop {
            let first = asks.recv().ok()?;
            let mut changed: BTreeMap<Uuid, Domain> = BTreeMap::new();
            let (mut readers, mut everything, mut closed) = (Vec::new(), false, None);
            // Events come in bursts: each guest is looked at once for all of them.
            for ask in std::iter::once(first).chain(asks.try_iter()) {
                match ask {
                    Ask::End => return None,
                    Ask::Read(reply) => readers.push(reply),
                    Ask::Event(generation, event) if generation == self.generation => match event {
                        Event::Lifecycle { domain, .. } => drop(changed.insert(domain.uuid, domain)),
                        Event::Missed(_) => everything = true,
                        Event::Closed(reason) => closed = Some(reason.to_string()),
                        // Nothing else was subscribed to.
                        _ => {}
                    },
                    Ask::Event(..) => {}
                }
            }
            if let Some(reason) = closed.or_else(|| conn.closed().map(|reason| reason.to_string())) {
                for reply in readers {
                    let _ = reply.send(Err(reason.clone()));
                }
                return Some(reason);
            }
            if everything || !readers.is_empty() {
                let answer = self.look(conn);
                for reply in readers {
                    // Who asked may have stopped waiting.
                    let _ = reply.send(answer.clone());
                }
                continue;
            }
            for (uuid, domain) in changed {
                match read_domain(conn, domain) {
                    Ok(Some(read)) => (self.tell)(Told::Guest(Box::new(read))),
                    Ok(None) => (self.tell)(Told::Gone(uuid)),
                    // The end of the connection is told by its own event; any other trouble by the next look.
                    Err(_) => {}
                }
            }
        }
    }
}

/// Waits before the next attempt and answers that there is no connection; false if the link is not wanted any more.
fn wait(asks: &Receiver<Ask>, pause: Duration, reason: &str) -> bool {
    let until = std::time::Instant::now() + pause;
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        match asks.recv_timeout(left) {
            Ok(Ask::Read(reply)) => drop(reply.send(Err(reason.to_owned()))),
            Ok(Ask::Event(..)) => {}
            Ok(Ask::End) | Err(RecvTimeoutError::Disconnected) => return false,
            Err(RecvTimeoutError::Timeout) => return true,
        }
    }
}
