//! One connection to the controller: mutual TLS on a host that was enrolled, plain TCP in a lab.
//!
//! Owns: which of the two it is, and the words about a connection that does not come about. Promises: the identity is
//! read anew each time, so that a host that was enrolled again needs no restart; a host with a certificate never
//! falls back to plain TCP. Does not: speak.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lifeboat_model::agent::AgentMessage;
use lifeboat_model::chain;
use lifeboat_wire::{Identity, TlsStream, dial, explain_tls, host_config, write_line};

use crate::AgentConfig;

/// Longest silence of a controller in the middle of something.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// A connection.
pub(crate) struct Connection {
    pub(crate) reader: BufReader<Box<dyn io::Read + Send>>,
    pub(crate) sender: Sender,
    /// Who this host is, over TLS.
    pub(crate) identity: Option<Identity>,
}

/// The side that sends.
pub(crate) struct Sender {
    writer: Box<dyn Write + Send>,
    socket: TcpStream,
}

impl Sender {
    /// Sends a word.
    pub(crate) fn say(&mut self, message: &AgentMessage) -> io::Result<()> {
        write_line(&mut self.writer, message)
    }

    /// Ends both directions.
    pub(crate) fn close(&self) {
        // It may be gone already.
        drop(self.socket.shutdown(Shutdown::Both));
    }

    /// Limits the silence of the other side from now on.
    pub(crate) fn limit_silence(&self, limit: Option<Duration>) -> io::Result<()> {
        self.socket.set_read_timeout(limit)
    }
}

/// Opens a connection to the controller that `config` names, with the identity in `pki` if there is one.
pub(crate) fn open_connection(config: &AgentConfig, pki: &Path) -> io::Result<Connection> {
    let identity = Identity::read(pki).map_err(|error| io::Error::other(chain(&error)))?;
    if identity.is_none() && config.token.is_empty() {
        return Err(io::Error::other(format!(
            "this host has no certificate yet: {}",
            enrol_words(&config.host, &config.controller)
        )));
    }
    let socket = dial(&config.controller, SILENCE)?;
    socket.set_read_timeout(Some(SILENCE))?;
    let Some(identity) = identity else {
        let (reader, writer) = (socket.try_clone()?, socket.try_clone()?);
        let sender = Sender { writer: Box::new(writer), socket };
        return Ok(Connection { reader: BufReader::new(Box::new(reader)), sender, identity: None });
    };
    let settings = host_config(&identity).map_err(|error| io::Error::other(chain(&error)))?;
    let stream = TlsStream::connect(socket, &config.controller, Arc::new(settings))
        .map_err(|error| told(&error, Some(&identity), config))?;
    let socket = stream.socket().try_clone()?;
    let sender = Sender { writer: Box::new(stream.writer()), socket };
    let reader: Box<dyn io::Read + Send> = Box::new(stream.reader());
    Ok(Connection { reader: BufReader::with_capacity(1024, reader), sender, identity: Some(identity) })
}

/// The next line of the controller; none at the end of the connection.
pub(crate) fn next_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    lifeboat_wire::read_line(reader, lifeboat_model::agent::MAX_LINE)
}

/// An error of a connection, in words for a person who can mend it.
pub(crate) fn told(error: &io::Error, identity: Option<&Identity>, config: &AgentConfig) -> io::Error {
    let mut words = explain_tls(error).unwrap_or_else(|| error.to_string());
    if let Some(identity) = identity
        && identity.read.not_after < unix_now()
    {
        words = format!(
            "{words}; by this host's clock its certificate ended {} s ago and cannot be renewed any more: {}",
            unix_now() - identity.read.not_after,
            enrol_words(identity.host.as_str(), &config.controller)
        );
    } else if explain_tls(error)
        .is_some_and(|words| words.contains("revoked") || words.contains("another pool"))
    {
        words = format!("{words}: {}", enrol_words(&config.host, &config.controller));
    }
    io::Error::new(error.kind(), words)
}

fn enrol_words(host: &str, controller: &str) -> String {
    format!(
        "on the controller give `lifeboatd host add {host}`, and here `lifeboat-agent enroll --server {controller} \
         --token TOKEN`"
    )
}

/// Seconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A number below `limit` from the kernel's randomness; 0 if there is none.
pub(crate) fn random_below(limit: u64) -> u64 {
    let number = getrandom::u64().unwrap_or(0);
    number.checked_rem(limit).unwrap_or(0)
}
