//! A connection: opening it, calling over it, listening, ending it.
//!
//! Promises: a call waits at most its time; after the end every call fails at once with the reason. Does not: open
//! itself anew; who holds it knows best what must be read again then.

use std::fmt;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{CloseReason, ConnectError, Error};
use crate::event::{Event, EventKind};
use crate::link::{self, Keepalive};
use crate::mailbox::{Answer, Mailbox, NotSent, Ticket};
use crate::procedure::Procedure;
use crate::transport;
use crate::uri::Uri;
use crate::xdr::{Decoder, Encoder, XdrError};

/// `VIR_DRV_FEATURE_PROGRAM_KEEPALIVE`: asking for it makes the daemon send keepalive messages as well.
const FEATURE_KEEPALIVE: i32 = 10;
/// Most kinds of authentication that are read.
const AUTH_LIMIT: usize = 20;

/// How a connection is opened and used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// How long opening may take; 10 s.
    pub connect_timeout: Duration,
    /// How long a call may take; 60 s. [`Connection::with_timeout`] changes it for a handle.
    pub call_timeout: Duration,
    /// Looking after a silent connection; every 5 s, given up after 6 questions.
    pub keepalive: Option<Keepalive>,
    /// Calls that are with the daemon at once; more wait here. At 5 a daemon with its usual settings
    /// (`max_client_requests`) stops reading the connection, so 4.
    pub calls_at_once: usize,
    /// Only calls that change nothing.
    pub read_only: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(60),
            keepalive: Some(Keepalive::default()),
            calls_at_once: 4,
            read_only: false,
        }
    }
}

/// A handle on a connection. Clones are handles on the same one; it ends when the last is gone.
///
/// Calls of several threads run at the same time, at most [`ConnectOptions::calls_at_once`] of them. A call that takes
/// long, as a migration, holds one of these places until it ends: give it a connection of its own.
#[derive(Clone)]
pub struct Connection {
    owner: Arc<Owner>,
    timeout: Duration,
}

/// Ends the connection with its last handle.
struct Owner {
    mailbox: Arc<Mailbox>,
    uri: Uri,
    /// Kinds of events that the daemon was asked for. Locked while it is asked, so that it is asked once.
    registered: Mutex<Vec<EventKind>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Connection")
            .field("uri", &self.owner.uri.to_string())
            .field("timeout", &self.timeout)
            .field("mailbox", &self.owner.mailbox)
            .finish()
    }
}

impl Connection {
    /// Opens a connection in the usual way.
    pub fn open(uri: &Uri) -> Result<Self, Error> {
        Self::open_with(uri, &ConnectOptions::default())
    }

    /// Opens a connection.
    pub fn open_with(uri: &Uri, options: &ConnectOptions) -> Result<Self, Error> {
        let connect = |source| Error::Connect { uri: uri.to_string(), source };
        let local = |doing| move |source| ConnectError::Local { doing, source };
        let begun = Instant::now();
        let stream = transport::open(uri, options.connect_timeout, options.read_only).map_err(connect)?;
        let mailbox =
            Mailbox::new(options.calls_at_once).map_err(local("make an eventfd")).map_err(connect)?;
        let (served, keepalive) = (Arc::clone(&mailbox), options.keepalive);
        thread::Builder::new()
            .name("libvirt-link".to_owned())
            .spawn(move || link::serve(stream, &served, keepalive))
            .map_err(local("start a thread"))
            .map_err(connect)?;
        let owner = Arc::new(Owner { mailbox, uri: uri.clone(), registered: Mutex::default() });
        let timeout = options.connect_timeout.saturating_sub(begun.elapsed());
        let opening = Self { owner, timeout: timeout.max(Duration::from_millis(1)) };
        opening.authenticate().map_err(connect)?;
        opening.enter(options).map_err(connect)?;
        Ok(opening.with_timeout(options.call_timeout))
    }

    /// Where it leads.
    pub fn uri(&self) -> &Uri {
        &self.owner.uri
    }

