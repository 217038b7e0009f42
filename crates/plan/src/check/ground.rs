//! What goes into the checks, and what comes out.
//!
//! Owns: the forms that callers see. Does not: look at anything.

use lifeboat_model::{Finding, Plan, Policy, RollId, Survey};

/// Everything that checks look at.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The pool, and the release that is to come if one was named.
    pub survey: &'a Survey,
    /// How it is to be rolled.
    pub policy: &'a Policy,
    /// The plan, if one was made: what it leaves out is not looked at.
    pub plan: Option<&'a Plan>,
    /// Rolls of this installation over this pool that have not ended.
    pub rolls: &'a [RollInProgress],
}

/// A roll of this installation that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollInProgress {
    /// Which.
    pub roll: RollId,
    /// What it is doing, for people: `running since 21:04, 3 of 8 hosts`.
    pub what: String,
}

/// Whether a check could look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// At everything that it is about.
    Yes,
    /// Not at everything: no findings then does not mean good.
    Unknown {
        /// What is not known, of whom.
        why: String,
    },
}

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its name, for example `clock`.
    pub check: &'static str,
    /// What it is about, for people.
    pub title: &'static str,
    /// Whether it could look at everything.
    pub looked: Looked,
    /// What it found; empty and [`Looked::Yes`] is good.
    pub findings: Vec<Finding>,
}
