//! Words between a controller and the agent on a Linux host.
//!
//! Owns: the messages of the agent protocol, version 1: one JSON object per line, UTF-8, at most
//! [`MAX_LINE`] bytes with its newline. The agent dials out; it says [`AgentMessage::Hello`] first. Over mutual TLS
//! its certificate says who it is; over plain TCP, which is for a lab on the loopback address, a token that was made
//! for this host. Promises: unknown fields of a newer peer are ignored; an unknown message is an error of the reader
//! and never a guess. Does not: open connections, or keep the words secret.

use serde::{Deserialize, Serialize};

use crate::{Bank, BankState, Mib, Millis, ReleaseRef, Sha256Hex};

/// Version of the words in this file.
pub const AGENT_PROTOCOL: u32 = 1;

/// Longest line either side may send, in bytes, newline included.
pub const MAX_LINE: usize = 256 * 1024;

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentMessage {
    /// First line of a control connection.
    Hello {
        /// [`AGENT_PROTOCOL`] of the agent.
        protocol: u32,
        /// Secret of this host, from its state partition; empty over mutual TLS.
        token: String,
        /// The host as it is now.
        status: Box<AgentStatus>,
    },
    /// First and only line of a connection without a certificate: the host asks for its first one.
    Enroll {
        /// [`AGENT_PROTOCOL`] of the agent.
        protocol: u32,
        /// The secret part of the enrolment token.
        token: String,
        /// Name that the host believes to have, if it was told one; another one than the token's is refused.
        #[serde(default)]
        host: Option<String>,
        /// Certificate signing request (RFC 2986), PEM. Only its key counts.
        csr: String,
    },
    /// Asks for the next certificate, on a connection that the present one opened.
    Renew {
        /// Certificate signing request with a new key, PEM.
        csr: String,
    },
    /// First and only line of a download connection. The answer is a [`ControllerMessage::Bundle`] line and then
    /// the bytes themselves.
    Fetch {
        /// [`AGENT_PROTOCOL`] of the agent.
        protocol: u32,
        /// Name of the host.
        host: String,
        /// Secret of this host.
        token: String,
        /// Digest of the release that is wanted.
        digest: Sha256Hex,
        /// First byte that is wanted: what lies before it is on the host already.
        offset: u64,
    },
    /// The host as it is now; sent at every change and as a sign of life.
    Status {
        /// The host as it is now.
        status: Box<AgentStatus>,
    },
    /// A command is at work.
    Progress {
        /// Key of the command.
        key: String,
        /// What is being done, in words.
        step: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all; 0 if unknown.
        total: u64,
    },
    /// A command came to its end. Sent again, unchanged, when the same key is asked again.
    Outcome {
        /// Key of the command.
        key: String,
        /// How it ended.
        outcome: AgentOutcome,
    },
}

/// What the controller says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControllerMessage {
    /// The agent is known and welcome.
    Welcome {
        /// [`AGENT_PROTOCOL`] of the controller.
        protocol: u32,
        /// The controller says [`ControllerMessage::Alive`] at least as often as this, in seconds; 0 if it does not.
        #[serde(default)]
        alive_secs: u32,
    },
    /// Sign of life.
    Alive {},
    /// Answer to [`AgentMessage::Enroll`].
    Enrolled {
        /// Name of the host, as its token was made for.
        host: String,
        /// The host's certificate, PEM.
        certificate: String,
        /// Certificate of the authority, PEM.
        authority: String,
    },
    /// Answer to [`AgentMessage::Renew`].
    Renewed {
        /// The next certificate, PEM.
        certificate: String,
    },
    /// The connection ends here.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Do this. The same key always means the same command.
    Command {
        /// Identity of the command, chosen by the controller; at most 128 bytes.
        key: String,
        /// What to do.
        command: AgentCommand,
        /// Which controller says so. A host that obeyed a later one refuses an earlier one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fence: Option<Fence>,
    },
    /// Answer to [`AgentMessage::Fetch`]: `len` − offset bytes follow.
    Bundle {
        /// Length of the whole bundle in bytes.
        len: u64,
    },
}

/// Which controller gives a command: a number that grows with each controller that takes a pool over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The pool.
    pub pool: String,
    /// Its controller's number.
    pub number: u64,
}

