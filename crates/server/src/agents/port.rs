//! Who comes through the door, and how long they may stand in it.
//!
//! Owns: the listener, the limits of connections, the handshake, the first line. Promises: a peer that sends nothing,
//! or slowly, is gone after ten seconds; at most a fixed number of peers stand in the door; without a certificate
//! nothing but an enrolment is heard. When the door is full,
//! the slowest leave it. Does not: know the words behind the first.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lifeboat_model::HostId;
use lifeboat_model::agent::{AGENT_PROTOCOL, AgentMessage, ControllerMessage};
use lifeboat_wire::{PeerCertificate, ServerKeys, parse_line};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::download::give_bundle;
use super::enrol::enrol;
use super::lines::{Lines, say};
use super::session::converse;
use crate::Controller;

/// The port for agents if nothing else was said.
pub const AGENT_PORT: u16 = 7443;
/// Longest time for the handshake, and for the first line.
const DOOR: Duration = Duration::from_secs(10);
/// Peers that may be in the door at the same time.
const IN_DOOR: usize = 512;

/// How long a peer may stand in a door that is full.
const WHILE: Duration = Duration::from_secs(3);

/// What the connections of the port share.
pub(super) struct Shared {
    pub(super) controller: Arc<Controller>,
    /// Downloads at the same time.
    pub(super) downloads: Semaphore,
    acceptor: TlsAcceptor,
}

