//! The client of the control socket.
//!
//! Owns: one connection for questions and one for events, made anew when `lifeboatd` was restarted. Promises: a
//! question that was not answered is asked again until the patience is at its end (every request may be given
//! twice); events that were missed are told as a gap and never passed over in silence. Does not: decide.

use std::io::{self, BufReader};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use lifeboat_model::Sha256Hex;
use thiserror::Error;

use super::words::{HubAnswer, HubEvent, HubHost, HubRequest, MAX_HUB_LINE, Order, Ordered};
use crate::{parse_line, read_line, write_line};

/// Pause between two attempts to reach `lifeboatd`.
const PAUSE: Duration = Duration::from_millis(100);

/// Why `lifeboatd` did not do it.
#[derive(Debug, Error)]
pub enum HubError {
    /// It cannot be reached.
    #[error("lifeboatd cannot be reached at {}: is it running (systemctl status lifeboatd), and may you open its socket?", socket.display())]
    Reach {
        /// The socket.
        socket: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It answered something else.
    #[error("lifeboatd at {} answered what was not asked: {what}; are both of the same version?", socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What it answered.
        what: String,
    },
    /// It refused.
    #[error("lifeboatd refused: {reason}")]
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Something happened.
    Event(HubEvent),
    /// Events were missed. Ask for the hosts, and give open orders again: each is answered with its outcome if it
    /// has one.
    Gap,
}

/// A connection to `lifeboatd`.
#[derive(Debug)]
pub struct HubClient {
    socket: PathBuf,
    patience: Duration,
    questions: Option<BufReader<UnixStream>>,
    events: Option<BufReader<UnixStream>>,
    /// The stream, and the last event that was heard of it.
    heard: Option<(String, u64)>,
    /// The beginning of a line that has not come whole yet.
    partial: Vec<u8>,
}

impl HubClient {
    /// Connects to the socket at `path`.
    pub fn connect(path: &Path) -> Result<Self, HubError> {
        let mut client = Self {
            socket: path.to_owned(),
            patience: Duration::from_secs(30),
            questions: None,
            events: None,
            heard: None,
            partial: Vec::new(),
        };
        client.questions = Some(client.open().map_err(|source| client.unreached(source))?);
        Ok(client)
    }

