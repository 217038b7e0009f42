//! The port that the agents of the lab dial.
//!
//! Owns: connections, the check of each host's token, commands that wait for their outcome, downloads of bundles.
//! Promises: listens on the loopback address only; a command is sent again after every reconnection until its
//! outcome came; a peer that does not speak the protocol costs one connection and nothing else. Does not: start
//! machines, or decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lifeboat_model::Sha256Hex;
use lifeboat_model::agent::{
    AGENT_PROTOCOL, AgentCommand, AgentMessage, AgentOutcome, AgentStatus, ControllerMessage, MAX_LINE,
};

use super::LabError;

/// Longest silence of an agent; it gives a sign of life every five seconds.
const SILENCE: Duration = Duration::from_secs(30);
/// Connections at the same time: control and download of every host, and room for strays.
const MOST_CONNECTIONS: usize = 64;

/// What an agent told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentEvent {
    /// The host as it is now.
    Status(Box<AgentStatus>),
    /// A command is at work.
    Progress {
        /// The host.
        host: String,
        /// Key of the command.
        key: String,
        /// What is being done.
        step: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A command ended.
    Outcome {
        /// The host.
        host: String,
        /// Key of the command.
        key: String,
        /// How.
        outcome: AgentOutcome,
    },
    /// The connection of a host ended.
    Lost {
        /// The host.
        host: String,
    },
}

/// An open port.
#[derive(Debug)]
pub struct Listener {
    shared: Arc<Shared>,
    events: Receiver<AgentEvent>,
    accepting: Option<JoinHandle<()>>,
    port: u16,
}

#[derive(Debug)]
struct Shared {
    tokens: BTreeMap<String, String>,
    bundles: Mutex<BTreeMap<Sha256Hex, PathBuf>>,
    hosts: Mutex<BTreeMap<String, Link>>,
    events: Sender<AgentEvent>,
    closing: AtomicBool,
    connections: AtomicUsize,
    generation: AtomicUsize,
}

/// What is known of one host's connection.
#[derive(Debug, Default)]
struct Link {
    stream: Option<TcpStream>,
    generation: usize,
    /// Commands without an outcome.
    open: BTreeMap<String, AgentCommand>,
}

impl Listener {
    /// Opens `port` on the loopback address for hosts with their tokens.
    pub fn open(port: u16, tokens: BTreeMap<String, String>) -> Result<Self, LabError> {
        let failed = |source| LabError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (events, receiver) = channel();
        let shared = Arc::new(Shared {
            tokens,
            bundles: Mutex::default(),
            hosts: Mutex::default(),
            events,
            closing: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&shared, &listener))
        };
        Ok(Self { shared, events: receiver, accepting: Some(accepting), port })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets hosts download the bundle of a release.
    pub fn offer(&self, digest: Sha256Hex, bundle: PathBuf) {
        lock(&self.shared.bundles).insert(digest, bundle);
    }

