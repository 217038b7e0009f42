//! One change of what the controller knows.

use std::path::PathBuf;

use lifeboat_model::Sha256Hex;
use lifeboat_model::agent::AgentOutcome;
use lifeboat_wire::Order;
use serde::{Deserialize, Serialize};

use super::HostBook;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The host's agent.
    Agent,
    /// libvirt's own TLS on the host.
    Libvirt,
}

/// One record of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A token was made for a host, which may be a new one.
    Invited {
        /// The host.
        host: String,
        /// When, in seconds since 1970.
        at: u64,
        /// Hash of the token's secret.
        token: Sha256Hex,
        /// When it ends, in seconds since 1970.
        until: u64,
    },
    /// The token of a host was used, for ever.
    Enrolled {
        /// The host.
        host: String,
        /// The key that it was used with.
        key: Sha256Hex,
        /// What was given for it, PEM: the same key may ask again, if the answer was lost.
        certificate: String,
        /// Its serial number.
        serial: String,
        /// When it ends, in seconds since 1970.
        until: u64,
    },
    /// A host got a further certificate.
    Issued {
        /// The host.
        host: String,
        /// Its serial number.
        serial: String,
        /// When it ends, in seconds since 1970.
        until: u64,
        /// What for.
        purpose: Purpose,
    },
    /// The host's certificates are refused.
    Revoked {
        /// The host.
        host: String,
    },
    /// The host is forgotten.
    Removed {
        /// The host.
        host: String,
    },
    /// A command waits for its outcome.
    Ordered {
        /// The command.
        order: Order,
    },
    /// A command ended.
    Ended {
        /// The host.
        host: String,
        /// Key of the command.
        key: String,
        /// How.
        outcome: AgentOutcome,
    },
    /// A command was taken back.
    Withdrawn {
        /// The host.
        host: String,
        /// Key of the command.
        key: String,
    },
    /// A bundle may be downloaded.
    Offered {
        /// Digest of its release.
        digest: Sha256Hex,
        /// Where it lies.
        path: PathBuf,
    },
    /// It may not any more.
    OfferEnded {
        /// Digest of its release.
        digest: Sha256Hex,
    },
    /// Everything about one host: what a rewritten ledger begins with.
    Host {
        /// The host.
        host: String,
        /// What is known of it.
        book: Box<HostBook>,
    },
    /// The highest number of a pool's controllers: what a rewritten ledger begins with.
    Fence {
        /// The pool.
        pool: String,
        /// The number.
        number: u64,
    },
}