    /// How long a call waits for a `lifeboatd` that is being restarted; 30 s if not said.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Asks anything.
    pub fn request(&mut self, request: &HubRequest) -> Result<HubAnswer, HubError> {
        let begin = Instant::now();
        loop {
            match self.ask_once(request) {
                Ok(HubAnswer::Refused { reason }) => return Err(HubError::Refused { reason }),
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.questions = None;
                    if begin.elapsed() >= self.patience {
                        return Err(self.unreached(error));
                    }
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Every host, with what it told last.
    pub fn hosts(&mut self) -> Result<Vec<HubHost>, HubError> {
        match self.request(&HubRequest::Hosts { host: None })? {
            HubAnswer::Hosts { hosts } => Ok(hosts),
            other => Err(self.odd(&other)),
        }
    }

    /// Gives a command; durable when this returns.
    pub fn order(&mut self, order: Order) -> Result<Ordered, HubError> {
        let word = self.order_all(vec![order])?.pop();
        word.ok_or_else(|| self.odd(&HubAnswer::Ordered { orders: Vec::new() }))
    }

    /// Gives several commands at once; what became of each is in the same order.
    pub fn order_all(&mut self, orders: Vec<Order>) -> Result<Vec<Ordered>, HubError> {
        let count = orders.len();
        match self.request(&HubRequest::Order { orders })? {
            HubAnswer::Ordered { orders } if orders.len() == count => Ok(orders),
            other => Err(self.odd(&other)),
        }
    }

    /// Takes a command back that no host was given yet; whether that was so.
    pub fn withdraw(&mut self, host: &str, key: &str) -> Result<bool, HubError> {
        let request = HubRequest::Withdraw { host: host.to_owned(), key: key.to_owned() };
        match self.request(&request)? {
            HubAnswer::Withdrawn { taken_back } => Ok(taken_back),
            other => Err(self.odd(&other)),
        }
    }

    /// Commands without an outcome, of one host or of all.
    pub fn orders(&mut self, host: Option<&str>) -> Result<Vec<Order>, HubError> {
        match self.request(&HubRequest::Orders { host: host.map(str::to_owned) })? {
            HubAnswer::Orders { orders } => Ok(orders),
            other => Err(self.odd(&other)),
        }
    }

    /// Lets hosts download the bundle at `path` (absolute) by its release's digest; its length in bytes.
    pub fn offer(&mut self, digest: Sha256Hex, path: &Path) -> Result<u64, HubError> {
        match self.request(&HubRequest::Offer { digest, path: path.to_owned() })? {
            HubAnswer::Offered { len } => Ok(len),
            other => Err(self.odd(&other)),
        }
    }

    /// Ends an offer.
    pub fn end_offer(&mut self, digest: Sha256Hex) -> Result<(), HubError> {
        match self.request(&HubRequest::EndOffer { digest })? {
            HubAnswer::Done {} => Ok(()),
            other => Err(self.odd(&other)),
        }
    }

    /// Begins to listen, unless it was begun: what happens from now on is heard by [`HubClient::next_event`].
    pub fn watch(&mut self) -> Result<(), HubError> {
        let begin = Instant::now();
        while self.events.is_none() {
            match self.open_events() {
                Ok(_) => {}
                Err(error) if begin.elapsed() >= self.patience => return Err(self.unreached(error)),
                Err(_) => thread::sleep(PAUSE),
            }
        }
        Ok(())
    }

    /// What happens next; none within `wait`. A `lifeboatd` that is away is waited for, and told as a gap afterwards.
    pub fn next_event(&mut self, wait: Duration) -> Result<Option<Heard>, HubError> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.events.is_none() {
                match self.open_events() {
                    Ok(true) => {}
                    Ok(false) => return Ok(Some(Heard::Gap)),
                    Err(_) if left > PAUSE => {
                        thread::sleep(PAUSE);
                        continue;
                    }
                    Err(_) => {
                        thread::sleep(left);
                        return Ok(None);
                    }
                }
            }
            match self.read_event(left) {
                Ok(Some(HubAnswer::Event { event })) => {
                    if let Some((_, seen)) = self.heard.as_mut() {
                        *seen = event.seq;
                    }
                    return Ok(Some(Heard::Event(event)));
                }
                Ok(Some(other)) => return Err(self.odd(&other)),
                Ok(None) => return Ok(None),
                Err(_) => self.events = None,
            }
        }
    }

    fn open(&self) -> io::Result<BufReader<UnixStream>> {
        let stream = UnixStream::connect(&self.socket)?;
        // A hub that hangs is as good as one that is away.
        stream.set_read_timeout(Some(self.patience.max(Duration::from_secs(1))))?;
        stream.set_write_timeout(Some(self.patience.max(Duration::from_secs(1))))?;
        Ok(BufReader::new(stream))
    }

    fn ask_once(&mut self, request: &HubRequest) -> io::Result<HubAnswer> {
        let mut reader = match self.questions.take() {
            Some(reader) => reader,
            None => self.open()?,
        };
        let answer = ask(&mut reader, request)?;
        self.questions = Some(reader);
        Ok(answer)
    }

    /// Opens the stream of events; whether nothing was missed.
    fn open_events(&mut self) -> io::Result<bool> {
        let mut reader = self.open()?;
        let (stream, after) = self.heard.clone().map_or((None, 0), |(stream, seen)| (Some(stream), seen));
        let first = stream.is_none();
        let HubAnswer::Watching { stream, newest, complete } =
            ask(&mut reader, &HubRequest::Watch { stream, after })?
        else {
            return Err(io::Error::other("lifeboatd does not let watch"));
        };
        let seen = if complete && !first { after } else { newest };
        self.heard = Some((stream, seen));
        self.partial.clear();
        self.events = Some(reader);
        Ok(complete || first)
    }

    /// The next line of the stream; none within `wait`. A line that comes in pieces is kept.
    fn read_event(&mut self, wait: Duration) -> io::Result<Option<HubAnswer>> {
        let Some(reader) = self.events.as_mut() else { return Ok(None) };
        // A timeout of zero would wait for ever.
        reader.get_ref().set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let room = (MAX_HUB_LINE as u64).saturating_sub(self.partial.len() as u64);
        let read = io::BufRead::read_until(&mut io::Read::take(&mut *reader, room), b'\n', &mut self.partial);
        match read {
            Ok(_) if self.partial.last() == Some(&b'\n') => {
                let line = std::mem::take(&mut self.partial);
                parse_line(&line).map(Some).map_err(io::Error::other)
            }
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn unreached(&self, source: io::Error) -> HubError {
        HubError::Reach { socket: self.socket.clone(), source }
    }

    fn odd(&self, answer: &HubAnswer) -> HubError {
        let what = match answer {
            HubAnswer::Refused { reason } => return HubError::Refused { reason: reason.clone() },
            other => format!("{other:?}").chars().take(80).collect(),
        };
        HubError::Answer { socket: self.socket.clone(), what }
    }
}

impl Drop for HubClient {
    fn drop(&mut self) {
        for reader in [&self.questions, &self.events].into_iter().flatten() {
            drop(reader.get_ref().shutdown(Shutdown::Both));
        }
    }
}

fn ask(reader: &mut BufReader<UnixStream>, request: &HubRequest) -> io::Result<HubAnswer> {
    write_line(reader.get_mut(), request)?;
    let line = read_line(reader, MAX_HUB_LINE)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    parse_line(&line).map_err(io::Error::other)
}