/// Serves agents until the process ends. `keys` may be replaced while it runs.
pub async fn serve_agents(
    controller: Arc<Controller>,
    keys: Arc<ServerKeys>,
    listener: TcpListener,
) -> Result<(), lifeboat_wire::TlsError> {
    let revocations = Arc::clone(&controller.revocations);
    let config = lifeboat_wire::server_config(keys, controller.authority.der(), revocations)?;
    let connections = Arc::new(Semaphore::new(controller.settings.max_connections));
    let door = Arc::new(Door::default());
    let shared = Arc::new(Shared {
        downloads: Semaphore::new(controller.settings.max_downloads),
        controller,
        acceptor: TlsAcceptor::from(Arc::new(config)),
    });
    loop {
        // Whoever comes meanwhile waits in the kernel's queue.
        let (number, sent_away) = door.step_in().await;
        let (socket, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a peer that is gone already.
                door.step_out(number);
                eprintln!("lifeboatd: accepting a connection: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&connections).try_acquire_owned() else {
            door.step_out(number);
            eprintln!("lifeboatd: {address} is turned away: max_connections is reached");
            continue;
        };
        let (shared, door) = (Arc::clone(&shared), Arc::clone(&door));
        tokio::spawn(async move {
            let entered = tokio::select! {
                entered = enter(&shared, socket) => entered,
                _ = sent_away => None,
            };
            door.step_out(number);
            if let Some(entered) = entered {
                // Whatever ends a connection, the agent dials again.
                let _ = welcome(&shared, entered, address).await;
            }
            drop(place);
        });
    }
}

/// Peers that did not say their first line yet.
#[derive(Debug, Default)]
struct Door {
    standing: Mutex<Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    /// Number of the newest.
    newest: u64,
    /// Since when each stands there; to drop its channel sends it away.
    peers: BTreeMap<u64, (Instant, oneshot::Sender<()>)>,
}

impl Door {
    /// One more stands in the door. When it is full, that waits until somebody leaves or has stood there for a while,
    /// and is sent away: whoever is in earnest needs a fraction of a second, and a thousand hosts that come back at
    /// once are not slow.
    async fn step_in(&self) -> (u64, oneshot::Receiver<()>) {
        loop {
            if let Some(stepped) = self.try_step_in() {
                return stepped;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn try_step_in(&self) -> Option<(u64, oneshot::Receiver<()>)> {
        let mut door = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if door.peers.len() >= IN_DOOR {
            door.peers.first_entry().filter(|oldest| oldest.get().0.elapsed() >= WHILE)?.remove();
        }
        let (mine, sent_away) = oneshot::channel();
        door.newest += 1;
        let number = door.newest;
        door.peers.insert(number, (Instant::now(), mine));
        Some((number, sent_away))
    }

    fn step_out(&self, number: u64) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).peers.remove(&number);
    }
}

/// A peer that shook hands and said its first line.
struct Entered {
    stream: TlsStream<TcpStream>,
    certificate: Option<PeerCertificate>,
    lines: Lines,
    first: Vec<u8>,
}

async fn enter(shared: &Shared, socket: TcpStream) -> Option<Entered> {
    socket.set_nodelay(true).ok()?;
    rustix::net::sockopt::set_socket_keepalive(&socket, true).ok()?;
    let mut stream = timeout(DOOR, shared.acceptor.accept(socket)).await.ok()?.ok()?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = shown.map(|der| PeerCertificate::read(der)).transpose().ok()?;
    let mut lines = Lines::default();
    let first = timeout(DOOR, async {
        loop {
            if let Some(line) = lines.next() {
                return Some(line);
            }
            if !lines.fill(&mut stream).await.ok()? {
                return None;
            }
        }
    });
    let first = first.await.ok()??;
    Some(Entered { stream, certificate, lines, first })
}

async fn welcome(shared: &Shared, entered: Entered, address: SocketAddr) -> io::Result<()> {
    let Entered { mut stream, certificate, lines, first } = entered;
    let controller = &shared.controller;
    let message = parse_line::<AgentMessage>(&first);
    drop(first);
    let spoken = match &message {
        Ok(
            AgentMessage::Hello { protocol, .. }
            | AgentMessage::Fetch { protocol, .. }
            | AgentMessage::Enroll { protocol, .. },
        ) => Some(*protocol),
        Ok(_) | Err(_) => None,
    };
    if let Some(other) = spoken.filter(|spoken| *spoken != AGENT_PROTOCOL) {
        let reason = format!(
            "the agent speaks protocol {other}, this controller {AGENT_PROTOCOL}: upgrade the older one"
        );
        return say(&mut stream, &ControllerMessage::Refused { reason }).await;
    }
    let refused = match (message, certificate) {
        (Ok(AgentMessage::Enroll { token, host, csr, .. }), None) => {
            return enrol(controller, &mut stream, &token, host.as_deref(), &csr).await;
        }
        (Ok(AgentMessage::Enroll { .. }), Some(_)) => {
            "an enrolment needs a connection without certificate".to_owned()
        }
        (Ok(AgentMessage::Hello { status, .. }), Some(certificate)) => {
            match known(controller, &certificate) {
                Ok(host) if host.as_str() == status.host => {
                    return converse(controller, stream, lines, &host, &certificate, status, address).await;
                }
                Ok(host) => {
                    let reason = format!(
                        "the certificate is of host {host}, and the agent calls itself {}: restart the agent, or enrol it \
                     under its name",
                        status.host
                    );
                    controller.live().refused.insert(host.as_str().to_owned(), reason.clone());
                    reason
                }
                Err(reason) => reason,
            }
        }
        (Ok(AgentMessage::Fetch { host: named, digest, offset, .. }), Some(certificate)) => {
            match known(controller, &certificate) {
                Ok(host) if host.as_str() == named => {
                    return give_bundle(shared, &mut stream, digest, offset).await;
                }
                Ok(host) => format!("the certificate is of host {host}, not of {named}"),
                Err(reason) => reason,
            }
        }
        (Ok(AgentMessage::Hello { .. } | AgentMessage::Fetch { .. }), None) => {
            "this needs a host's certificate: enrol the host first (lifeboatd host add NAME)".to_owned()
        }
        (Ok(_) | Err(_), _) => {
            format!(
                "the first line must be a hello, a fetch or an enrolment of agent protocol {AGENT_PROTOCOL}"
            )
        }
    };
    say(&mut stream, &ControllerMessage::Refused { reason: refused }).await
}

/// The host of a certificate, if it is one of this pool and still known. The signature was checked in the handshake.
fn known(controller: &Controller, certificate: &PeerCertificate) -> Result<HostId, String> {
    let Some((pool, host)) = &certificate.host else {
        return Err("the certificate names no host: it is not an agent's".to_owned());
    };
    if pool != controller.authority.pool() {
        return Err(format!("the certificate is of pool {pool}, this is {}", controller.authority.pool()));
    }
    // Revoked between the handshake and now.
    if let Some(reason) = controller.revocations.refuses(certificate) {
        return Err(reason);
    }
    if controller.ledger.book().hosts.contains_key(host.as_str()) {
        Ok(host.clone())
    } else {
        Err(format!("host {host} is not known here: add it again (lifeboatd host add {host}) and enrol it"))
    }
}