    /// Gives `host` a command. It is kept until its outcome comes, and sent whenever the host connects.
    pub fn send(&self, host: &str, key: &str, command: AgentCommand) {
        let mut hosts = lock(&self.shared.hosts);
        let link = hosts.entry(host.to_owned()).or_default();
        link.open.insert(key.to_owned(), command.clone());
        if let Some(stream) = link.stream.as_mut() {
            // A failure shows itself to the reader of this connection; the command is sent on the next.
            let message = ControllerMessage::Command { key: key.to_owned(), command, fence: None };
            if write_line(stream, &message).is_err() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Whether a host is connected.
    pub fn connected(&self, host: &str) -> bool {
        lock(&self.shared.hosts).get(host).is_some_and(|link| link.stream.is_some())
    }

    /// The next event; none within `wait`.
    pub fn next(&self, wait: Duration) -> Option<AgentEvent> {
        self.events.recv_timeout(wait).ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        // One more connection wakes the thread that accepts; if it fails, the port is gone already.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for link in lock(&self.shared.hosts).values_mut() {
            if let Some(stream) = link.stream.take() {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        if shared.connections.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            shared.connections.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // Whatever ends a connection, the agent dials again; there is nobody here to be told.
            let _ = shared.talk(stream);
            shared.connections.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

impl Shared {
    fn talk(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        let Some(line) = read_line(&mut reader)? else { return Ok(()) };
        match serde_json::from_slice(&line) {
            Ok(AgentMessage::Hello { protocol, token, status }) => {
                match self.check(protocol, &status.host, &token) {
                    Ok(()) => self.control(writer, reader, status),
                    Err(reason) => write_line(&mut writer, &ControllerMessage::Refused { reason }),
                }
            }
            Ok(AgentMessage::Fetch { protocol, host, token, digest, offset }) => {
                match self.check(protocol, &host, &token).and_then(|()| self.bundle(digest)) {
                    Ok(path) => give(&mut writer, &path, offset),
                    Err(reason) => write_line(&mut writer, &ControllerMessage::Refused { reason }),
                }
            }
            Ok(
                AgentMessage::Enroll { .. }
                | AgentMessage::Renew { .. }
                | AgentMessage::Status { .. }
                | AgentMessage::Progress { .. }
                | AgentMessage::Outcome { .. },
            )
            | Err(_) => {
                let reason = "the first line must be a hello or a fetch of agent protocol 1".to_owned();
                write_line(&mut writer, &ControllerMessage::Refused { reason })
            }
        }
    }

    fn check(&self, protocol: u32, host: &str, token: &str) -> Result<(), String> {
        if protocol != AGENT_PROTOCOL {
            return Err(format!("the agent speaks protocol {protocol}, this controller {AGENT_PROTOCOL}"));
        }
        match self.tokens.get(host) {
            // Every byte is compared, so that the time tells nothing.
            Some(known) if same(known.as_bytes(), token.as_bytes()) => Ok(()),
            Some(_) | None => Err("host and token are not known here; was the lab made anew?".to_owned()),
        }
    }

    fn bundle(&self, digest: Sha256Hex) -> Result<PathBuf, String> {
        let found = lock(&self.bundles).get(&digest).cloned();
        found.ok_or_else(|| format!("no bundle of release {} is offered", digest.short()))
    }

    fn control(
        &self,
        mut writer: TcpStream,
        mut reader: BufReader<TcpStream>,
        status: Box<AgentStatus>,
    ) -> io::Result<()> {
        let host = status.host.clone();
        let generation = self.generation.fetch_add(1, Ordering::SeqCst);
        write_line(&mut writer, &ControllerMessage::Welcome { protocol: AGENT_PROTOCOL, alive_secs: 0 })?;
        {
            let mut hosts = lock(&self.hosts);
            let link = hosts.entry(host.clone()).or_default();
            for (key, command) in &link.open {
                let message =
                    ControllerMessage::Command { key: key.clone(), command: command.clone(), fence: None };
                write_line(&mut writer, &message)?;
            }
            if let Some(old) = link.stream.replace(writer) {
                drop(old.shutdown(Shutdown::Both));
            }
            link.generation = generation;
        }
        // Told last: whoever hears it may ask at once whether the host is connected.
        self.tell(AgentEvent::Status(status));
        let ended = self.listen(&host, &mut reader);
        let mut hosts = lock(&self.hosts);
        if let Some(link) = hosts.get_mut(&host)
            && link.generation == generation
        {
            link.stream = None;
            drop(hosts);
            self.tell(AgentEvent::Lost { host });
        }
        ended
    }

    fn listen(&self, host: &str, reader: &mut BufReader<TcpStream>) -> io::Result<()> {
        let host = host.to_owned();
        let mut ended = BTreeSet::new();
        while let Some(line) = read_line(reader)? {
            match serde_json::from_slice(&line).map_err(io::Error::other)? {
                AgentMessage::Status { status } if status.host == host => {
                    self.tell(AgentEvent::Status(status));
                }
                AgentMessage::Progress { key, step, done, total } => {
                    self.tell(AgentEvent::Progress { host: host.clone(), key, step, done, total });
                }
                AgentMessage::Outcome { key, outcome } => {
                    if let Some(link) = lock(&self.hosts).get_mut(&host) {
                        link.open.remove(&key);
                    }
                    if ended.insert(key.clone()) {
                        self.tell(AgentEvent::Outcome { host: host.clone(), key, outcome });
                    }
                }
                AgentMessage::Hello { .. }
                | AgentMessage::Fetch { .. }
                | AgentMessage::Enroll { .. }
                | AgentMessage::Renew { .. }
                | AgentMessage::Status { .. } => {
                    return Err(io::Error::other("a word that does not belong here"));
                }
            }
        }
        Ok(())
    }

    fn tell(&self, event: AgentEvent) {
        // Nobody listens any more only when the listener is being dropped.
        let _ = self.events.send(event);
    }
}

/// Gives the bytes of a bundle from `offset` on.
fn give(writer: &mut TcpStream, path: &PathBuf, offset: u64) -> io::Result<()> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    write_line(writer, &ControllerMessage::Bundle { len })?;
    file.seek(SeekFrom::Start(offset.min(len)))?;
    io::copy(&mut file.take(len.saturating_sub(offset)), writer)?;
    Ok(())
}

fn write_line(stream: &mut TcpStream, message: &ControllerMessage) -> io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}

/// One line without its end; none at the end of the stream.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    reader.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long")),
    }
}

fn same(one: &[u8], two: &[u8]) -> bool {
    one.len() == two.len() && one.iter().zip(two).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use lifeboat_model::agent::HostKind;
    use lifeboat_model::{Bank, Mib, Millis};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    fn status(host: &str) -> Box<AgentStatus> {
        Box::new(AgentStatus {
            host: host.to_owned(),
            boot_id: "boot-1".to_owned(),
            active: Bank::A,
            default: Some(Bank::A),
            version: "1".to_owned(),
            digest: None,
            banks: Vec::new(),
            floor: 0,
            failed: Vec::new(),
            on_trial: false,
            notes: Vec::new(),
            uptime: Millis(1),
            memory: Mib(1),
            agent: "test".to_owned(),
            kind: HostKind::Banks,
            health: Vec::new(),
            held: None,
            certificate_until: None,
        })
    }

    fn open() -> Listener {
        Listener::open(0, BTreeMap::from([("one".to_owned(), "secret".to_owned())])).unwrap()
    }

    fn dial(listener: &Listener, message: &AgentMessage) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port())).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.write_all(serde_json::to_string(message).unwrap().as_bytes()).unwrap();
        stream.write_all(b"\n").unwrap();
        BufReader::new(stream)
    }

    fn hello(token: &str) -> AgentMessage {
        AgentMessage::Hello { protocol: AGENT_PROTOCOL, token: token.to_owned(), status: status("one") }
    }

    fn answer(reader: &mut BufReader<TcpStream>) -> ControllerMessage {
        serde_json::from_slice(&read_line(reader).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_wrong_token_is_refused_with_a_reason() {
        let listener = open();
        let mut reader = dial(&listener, &hello("secre"));
        assert!(matches!(answer(&mut reader), ControllerMessage::Refused { .. }));
        assert!(read_line(&mut reader).unwrap().is_none());
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port())).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        assert!(matches!(answer(&mut BufReader::new(stream)), ControllerMessage::Refused { .. }));
    }

    #[test]
    fn a_command_is_sent_again_until_its_outcome_came() {
        let listener = open();
        listener.send("one", "k", AgentCommand::SaveState);
        for _ in 0..2 {
            let mut reader = dial(&listener, &hello("secret"));
            assert_eq!(
                answer(&mut reader),
                ControllerMessage::Welcome { protocol: AGENT_PROTOCOL, alive_secs: 0 }
            );
            assert!(matches!(answer(&mut reader), ControllerMessage::Command { key, .. } if key == "k"));
        }
        let mut reader = dial(&listener, &hello("secret"));
        let outcome = AgentOutcome::Done { detail: String::new() };
        let message = AgentMessage::Outcome { key: "k".to_owned(), outcome };
        let line = serde_json::to_string(&message).unwrap() + "\n";
        reader.get_mut().write_all(line.as_bytes()).unwrap();
        while !matches!(listener.next(WAIT).unwrap(), AgentEvent::Outcome { .. }) {}
        let mut reader = dial(&listener, &hello("secret"));
        assert!(matches!(answer(&mut reader), ControllerMessage::Welcome { .. }));
        listener.send("one", "next", AgentCommand::Status);
        assert!(matches!(answer(&mut reader), ControllerMessage::Command { key, .. } if key == "next"));
    }

    #[test]
    fn a_download_goes_on_where_it_ended() {
        let listener = open();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        std::fs::write(&path, b"0123456789").unwrap();
        let digest = Sha256Hex::of(b"x");
        let fetch = |offset| AgentMessage::Fetch {
            protocol: AGENT_PROTOCOL,
            host: "one".to_owned(),
            token: "secret".to_owned(),
            digest,
            offset,
        };
        assert!(matches!(answer(&mut dial(&listener, &fetch(0))), ControllerMessage::Refused { .. }));
        listener.offer(digest, path);
        for (offset, rest) in [(0, "0123456789"), (7, "789"), (10, ""), (99, "")] {
            let mut reader = dial(&listener, &fetch(offset));
            assert_eq!(answer(&mut reader), ControllerMessage::Bundle { len: 10 });
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, rest);
        }
    }
}