    /// A handle whose calls wait at most so long.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { owner: Arc::clone(&self.owner), timeout }
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.closed().is_none()
    }

    /// Why it has ended.
    pub fn closed(&self) -> Option<CloseReason> {
        self.owner.mailbox.closed()
    }

    /// Ends it for all handles. Calls that wait fail; what they asked for may still happen.
    pub fn close(&self) {
        self.owner.mailbox.close();
    }

    /// Listens to events of all domains. They end when the receiver is dropped; the last one tells why the connection
    /// ended. A receiver that does not keep up gets [`Event::Missed`].
    pub fn subscribe(&self, kinds: &[EventKind]) -> Result<Receiver<Event>, Error> {
        let procedure = Procedure::CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY;
        let lost = |reason| Error::Lost { procedure: procedure.name, reason };
        let receiver = self.owner.mailbox.listen(kinds).map_err(lost)?;
        let mut registered = self.owner.registered.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in kinds {
            if registered.contains(kind) {
                continue;
            }
            // Of all domains: no domain is named. The answer is the number of the registration.
            let arguments = |to: &mut Encoder| {
                to.int(kind.id());
                to.flag(false);
            };
            self.value::<i32>(procedure, arguments)?;
            registered.push(*kind);
        }
        Ok(receiver)
    }

    /// Calls and waits for the answer.
    pub(crate) fn call<T>(
        &self,
        procedure: Procedure,
        arguments: impl FnOnce(&mut Encoder),
        read: impl FnOnce(&mut Decoder<'_>) -> Result<T, XdrError>,
    ) -> Result<T, Error> {
        let end = Instant::now().checked_add(self.timeout);
        let ticket = self.begin(procedure, arguments)?;
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        match ticket.wait(left) {
            Some(answer) => understand(procedure, answer, read),
            None => Err(Error::TimedOut { procedure: procedure.name, after: self.timeout }),
        }
    }

    /// Calls without waiting for the answer.
    pub(crate) fn begin(
        &self,
        procedure: Procedure,
        arguments: impl FnOnce(&mut Encoder),
    ) -> Result<Ticket, Error> {
        let mut encoder = Encoder::new();
        arguments(&mut encoder);
        let unsendable = |source| Error::Unsendable { procedure: procedure.name, source };
        let payload = encoder.finish().map_err(unsendable)?;
        let deadline = Instant::now().checked_add(self.timeout);
        self.owner.mailbox.begin(procedure, &payload, deadline).map_err(|why| match why {
            NotSent::Closed(reason) => Error::Lost { procedure: procedure.name, reason },
            NotSent::NoPlace => Error::TimedOut { procedure: procedure.name, after: self.timeout },
        })
    }

    /// Nothing, or polkit without a question: a daemon that asks for more cannot be used.
    fn authenticate(&self) -> Result<(), ConnectError> {
        let list =
            |from: &mut Decoder<'_>| from.list("a list of authentications", AUTH_LIMIT, 4, Decoder::int);
        let kinds = self.call(Procedure::AUTH_LIST, |_| (), list).map_err(while_opening)?;
        if kinds.is_empty() || kinds.contains(&0) {
            return Ok(());
        }
        if kinds.contains(&2) {
            return self.value::<i32>(Procedure::AUTH_POLKIT, |_| ()).map(drop).map_err(while_opening);
        }
        let wanted = if kinds.contains(&1) { "SASL authentication".to_owned() } else { format!("{kinds:?}") };
        Err(ConnectError::Authentication { wanted })
    }

    fn enter(&self, options: &ConnectOptions) -> Result<(), ConnectError> {
        if options.keepalive.is_some() {
            let feature = |to: &mut Encoder| to.int(FEATURE_KEEPALIVE);
            self.value::<i32>(Procedure::CONNECT_SUPPORTS_FEATURE, feature).map_err(while_opening)?;
        }
        let name = |to: &mut Encoder| {
            to.optional_string(Some(self.owner.uri.name()));
            to.unsigned(u32::from(options.read_only));
        };
        self.call(Procedure::CONNECT_OPEN, name, |_| Ok(())).map_err(while_opening)
    }
}

/// Reads an answer to its last byte.
pub(crate) fn understand<T>(
    procedure: Procedure,
    answer: Answer,
    read: impl FnOnce(&mut Decoder<'_>) -> Result<T, XdrError>,
) -> Result<T, Error> {
    let procedure = procedure.name;
    match answer {
        Answer::Payload(payload) => {
            let mut decoder = Decoder::new(&payload);
            let value = read(&mut decoder).and_then(|value| decoder.finish().map(|()| value));
            value.map_err(|source| Error::Unreadable { procedure, source })
        }
        Answer::Refused(source) => Err(Error::Refused { procedure, source }),
        Answer::Unreadable(source) => Err(Error::Unreadable { procedure, source }),
        Answer::Lost(reason) => Err(Error::Lost { procedure, reason }),
    }
}

fn while_opening(error: Error) -> ConnectError {
    match error {
        Error::Refused { source, .. } => ConnectError::Refused(source),
        Error::Lost { reason, .. } => ConnectError::Ended { reason },
        Error::TimedOut { after, .. } => ConnectError::TimedOut { after },
        Error::Unreadable { source, .. } | Error::Unsendable { source, .. } => {
            ConnectError::Unreadable(source)
        }
        Error::Connect { source, .. } => source,
        other @ (Error::Uri(_) | Error::Argument { .. }) => {
            ConnectError::Local { doing: "use the URI", source: std::io::Error::other(other) }
        }
    }
}
