//! The conversation with one agent.
//!
//! Owns: the order of its words, signs of life, the end of its certificate. Promises: who speaks is told by the
//! certificate; a silence of a minute ends it; it does not outlive the certificate that opened it. Does not: judge
//! what the host tells.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_model::HostId;
use lifeboat_model::agent::{AGENT_PROTOCOL, AgentMessage, AgentStatus, ControllerMessage};
use lifeboat_model::chain;
use lifeboat_wire::{HubEventKind, PeerCertificate, parse_line};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;

use super::enrol::renew;
use super::lines::{Lines, say};
use crate::Controller;
use crate::controller::Mail;
use crate::time::now_secs;

/// How often the controller gives a sign of life.
const ALIVE: Duration = Duration::from_secs(15);
/// Longest silence of an agent, which gives a sign of life as often.
const SILENCE: Duration = Duration::from_secs(60);
/// Most notes and checks of a status that are kept, and most characters of each.
const MOST_NOTES: usize = 64;
const MOST_TEXT: usize = 1000;

/// Speaks with `host` until the connection ends.
pub(super) async fn converse(
    controller: &Arc<Controller>,
    mut stream: TlsStream<TcpStream>,
    lines: Lines,
    host: &HostId,
    certificate: &PeerCertificate,
    status: Box<AgentStatus>,
    address: SocketAddr,
) -> io::Result<()> {
    let alive_secs = u32::try_from(ALIVE.as_secs()).unwrap_or(u32::MAX);
    say(&mut stream, &ControllerMessage::Welcome { protocol: AGENT_PROTOCOL, alive_secs }).await?;
    let (mail, inbox) = unbounded_channel();
    let generation = controller.connected(host.as_str(), address, mail, bounded(status));
    let mut talk = Talk { controller, host, stream, lines, renewals: 0 };
    let ended = talk.go_on(inbox, certificate.not_after).await;
    let reason = match &ended {
        Ok(reason) => reason.clone(),
        Err(error) => error.to_string(),
    };
    controller.lost(host.as_str(), generation, reason);
    ended.map(|_| ())
}

struct Talk<'a> {
    controller: &'a Arc<Controller>,
    host: &'a HostId,
    stream: TlsStream<TcpStream>,
    lines: Lines,
    renewals: u32,
}

impl Talk<'_> {
    /// Until it ends, and why it did.
    async fn go_on(
        &mut self,
        mut inbox: tokio::sync::mpsc::UnboundedReceiver<Mail>,
        until: u64,
    ) -> io::Result<String> {
        let life = Duration::from_secs(until.saturating_sub(now_secs()));
        let begin = Instant::now();
        let end = begin + life;
        let (mut heard, mut alive) = (begin, begin + ALIVE);
        loop {
            tokio::select! {
                biased;
                mail = inbox.recv() => match mail {
                    Some(Mail::Say(message)) => say(&mut self.stream, &message).await?,
                    Some(Mail::Close(reason)) => {
                        let message = ControllerMessage::Refused { reason: reason.clone() };
                        // It is closed anyway.
                        let _ = say(&mut self.stream, &message).await;
                        return Ok(reason);
                    }
                    None => return Ok("the controller let it go".to_owned()),
                },
                got = self.lines.fill(&mut self.stream) => {
                    if !got? {
                        return Ok("the agent closed it".to_owned());
                    }
                    heard = Instant::now();
                    while let Some(line) = self.lines.next() {
                        self.hear(&line).await?;
                    }
                }
                () = sleep_until(alive) => {
                    alive = Instant::now() + ALIVE;
                    say(&mut self.stream, &ControllerMessage::Alive {}).await?;
                }
                () = sleep_until(heard + SILENCE) => {
                    return Ok(format!("it was silent for {} s", SILENCE.as_secs()));
                }
                () = sleep_until(end) => {
                    let reason = "the certificate that opened this connection ended: dial again".to_owned();
                    let message = ControllerMessage::Refused { reason: reason.clone() };
                    let _ = say(&mut self.stream, &message).await;
                    return Ok(reason);
                }
            }
        }
    }

    async fn hear(&mut self, line: &[u8]) -> io::Result<()> {
        let message = parse_line(line).map_err(|error| io::Error::other(chain(&error)))?;
        let host = self.host.as_str();
        match message {
            AgentMessage::Status { status } if status.host == host => {
                self.controller.heard(host, bounded(status));
                Ok(())
            }
            AgentMessage::Progress { key, step, done, total } => {
                // Only of commands that were given: a host does not speak of others'.
                if self.controller.ledger.book().hosts.get(host).is_some_and(|book| book.open(&key).is_some())
                {
                    let step = short(&step);
                    self.controller.events.tell(host, HubEventKind::Progress { key, step, done, total });
                }
                Ok(())
            }
            AgentMessage::Outcome { key, outcome } => {
                let ended = self.controller.ended(host, key, outcome).await;
                // An outcome that could not be kept is asked for again at the next connection.
                ended.map_err(|error| io::Error::other(chain(&*error)))
            }
            AgentMessage::Renew { csr } => {
                self.renewals += 1;
                if self.renewals > 10 {
                    return Err(io::Error::other("it asks for certificates again and again"));
                }
                match renew(self.controller, self.host, &csr).await {
                    Ok(certificate) => {
                        say(&mut self.stream, &ControllerMessage::Renewed { certificate }).await
                    }
                    Err(reason) => {
                        eprintln!("lifeboatd: host {host} gets no further certificate: {reason}");
                        Ok(())
                    }
                }
            }
            AgentMessage::Hello { .. }
            | AgentMessage::Fetch { .. }
            | AgentMessage::Enroll { .. }
            | AgentMessage::Status { .. } => Err(io::Error::other("a word that does not belong here")),
        }
    }
}

fn short(text: &str) -> String {
    text.chars().take(MOST_TEXT).collect()
}

/// A status that costs bounded memory, whatever a host tells.
fn bounded(mut status: Box<AgentStatus>) -> Box<AgentStatus> {
    status.notes.truncate(MOST_NOTES);
    status.health.truncate(MOST_NOTES);
    status.failed.truncate(MOST_NOTES);
    status.banks.truncate(2);
    let texts = status.notes.iter_mut().chain([&mut status.version, &mut status.boot_id, &mut status.agent]);
    let of_health =
        status.health.iter_mut().flat_map(|check| check.failure.iter_mut().chain([&mut check.name]));
    for text in texts.chain(&mut status.held).chain(of_health) {
        if text.len() > MOST_TEXT {
            *text = short(text);
        }
    }
    status.notes.shrink_to_fit();
    status
}
