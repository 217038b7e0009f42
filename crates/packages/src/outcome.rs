//! What is told while a transaction runs, and what came of it.
//!
//! Owns: their words and serde forms. Promises: an outcome that is not incomplete was read from the database. Does not:
//! run anything; [`crate::apply`] does.

use std::time::Instant;

use lifeboat_model::Finding;
use serde::Serialize;

use crate::command::Stuck;
use crate::conffiles::Leftover;
use crate::plan::Step;

/// What is going on, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Progress {
    /// Words for people.
    Note {
        /// The words.
        text: String,
    },
    /// A step begins.
    Step {
        /// Its number, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// The step.
        step: Step,
    },
    /// A step makes no progress.
    Stuck {
        /// What was seen.
        stuck: Stuck,
    },
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All packages have the new version.
    Done,
    /// All packages have the old version.
    RolledBack,
    /// The host is between them and held.
    Incomplete,
    /// There was nothing to do.
    NothingToDo,
}

/// What came of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// `lifeboat.package-outcome.v1`.
    pub schema: String,
    /// The transaction.
    pub transaction: String,
    /// How it ended.
    pub ending: Ending,
    /// Why it is incomplete.
    pub reason: Option<String>,
    /// Configuration files that wait for a person.
    pub leftovers: Vec<Leftover>,
    /// What is worth knowing.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub took_secs: u64,
}

/// An outcome with nothing more to tell.
pub(crate) fn outcome(id: &str, ending: Ending, reason: Option<String>, begin: Instant) -> Outcome {
    Outcome {
        schema: "lifeboat.package-outcome.v1".to_owned(),
        transaction: id.to_owned(),
        ending,
        reason,
        leftovers: Vec::new(),
        findings: Vec::new(),
        took_secs: begin.elapsed().as_secs(),
    }
}
