//! Rolls as rows.

use std::sync::Arc;

use lifeboat_model::{EventKind, Plan, PoolName, RollEnd, RollId, Sha256Hex, Timestamp};

/// Whether a roll may be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollState {
    /// It has not ended; a controller has it, or died.
    Active,
    /// A failure stopped it; it can be taken up again.
    Stopped,
    /// It has ended for good.
    Ended,
}

impl RollState {
    /// The word in the file and for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Stopped => "stopped",
            Self::Ended => "ended",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Stopped, Self::Ended].into_iter().find(|state| state.word() == word)
    }

    /// The state that follows an event, if it changes it.
    pub(crate) fn after(event: &EventKind) -> Option<Self> {
        match event {
            EventKind::ControllerStarted { .. } => Some(Self::Active),
            EventKind::RollEnded { end: RollEnd::Stopped { .. } } => Some(Self::Stopped),
            EventKind::RollEnded {
                end: RollEnd::Completed | RollEnd::CompletedWithExceptions { .. } | RollEnd::Aborted,
            } => Some(Self::Ended),
            EventKind::RollStarted { .. }
            | EventKind::Intent { .. }
            | EventKind::Outcome { .. }
            | EventKind::HostPhase { .. }
            | EventKind::Halted { .. }
            | EventKind::CoordinatorLost { .. }
            | EventKind::CoordinatorBack { .. }
            | EventKind::Operator { .. }
            | EventKind::Held { .. }
            | EventKind::FeatureTouched { .. }
            | EventKind::FeatureKept { .. }
            | EventKind::WindowOpened { .. }
            | EventKind::WindowClosed { .. }
            | EventKind::Warned { .. }
            | EventKind::SuspensionAdopted { .. }
            | EventKind::Unknown => None,
        }
    }
}

/// One roll.
#[derive(Debug, Clone)]
pub struct RollRow {
    /// Its name.
    pub id: RollId,
    /// The pool.
    pub pool: PoolName,
    /// Hash of the plan.
    pub plan_hash: Sha256Hex,
    /// The plan.
    pub plan: Arc<Plan>,
    /// What the programs need to take the roll up again (where the release lies), as JSON; opaque here.
    pub context: String,
    /// Whether it may be taken up.
    pub state: RollState,
    /// When it was made.
    pub created: Timestamp,
}
