//! Identities of a pool and the encrypted connection between agents and their controller.
//!
//! Owns: the pool's certificate authority and what it issued and revoked, enrolment tokens, the identity of a host,
//! both sides' TLS settings, lines of bounded length, and the words and client of `lifeboatd`'s control socket.
//! Promises: who a peer is, is told by its certificate and by nothing that it says; a file that holds a key is
//! readable by its owner only and is replaced whole or not at all. Does not: listen, or decide who may enrol.

mod authority;
mod certificate;
mod files;
mod hub;
mod identity;
mod line;
mod revoked;
mod stream;
mod tls;
mod token;

pub use authority::{
    AGENT_LIFE, AUTHORITY_LIFE, Authority, AuthorityError, Issued, LIBVIRT_LIFE, SERVER_LIFE, Subject,
};
pub use certificate::{CertificateError, PeerCertificate, fingerprint_of_pem};
pub use files::{make_folder, write_durably, write_private};
pub use hub::{
    HUB_SOCKET, Heard, HostStanding, HubAnswer, HubClient, HubError, HubEvent, HubEventKind, HubHost,
    HubRequest, MAX_HUB_LINE, MAX_OPEN_ORDERS, NamedText, Order, Ordered,
};
pub use identity::{HostKey, Identity, IdentityError};
pub use line::{LineError, parse_line, read_line, write_line};
pub use revoked::{RevocationList, Revocations, RevokedError, RevokedSerial};
pub use stream::{TlsReader, TlsStream, TlsWriter, dial};
pub use tls::{
    ALPN, PinnedError, ServerKeys, TlsError, explain_tls, first_contact_config, host_config, server_config,
};
pub use token::{EnrolToken, TokenError};
