//! What the journal of a roll holds.

use serde::{Deserialize, Serialize};

use crate::{Effect, EffectKey, HostId, Phase, PoolName, ReleaseRef, Sha256Hex, Timestamp};

/// Number of the event form that this program writes.
pub const EVENT_SCHEMA: u32 = 1;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Form of this entry.
    pub schema: u32,
    /// Position in the journal of its roll, from 1 without gaps.
    pub seq: u64,
    /// Fencing number of the controller that wrote it; never goes backwards.
    pub fence: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub what: EventKind,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The world is as it was ordered to be.
    Done {
        /// What is worth telling.
        detail: Option<String>,
    },
    /// It is not.
    Failed {
        /// Why.
        reason: String,
        /// Whether another try may help.
        retriable: bool,
    },
}

/// What a person ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorVerb {
    /// Begin nothing new; hosts past the point of no return come to their end.
    Pause,
    /// Go on.
    Resume,
    /// Undo what can be undone, finish what cannot, restore every feature, end.
    Abort,
    /// Try a host again that failed or fell back.
    Retry {
        /// The host.
        host: HostId,
    },
    /// Leave a host out.
    Skip {
        /// The host.
        host: HostId,
    },
}

/// How a roll ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RollEnd {
    /// Every host that was planned runs the release.
    Completed,
    /// It came to its end, but some hosts were skipped or failed within what the policy allows.
    CompletedWithExceptions {
        /// How many hosts do not run the release.
        hosts: u32,
    },
    /// A failure stopped it. It can be taken up again.
    Stopped {
        /// Which host, and why.
        reason: String,
    },
    /// A person ended it.
    Aborted,
}

/// What happened in a roll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventKind {
    /// The first entry.
    RollStarted {
        /// The pool.
        pool: PoolName,
        /// Hash of the plan that a person approved.
        plan: Sha256Hex,
        /// What the hosts shall run.
        target: ReleaseRef,
    },
    /// A controller took the roll up. Effects that were open before are to be looked at again.
    ControllerStarted {
        /// Machine and process of the controller.
        holder: String,
    },
    /// An effect is about to be ordered.
    Intent {
        /// Its name.
        key: EffectKey,
        /// Which try this is, from 1.
        attempt: u32,
        /// What is ordered.
        effect: Effect,
    },
    /// An effect ended.
    Outcome {
        /// Its name.
        key: EffectKey,
        /// How it ended.
        outcome: Outcome,
    },
    /// A host entered a phase.
    HostPhase {
        /// The host.
        host: HostId,
        /// The phase.
        phase: Phase,
    },
    /// A failure: no further host is started.
    Halted {
        /// Which host, and why.
        reason: String,
    },
    /// The coordinator does not answer, and not because this roll reboots it.
    CoordinatorLost {
        /// The coordinator.
        host: HostId,
    },
    /// It answers again.
    CoordinatorBack {
        /// The coordinator.
        host: HostId,
    },
    /// A person ordered something.
    Operator {
        /// What.
        verb: OperatorVerb,
        /// Who.
        who: String,
    },
    /// The last entry of a run.
    RollEnded {
        /// How.
        end: RollEnd,
    },
    /// An entry of a newer Lifeboat, kept as it is.
    #[serde(other)]
    Unknown,
}
