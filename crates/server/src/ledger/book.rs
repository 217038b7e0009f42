//! What follows from all entries.
//!
//! Owns: the fold. Promises: an entry that comes twice changes nothing the second time, and says so. Does not: do I/O,
//! or know the time.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use lifeboat_model::Sha256Hex;
use lifeboat_model::agent::AgentOutcome;
use lifeboat_wire::Order;
use serde::{Deserialize, Serialize};

use super::{Entry, Purpose};

/// Outcomes that are kept of each host.
const OUTCOMES: usize = 256;
/// Most bytes of an outcome's text that are kept.
const TEXT: usize = 4096;
/// Certificates that are kept of each host; older ones ended long ago.
const CERTIFICATES: usize = 64;

/// Everything that the controller knows durably.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    /// Hosts by name.
    pub hosts: BTreeMap<String, HostBook>,
    /// Highest number of the controllers of each pool.
    pub fences: BTreeMap<String, u64>,
    /// Bundles that may be downloaded.
    pub offers: BTreeMap<Sha256Hex, PathBuf>,
}

/// What is known of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostBook {
    /// When it was made known, in seconds since 1970.
    pub added: u64,
    /// Its newest token.
    pub token: Option<Token>,
    /// Its certificates, the oldest first.
    pub certificates: Vec<IssuedCertificate>,
    /// Whether all of them are refused.
    pub revoked: bool,
    /// Commands without an outcome, the oldest first.
    pub orders: Vec<Order>,
    /// Outcomes, the oldest first.
    pub outcomes: VecDeque<(String, AgentOutcome)>,
}

/// A token for an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Hash of its secret.
    pub hash: Sha256Hex,
    /// When it ends, in seconds since 1970.
    pub until: u64,
    /// The key that it was used with, and what was given for it (PEM).
    pub used: Option<(Sha256Hex, String)>,
}

/// A certificate of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// Serial number.
    pub serial: String,
    /// When it ends, in seconds since 1970.
    pub until: u64,
    /// What for.
    pub purpose: Purpose,
}

impl HostBook {
    /// How the command with this key ended, if it did.
    pub fn outcome(&self, key: &str) -> Option<&AgentOutcome> {
        self.outcomes.iter().rev().find(|(known, _)| known == key).map(|(_, outcome)| outcome)
    }

    /// The command with this key, if it waits for its outcome.
    pub fn open(&self, key: &str) -> Option<&Order> {
        self.orders.iter().find(|order| order.key == key)
    }

    /// End of the newest certificate of its agent.
    pub fn certificate_until(&self) -> Option<u64> {
        let of_agent = self.certificates.iter().filter(|known| known.purpose == Purpose::Agent);
        of_agent.map(|known| known.until).max()
    }

    fn issue(&mut self, serial: &str, until: u64, purpose: Purpose) -> bool {
        if self.certificates.iter().any(|known| known.serial == serial) {
            return false;
        }
        self.certificates.push(IssuedCertificate { serial: serial.to_owned(), until, purpose });
        if self.certificates.len() > CERTIFICATES {
            self.certificates.remove(0);
        }
        true
    }

    fn end(&mut self, key: &str, outcome: &AgentOutcome) -> bool {
        let before = self.orders.len();
        self.orders.retain(|order| order.key != key);
        if self.orders.len() == before {
            return false;
        }
        self.outcomes.push_back((key.to_owned(), shortened(outcome)));
        if self.outcomes.len() > OUTCOMES {
            self.outcomes.pop_front();
        }
        true
    }
}

impl Book {
    /// Takes an entry in; whether it changed anything.
    pub fn apply(&mut self, entry: &Entry) -> bool {
        match entry {
            Entry::Invited { host, at, token, until } => {
                let book = self.hosts.entry(host.clone()).or_default();
                if book.added == 0 {
                    book.added = *at;
                }
                book.token = Some(Token { hash: *token, until: *until, used: None });
                true
            }
            Entry::Enrolled { host, key, certificate, serial, until } => {
                let Some(book) = self.hosts.get_mut(host) else { return false };
                if let Some(token) = book.token.as_mut() {
                    token.used = Some((*key, certificate.clone()));
                }
                book.revoked = false;
                book.issue(serial, *until, Purpose::Agent)
            }
            Entry::Issued { host, serial, until, purpose } => {
                let book = self.hosts.get_mut(host);
                book.is_some_and(|book| book.issue(serial, *until, *purpose))
            }
            Entry::Revoked { host } => {
                let Some(book) = self.hosts.get_mut(host) else { return false };
                book.token = None;
                !std::mem::replace(&mut book.revoked, true)
            }
            Entry::Removed { host } => self.hosts.remove(host).is_some(),
            Entry::Ordered { order } => self.order(order),
            Entry::Ended { host, key, outcome } => {
                self.hosts.get_mut(host).is_some_and(|book| book.end(key, outcome))
            }
            Entry::Withdrawn { host, key } => {
                let Some(book) = self.hosts.get_mut(host) else { return false };
                let before = book.orders.len();
                book.orders.retain(|order| order.key != *key);
                book.orders.len() != before
            }
            Entry::Offered { digest, path } => {
                self.offers.insert(*digest, path.clone()).as_ref() != Some(path)
            }
            Entry::OfferEnded { digest } => self.offers.remove(digest).is_some(),
            Entry::Host { host, book } => {
                self.hosts.insert(host.clone(), (**book).clone());
                true
            }
            Entry::Fence { pool, number } => self.raise(pool, *number),
        }
    }

    fn order(&mut self, order: &Order) -> bool {
        if let Some(fence) = &order.fence {
            self.raise(&fence.pool, fence.number);
        }
        let Some(book) = self.hosts.get_mut(&order.host) else { return false };
        if book.open(&order.key).is_some() || book.outcome(&order.key).is_some() {
            return false;
        }
        book.orders.push(order.clone());
        true
    }

    fn raise(&mut self, pool: &str, number: u64) -> bool {
        let highest = self.fences.entry(pool.to_owned()).or_default();
        let raised = number > *highest;
        *highest = number.max(*highest);
        raised
    }

    /// Entries from which the same book follows.
    pub fn entries(&self) -> Vec<Entry> {
        let fences =
            self.fences.iter().map(|(pool, number)| Entry::Fence { pool: pool.clone(), number: *number });
        let hosts = self
            .hosts
            .iter()
            .map(|(host, book)| Entry::Host { host: host.clone(), book: Box::new(book.clone()) });
        let offers =
            self.offers.iter().map(|(digest, path)| Entry::Offered { digest: *digest, path: path.clone() });
        fences.chain(hosts).chain(offers).collect()
    }
}

fn shortened(outcome: &AgentOutcome) -> AgentOutcome {
    let short = |text: &str| match text.char_indices().nth(TEXT) {
        Some((at, _)) => format!("{} …", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    };
    match outcome {
        AgentOutcome::Done { detail } => AgentOutcome::Done { detail: short(detail) },
        AgentOutcome::Failed { reason, retriable } => {
            AgentOutcome::Failed { reason: short(reason), retriable: *retriable }
        }
    }
}
