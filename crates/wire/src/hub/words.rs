//! Words between `lifeboatd` and programs on its own computer.
//!
//! Owns: the requests, answers and events of the control socket, version 1: one JSON object per line, UTF-8, at most
//! [`MAX_HUB_LINE`] bytes. Promises: every request may be given twice. Does not: cross the network; whoever may open
//! the socket may order everything.

use std::path::PathBuf;

use lifeboat_model::Sha256Hex;
use lifeboat_model::agent::{AgentCommand, AgentOutcome, AgentStatus, Fence};
use serde::{Deserialize, Serialize};

/// Longest line either side may send, in bytes, newline included.
pub const MAX_HUB_LINE: usize = 16 << 20;

/// Where the socket is if nothing else was said.
pub const HUB_SOCKET: &str = "/run/lifeboat/lifeboatd.sock";

/// Most commands of one host that wait for their outcome.
pub const MAX_OPEN_ORDERS: usize = 64;

/// What a program asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubRequest {
    /// Every host, with what it told last. Answer: [`HubAnswer::Hosts`].
    Hosts {
        /// Only this one.
        #[serde(default)]
        host: Option<String>,
    },
    /// Commands for hosts, kept until each has its outcome. Answer: [`HubAnswer::Ordered`], one word per order.
    Order {
        /// The commands.
        orders: Vec<Order>,
    },
    /// Takes a command back that no host was given yet. Answer: [`HubAnswer::Withdrawn`].
    Withdraw {
        /// The host.
        host: String,
        /// Key of the command.
        key: String,
    },
    /// Commands without an outcome. Answer: [`HubAnswer::Orders`].
    Orders {
        /// Only those of this host.
        #[serde(default)]
        host: Option<String>,
    },
    /// Events from now on, until this side closes. Answer: [`HubAnswer::Watching`], then [`HubAnswer::Event`] lines.
    Watch {
        /// The stream that was watched before, if any.
        #[serde(default)]
        stream: Option<String>,
        /// Number of the last event of that stream that was seen; what came after it is told first.
        #[serde(default)]
        after: u64,
    },
    /// Lets hosts download a file by its release's digest. Answer: [`HubAnswer::Offered`].
    Offer {
        /// Digest of the release.
        digest: Sha256Hex,
        /// Absolute path of its bundle.
        path: PathBuf,
    },
    /// Ends an offer. Answer: [`HubAnswer::Done`].
    EndOffer {
        /// Digest of the release.
        digest: Sha256Hex,
    },
    /// Makes a host known, with a token for its enrolment. Answer: [`HubAnswer::Token`].
    AddHost {
        /// Name of the host.
        host: String,
        /// How long the token may be used, in seconds.
        token_secs: u64,
    },
    /// Refuses every certificate of a host, or one by its serial number. Answer: [`HubAnswer::Revoked`].
    Revoke {
        /// The host.
        host: String,
        /// One certificate, as hexadecimal digits; without it every one of the host.
        #[serde(default)]
        serial: Option<String>,
    },
    /// Revokes a host and forgets it. Answer: [`HubAnswer::Done`].
    RemoveHost {
        /// The host.
        host: String,
    },
    /// The authority of the pool. Answer: [`HubAnswer::Authority`].
    Authority {},
    /// RSA certificates for libvirt's own TLS on a host. Answer: [`HubAnswer::Issued`].
    IssueLibvirt {
        /// The host.
        host: String,
        /// DNS names and addresses that it is reached by; its name is added.
        names: Vec<String>,
    },
}

/// One command for one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The host.
    pub host: String,
    /// Identity of the command, at most 128 bytes: the same key always means the same command.
    pub key: String,
    /// The controller that says so.
    #[serde(default)]
    pub fence: Option<Fence>,
    /// What to do.
    pub command: AgentCommand,
}

