//! The plan linter: an independent second opinion on every plan.
//!
//! Owns: a replay of a plan on a pool, move by move, by names and sums only. Promises: it shares no code with the
//! planner, so that a mistake there does not hide itself here; a hostile plan gives findings, never a panic. Does
//! not: repair.

pub mod codes;
mod figure;
mod frame;
mod order;
mod placement;
mod replay;

use lifeboat_model::{Finding, Plan, Severity, World};

/// Everything that is wrong with `plan` on `world`; empty, or notes only, for a good plan.
///
/// Codes are those of [`codes`].
#[must_use]
pub fn lint(world: &World, plan: &Plan) -> Vec<Finding> {
    let mut findings = frame::check(world, plan);
    order::check(world, plan, &mut findings);
    let replay = replay::run(world, plan, &mut findings);
    figure::check(world, plan, &replay, &mut findings);
    findings
}

fn blocker(code: &str, subject: &str, evidence: String) -> Finding {
    finding(code, Severity::Blocker, subject, evidence)
}

fn finding(code: &str, severity: Severity, subject: &str, evidence: String) -> Finding {
    Finding {
        code: code.to_owned(),
        severity,
        subject: subject.to_owned(),
        evidence,
        remedy: "Make a new plan from the pool as it is now".to_owned(),
        fix: None,
        undo: None,
    }
}