/// What an agent can be told to do. Every command may be given twice: the second time changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentCommand {
    /// Download the bundle of a release and check its signature. Nothing is installed.
    Stage {
        /// The release.
        release: ReleaseRef,
    },
    /// Write a staged release into the bank that is not running, and verify every byte of it.
    Install {
        /// The release.
        release: ReleaseRef,
        /// Install although this release failed on this host before.
        retry: bool,
    },
    /// Arm the watchdog, set the one-shot boot, reboot. Done when the boot id differs from `boot_id_before` and
    /// the trial, if it was one, is decided.
    RebootInto {
        /// The bank to boot.
        bank: Bank,
        /// The boot that ends by this command.
        boot_id_before: String,
    },
    /// Reboot a host without banks into whatever it boots by itself. Done when the boot id differs from
    /// `boot_id_before` and the health checks passed.
    Reboot {
        /// The boot that ends by this command.
        boot_id_before: String,
    },
    /// Run the health checks now; failed if one of them fails.
    CheckHealth,
    /// Write the host's own state to stable storage.
    SaveState,
    /// Send a [`AgentMessage::Status`] now.
    Status,
    /// The last lines of the agent's log, in the outcome's detail.
    LogTail {
        /// How many lines; at most 1,000 are sent.
        lines: u32,
    },
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentOutcome {
    /// It was done, or had been done before.
    Done {
        /// What was seen, in words.
        detail: String,
    },
    /// It was not done, and the host is as it was before or as its banks say.
    Failed {
        /// What, where, why, and what to do.
        reason: String,
        /// Whether another try may help.
        retriable: bool,
    },
}

/// A host as its agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Name of the host.
    pub host: String,
    /// Identity of this boot, as the kernel gives it; another one after every boot.
    pub boot_id: String,
    /// Whether the host has banks.
    #[serde(default)]
    pub kind: HostKind,
    /// The bank on the running kernel line; A on a host without banks, which then reports none in `banks`.
    pub active: Bank,
    /// The bank that the firmware boots by itself if nothing else is said; none if it cannot be read.
    pub default: Option<Bank>,
    /// Version of the release on the running kernel line.
    pub version: String,
    /// Digest of the release on the running kernel line.
    pub digest: Option<Sha256Hex>,
    /// Both banks, A first.
    pub banks: Vec<BankReport>,
    /// Lowest serial that the host accepts.
    pub floor: u64,
    /// Releases that failed on this host; refused without an explicit retry.
    pub failed: Vec<Sha256Hex>,
    /// Whether this boot is still on trial.
    pub on_trial: bool,
    /// Findings of this boot: fall-backs, health checks, repairs.
    pub notes: Vec<String>,
    /// Time since the kernel started.
    pub uptime: Millis,
    /// Memory of the host.
    pub memory: Mib,
    /// Version of the agent itself.
    pub agent: String,
    /// How the health checks of this boot ended; empty if none ran yet.
    #[serde(default)]
    pub health: Vec<HealthReport>,
    /// Why the host must not be rebooted now, if so.
    #[serde(default)]
    pub held: Option<String>,
    /// When the host's certificate ends, in seconds since 1970; none over plain TCP.
    #[serde(default)]
    pub certificate_until: Option<u64>,
}

/// Where a host's system lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// In one of two banks.
    #[default]
    Banks,
    /// In one root that packages are installed into.
    Packages,
}

/// How one health check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthReport {
    /// Name of the check.
    pub name: String,
    /// Why it failed; none if it passed.
    #[serde(default)]
    pub failure: Option<String>,
}

/// One bank as its host reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankReport {
    /// Which.
    pub bank: Bank,
    /// What is known of its content.
    pub state: BankState,
    /// What was last installed into it.
    pub release: Option<ReleaseRef>,
    /// Counter of installs: the higher one is the newer.
    pub updated: u32,
    /// Why it is invalid or failed.
    pub note: Option<String>,
}

impl AgentStatus {
    /// The report of one bank, if the host sent it.
    pub fn bank(&self, bank: Bank) -> Option<&BankReport> {
        self.banks.iter().find(|report| report.bank == bank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_of_a_command_stays_readable() {
        let line = r#"{"command":{"key":"7","command":{"reboot_into":{"bank":"B","boot_id_before":"x","newer":1}}}}"#;
        let read: Result<ControllerMessage, _> = serde_json::from_str(line);
        assert_eq!(
            read.ok(),
            Some(ControllerMessage::Command {
                key: "7".to_owned(),
                command: AgentCommand::RebootInto { bank: Bank::B, boot_id_before: "x".to_owned() },
                fence: None,
            })
        );
        assert!(serde_json::from_str::<ControllerMessage>(r#"{"explode":{}}"#).is_err());
    }

    #[test]
    fn the_first_form_of_a_status_stays_readable_and_means_a_host_with_banks() {
        let line = r#"{"host":"one","boot_id":"x","active":"A","default":"A","version":"1","digest":null,"banks":[],
            "floor":0,"failed":[],"on_trial":false,"notes":[],"uptime":1,"memory":1,"agent":"0.1.0"}"#;
        let read = serde_json::from_str::<AgentStatus>(line);
        let told = read.as_ref().map(|status| (status.kind, status.held.as_ref(), status.health.len())).ok();
        assert_eq!(told, Some((HostKind::Banks, None, 0)), "{read:?}");
        let welcome = serde_json::from_str::<ControllerMessage>(r#"{"welcome":{"protocol":1}}"#).ok();
        assert_eq!(welcome, Some(ControllerMessage::Welcome { protocol: 1, alive_secs: 0 }));
    }
}