/// What `lifeboatd` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubAnswer {
    /// To [`HubRequest::Hosts`].
    Hosts {
        /// By name.
        hosts: Vec<HubHost>,
    },
    /// To [`HubRequest::Order`].
    Ordered {
        /// What became of each, in the order of the request.
        orders: Vec<Ordered>,
    },
    /// To [`HubRequest::Withdraw`].
    Withdrawn {
        /// Whether it was taken back; if not, its outcome comes or came.
        taken_back: bool,
    },
    /// To [`HubRequest::Orders`].
    Orders {
        /// The oldest first.
        orders: Vec<Order>,
    },
    /// To [`HubRequest::Watch`].
    Watching {
        /// Name of this stream: another one after each start of `lifeboatd`.
        stream: String,
        /// Number of the newest event.
        newest: u64,
        /// Whether everything since the event that was named will be told. If not, look at the hosts and give open
        /// orders again: each is answered with its outcome if it has one.
        complete: bool,
    },
    /// Something happened.
    Event {
        /// What.
        event: HubEvent,
    },
    /// To [`HubRequest::Offer`].
    Offered {
        /// Length of the file in bytes.
        len: u64,
    },
    /// To [`HubRequest::AddHost`].
    Token {
        /// The host.
        host: String,
        /// What `lifeboat-agent enroll --token` wants. It is not kept.
        token: String,
        /// When it ends, in seconds since 1970.
        until: u64,
        /// The command to be given on the host.
        command: String,
    },
    /// To [`HubRequest::Revoke`].
    Revoked {
        /// Serial numbers that are refused from now on, as hexadecimal digits.
        serials: Vec<String>,
        /// Whether a live connection was closed.
        closed: bool,
    },
    /// To [`HubRequest::Authority`].
    Authority {
        /// The certificate, PEM.
        certificate: String,
        /// SHA-256 of the certificate (DER), as hexadecimal digits.
        fingerprint: String,
        /// Name of the pool, as it stands in certificates.
        pool: String,
        /// When it ends, in seconds since 1970.
        until: u64,
        /// The revocation list (RFC 5280), PEM.
        revocation_list: String,
        /// Its number.
        revocation_number: u64,
    },
    /// To [`HubRequest::IssueLibvirt`].
    Issued {
        /// Files by name, PEM: `cacert.pem`, `servercert.pem`, `serverkey.pem`, `clientcert.pem`, `clientkey.pem`.
        files: Vec<NamedText>,
        /// When they end, in seconds since 1970.
        until: u64,
    },
    /// It was done.
    Done {},
    /// It was not done.
    Refused {
        /// What, why, and what to do.
        reason: String,
    },
}

/// A text with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedText {
    /// The name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordered {
    /// It is kept, durably, and its outcome will be an event.
    Accepted {
        /// Whether the host is connected now.
        connected: bool,
    },
    /// The same key was ordered before and waits for its outcome.
    Open {},
    /// The same key had an outcome before.
    Ended {
        /// How.
        outcome: AgentOutcome,
    },
    /// It is not kept.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// A host as `lifeboatd` knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubHost {
    /// Name.
    pub host: String,
    /// How it stands with its certificates.
    pub standing: HostStanding,
    /// Connected since, in milliseconds since 1970; none if it is not.
    pub connected_since: Option<u64>,
    /// When it was heard last, in milliseconds since 1970; none if not since `lifeboatd` started.
    pub last_seen: Option<u64>,
    /// Where it connects from.
    pub address: Option<String>,
    /// End of its newest certificate, in seconds since 1970.
    pub certificate_until: Option<u64>,
    /// What it told last; none if it was not heard since `lifeboatd` started.
    pub status: Option<Box<AgentStatus>>,
    /// Commands without an outcome.
    pub open_orders: u32,
    /// Why its last attempt to connect was refused, if it was.
    pub refused: Option<String>,
}

/// How it stands with a host's certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostStanding {
    /// A token was made and not used yet.
    Invited,
    /// It has a certificate.
    Enrolled,
    /// Its certificates ended: it has to enrol anew.
    Expired,
    /// Its certificates are refused.
    Revoked,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubEvent {
    /// Number in its stream, from 1 on without gaps.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The host.
    pub host: String,
    /// What.
    pub what: HubEventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubEventKind {
    /// The host is connected, and how it is.
    Connected {
        /// As it is now.
        status: Box<AgentStatus>,
    },
    /// Something about the host changed (more than its uptime).
    Status {
        /// As it is now.
        status: Box<AgentStatus>,
    },
    /// A command is at work.
    Progress {
        /// Key of the command.
        key: String,
        /// What is being done.
        step: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all; 0 if unknown.
        total: u64,
    },
    /// A command ended. Told once in each stream; kept, so that the same order is answered with it.
    Outcome {
        /// Key of the command.
        key: String,
        /// How.
        outcome: AgentOutcome,
    },
    /// The connection ended.
    Lost {
        /// Why.
        reason: String,
    },
    /// The host got a certificate.
    Certificate {
        /// Its serial number, as hexadecimal digits.
        serial: String,
        /// When it ends, in seconds since 1970.
        until: u64,
        /// Whether it is the first after an enrolment.
        enrolled: bool,
    },
    /// Certificates of the host are refused from now on.
    Revoked {
        /// Their serial numbers; empty if it has none.
        serials: Vec<String>,
    },
    /// An offer, an order or a host was changed by hand.
    Changed {
        /// What, in words.
        what: String,
    },
}
