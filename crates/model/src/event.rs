//! What the journal of a roll holds.

use serde::{Deserialize, Serialize};

use crate::{
    Effect, EffectKey, FeatureKind, HostId, Phase, Policy, PoolName, ReleaseRef, RollId, Sha256Hex, Timestamp,
};

/// Highest number of an event form that this program knows. An event is written in the lowest form that has its words
/// ([`EventKind::form`]), so that an older program reads a roll that uses nothing new.
pub const EVENT_SCHEMA: u32 = 2;

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
    /// A hook said that nothing is to be done here.
    NothingToDo {
        /// What it said.
        detail: Option<String>,
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
    /// Begin no further host; those in flight come to their end, then the roll is paused.
    PauseAfterHost,
    /// Take back what can be taken back, finish what cannot, restore every feature. It can be taken up again.
    Stop,
    /// Let the waves up to this one begin.
    Approve {
        /// Number of the wave.
        wave: u32,
    },
    /// Go on by another policy.
    SetPolicy {
        /// All of it.
        policy: Box<Policy>,
    },
    /// Leave the roll to another controller.
    HandOver,
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
    /// The roll pauses by itself and waits for a person.
    Held {
        /// Why.
        reason: String,
        /// Hosts in flight come to their end; otherwise they stay where they are before their point of no return.
        finish: bool,
    },
    /// A feature that this roll switched off was switched on by somebody else.
    FeatureTouched {
        /// Which one.
        feature: FeatureKind,
        /// The value it has now: this one is restored at the end.
        value: String,
    },
    /// A feature is not restored, since somebody else gave it another value.
    FeatureKept {
        /// Which one.
        feature: FeatureKind,
        /// The value it has and keeps.
        value: String,
        /// The value that it had before the roll.
        original: String,
    },
    /// The maintenance windows opened.
    WindowOpened {
        /// Until when; none if they do not close any more.
        until: Option<Timestamp>,
    },
    /// The maintenance windows closed: no further host begins.
    WindowClosed {
        /// Until when; none if they do not open any more.
        until: Option<Timestamp>,
    },
    /// Something went other than planned, and the roll goes on.
    Warned {
        /// Stable code.
        code: String,
        /// Whom or what it is about.
        subject: String,
        /// What happened.
        text: String,
    },
    /// A feature that an earlier roll, whose journal was lost, had switched off: this roll restores it.
    SuspensionAdopted {
        /// Which one.
        feature: FeatureKind,
        /// The value it had before the earlier roll.
        original: String,
        /// The earlier roll.
        from: RollId,
    },
    /// An entry of a newer Lifeboat, kept as it is.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// The lowest number of an event form that has this event's words.
    #[must_use]
    pub fn form(&self) -> u32 {
        match self {
            Self::RollStarted { .. }
            | Self::ControllerStarted { .. }
            | Self::HostPhase { .. }
            | Self::Halted { .. }
            | Self::CoordinatorLost { .. }
            | Self::CoordinatorBack { .. }
            | Self::RollEnded { .. }
            | Self::Unknown => 1,
            Self::Intent { effect, .. } => effect.form(),
            Self::Outcome { outcome, .. } => match outcome {
                Outcome::Done { .. } | Outcome::Failed { .. } => 1,
                Outcome::NothingToDo { .. } => 2,
            },
            Self::Operator { verb, .. } => match verb {
                OperatorVerb::Pause
                | OperatorVerb::Resume
                | OperatorVerb::Abort
                | OperatorVerb::Retry { .. }
                | OperatorVerb::Skip { .. } => 1,
                OperatorVerb::PauseAfterHost
                | OperatorVerb::Stop
                | OperatorVerb::Approve { .. }
                | OperatorVerb::SetPolicy { .. }
                | OperatorVerb::HandOver => 2,
            },
            Self::Held { .. }
            | Self::FeatureTouched { .. }
            | Self::FeatureKept { .. }
            | Self::WindowOpened { .. }
            | Self::WindowClosed { .. }
            | Self::Warned { .. }
            | Self::SuspensionAdopted { .. } => 2,
        }
    }

    /// The word of the kind, as it is written.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::RollStarted { .. } => "roll-started",
            Self::ControllerStarted { .. } => "controller-started",
            Self::Intent { .. } => "intent",
            Self::Outcome { .. } => "outcome",
            Self::HostPhase { .. } => "host-phase",
            Self::Halted { .. } => "halted",
            Self::CoordinatorLost { .. } => "coordinator-lost",
            Self::CoordinatorBack { .. } => "coordinator-back",
            Self::Operator { .. } => "operator",
            Self::RollEnded { .. } => "roll-ended",
            Self::Held { .. } => "held",
            Self::FeatureTouched { .. } => "feature-touched",
            Self::FeatureKept { .. } => "feature-kept",
            Self::WindowOpened { .. } => "window-opened",
            Self::WindowClosed { .. } => "window-closed",
            Self::Warned { .. } => "warned",
            Self::SuspensionAdopted { .. } => "suspension-adopted",
            Self::Unknown => "unknown",
        }
    }

    /// The host that it is about, if it is about one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Intent { effect, .. } => effect.host().map(HostId::as_str),
            Self::HostPhase { host, .. }
            | Self::CoordinatorLost { host }
            | Self::CoordinatorBack { host } => Some(host.as_str()),
            Self::Outcome { key, .. } => key.0.split_once('/').map(|(host, _)| host),
            Self::Operator { verb: OperatorVerb::Retry { host } | OperatorVerb::Skip { host }, .. } => {
                Some(host.as_str())
            }
            Self::RollStarted { .. }
            | Self::ControllerStarted { .. }
            | Self::Halted { .. }
            | Self::Operator { .. }
            | Self::RollEnded { .. }
            | Self::Held { .. }
            | Self::FeatureTouched { .. }
            | Self::FeatureKept { .. }
            | Self::WindowOpened { .. }
            | Self::WindowClosed { .. }
            | Self::Warned { .. }
            | Self::SuspensionAdopted { .. }
            | Self::Unknown => None,
        }
    }
}
