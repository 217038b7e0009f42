//! What can end a controller before its roll has ended.

use lifeboat_hypervisor::DriverError;
use lifeboat_model::{RollId, Sha256Hex};
use lifeboat_roll::FoldError;
use lifeboat_store::StoreError;
use thiserror::Error;

use crate::{CalendarError, CommandProblem};

/// Why the executor stopped. The roll itself is safe in its journal.
#[derive(Debug, Error)]
pub enum ExecutorError {
    /// The journal cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The pool as such cannot be reached.
    #[error("the pool cannot be reached; the roll is kept and can be resumed")]
    Driver(#[from] DriverError),
    /// The journal contradicts itself.
    #[error("roll {roll} cannot be read from its journal")]
    Fold {
        /// The roll.
        roll: RollId,
        /// The event that does not fit.
        #[source]
        source: FoldError,
    },
    /// The plan that is to be started is not the one that was approved.
    #[error("plan {found} was given, but {approved} was approved; look at the plan again")]
    NotApproved {
        /// Hash of the plan that was given.
        found: Sha256Hex,
        /// Hash that was approved.
        approved: Sha256Hex,
    },
    /// The plan names hosts that cannot be upgraded as things are.
    #[error("the plan has {count} blocked host{}: {first}; mend that, or exclude the host and plan again",
        if *count == 1 { "" } else { "s" })]
    Blocked {
        /// How many.
        count: usize,
        /// The first, with its reason.
        first: String,
    },
    /// The plan was made for another state of the pool.
    #[error("the pool has changed since the plan was made: {reason}; make a new plan")]
    Stale {
        /// What differs.
        reason: String,
    },
    /// The policy has windows that cannot be used.
    #[error("the maintenance windows of the policy cannot be used; correct the policy")]
    Windows(#[from] CalendarError),
    /// The policy has commands that cannot be run here.
    #[error("the policy has {count} command{} that cannot be run here: {first}", if *count == 1 { "" } else { "s" })]
    Commands {
        /// How many.
        count: usize,
        /// The first.
        first: CommandProblem,
    },
    /// The roll has ended for good.
    #[error("roll {roll} has ended; make a new plan to go on")]
    Ended {
        /// The roll.
        roll: RollId,
    },
    /// Deciding came to no end: a fault in this program.
    #[error(
        "roll {roll} decided {rounds} times without coming to rest; this is a fault of lifeboat, please report it"
    )]
    Restless {
        /// The roll.
        roll: RollId,
        /// How often.
        rounds: usize,
    },
    /// The observer ended this controller. The roll goes on when it is resumed.
    #[error("roll {roll} was left where it stands; take it up with `lifeboat roll resume {roll}`")]
    Left {
        /// The roll.
        roll: RollId,
    },
}
