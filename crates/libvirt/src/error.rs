//! What can go wrong with a connection or a call.
//!
//! Promises: an error of the daemon keeps its code; a call that had no answer says so, because its effect is unknown.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::remote_error::{ErrorCode, RemoteError};
use crate::transport::PkiError;
use crate::uri::UriError;
use crate::xdr::XdrError;

/// Why a call or a connection failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A URI that cannot be used.
    #[error("the libvirt URI cannot be used")]
    Uri(#[from] UriError),
    /// No connection.
    #[error("cannot connect to {uri}")]
    Connect {
        /// Where.
        uri: String,
        /// Why not.
        #[source]
        source: ConnectError,
    },
    /// The daemon answered with an error.
    #[error("libvirt refused {procedure}")]
    Refused {
        /// The call.
        procedure: &'static str,
        /// Its words.
        #[source]
        source: RemoteError,
    },
    /// The connection ended before the answer came: whether the call took effect is unknown.
    #[error("the connection ended before {procedure} was answered: {reason}")]
    Lost {
        /// The call.
        procedure: &'static str,
        /// Why it ended.
        reason: CloseReason,
    },
    /// No answer in time: the call may still be running in the daemon.
    #[error("{procedure} was not answered within {after:?}; the daemon may still be working on it")]
    TimedOut {
        /// The call.
        procedure: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// An answer that cannot be read: the call took effect.
    #[error("the answer to {procedure} cannot be read")]
    Unreadable {
        /// The call.
        procedure: &'static str,
        /// What is wrong with it.
        #[source]
        source: XdrError,
    },
    /// An argument that cannot be sent; nothing was.
    #[error("an argument of {procedure} cannot be sent")]
    Unsendable {
        /// The call.
        procedure: &'static str,
        /// What is wrong with it.
        #[source]
        source: XdrError,
    },
    /// Arguments that contradict each other; nothing was sent.
    #[error("{what}")]
    Argument {
        /// What is wrong.
        what: String,
    },
}

impl Error {
    /// The daemon's error, if it is one.
    pub fn remote(&self) -> Option<&RemoteError> {
        match self {
            Self::Refused { source, .. } | Self::Connect { source: ConnectError::Refused(source), .. } => {
                Some(source)
            }
            _ => None,
        }
    }

    /// The code of the daemon's error, if it is one.
    pub fn code(&self) -> Option<ErrorCode> {
        self.remote().map(|error| error.code)
    }

    /// Whether the connection ended: a new one is needed, and the outcome of the call must be looked up.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether no answer came in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }

    /// Whether the domain is not (or no longer) there.
    pub fn is_no_domain(&self) -> bool {
        self.code() == Some(ErrorCode::NO_DOMAIN)
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The daemon's socket.
    #[error("cannot open the socket {path}; is libvirtd (or virtqemud) running?")]
    Socket {
        /// Which.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A name without an address.
    #[error("the name {host} has no address")]
    Name {
        /// Which.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No TCP connection.
    #[error("no TCP connection to {host} port {port}")]
    Tcp {
        /// Where.
        host: String,
        /// Which port.
        port: u16,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Certificates that cannot be used.
    #[error("the TLS certificates of this client cannot be used")]
    Pki(#[from] PkiError),
    /// No TLS session.
    #[error("no TLS session with {host}")]
    Tls {
        /// Where.
        host: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The daemon did not take our certificate or address.
    #[error("{host} refused this client's certificate or address: {detail}")]
    NotAdmitted {
        /// Who.
        host: String,
        /// What was seen.
        detail: String,
    },
    /// The program that carries the connection.
    #[error("cannot start {command}")]
    Command {
        /// Which.
        command: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something of this machine.
    #[error("cannot {doing}")]
    Local {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The daemon wants a kind of authentication that this client has not.
    #[error(
        "the daemon asks for {wanted}, which this client does not offer; \
         use SSH, TLS certificates, or auth_unix_rw/auth_tcp = \"none\" where only trusted users reach the socket"
    )]
    Authentication {
        /// What it asks for.
        wanted: String,
    },
    /// The daemon answered with an error.
    #[error("the daemon refused")]
    Refused(#[source] RemoteError),
    /// The connection ended at once.
    #[error("the connection ended while it was being opened: {reason}")]
    Ended {
        /// Why.
        reason: CloseReason,
    },
    /// Too slow.
    #[error("not open after {after:?}")]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// An answer that cannot be read.
    #[error("what answers there does not speak libvirt's protocol")]
    Unreadable(#[source] XdrError),
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("closed by this side")]
    Asked,
    /// The other side closed it.
    #[error("closed by the other side{detail}")]
    Ended {
        /// Last words of the program that carried it, after a colon; mostly empty.
        detail: String,
    },
    /// Nothing came for too long, not even an answer to keepalive messages.
    #[error("nothing came for {silent:?}, although keepalive messages asked for an answer")]
    KeepaliveLost {
        /// How long.
        silent: Duration,
    },
    /// Reading or writing failed.
    #[error("{detail}")]
    Io {
        /// How.
        detail: String,
    },
    /// The other side sent what the protocol does not have.
    #[error("the other side broke the protocol: {detail}")]
    Protocol {
        /// What.
        detail: String,
    },
}
