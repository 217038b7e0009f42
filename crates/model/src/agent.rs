//! Words between a controller and the agent on a Linux host.
//!
//! Owns: the messages of the agent protocol, version 1: one JSON object per line, UTF-8, at most
//! [`MAX_LINE`] bytes with its newline. The agent dials out; it says [`AgentMessage::Hello`] first, with a token
//! that was made for this host. Promises: unknown fields of a newer peer are ignored; an unknown message is an
//! error of the reader and never a guess. Does not: open connections, or keep the words secret (the first form
//! runs over plain TCP and is made for a network that is trusted; mutual TLS is a later issue).

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
        /// Secret of this host, from its state partition.
        token: String,
        /// The host as it is now.
        status: Box<AgentStatus>,
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
    },
    /// Answer to [`AgentMessage::Fetch`]: `len` − offset bytes follow.
    Bundle {
        /// Length of the whole bundle in bytes.
        len: u64,
    },
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
    /// The bank on the running kernel line.
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
            })
        );
        assert!(serde_json::from_str::<ControllerMessage>(r#"{"explode":{}}"#).is_err());
    }
}
