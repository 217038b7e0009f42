//! What all checks came to, less what a person does not want to see.

use lifeboat_model::{Finding, Severity};
use lifeboat_plan::check::{Checked, Looked};
use serde::Serialize;

use super::codes::Ignore;
use crate::error::{CliError, Kind};

/// A finding, and whether it counts.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Told {
    /// What was found.
    pub(super) finding: Finding,
    /// Why a person does not count it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ignored: Option<String>,
}

/// A check that could not look at everything.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Blind {
    pub(super) check: &'static str,
    pub(super) title: &'static str,
    pub(super) why: String,
}

/// How many findings of each sort.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Counts {
    pub(super) blockers: usize,
    pub(super) warnings: usize,
    pub(super) notes: usize,
    pub(super) ignored: usize,
}

/// What all checks came to.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Report {
    /// Number of checks that ran.
    pub(super) checks: usize,
    /// Those that could not look at everything.
    pub(super) unknown: Vec<Blind>,
    /// Findings, the heaviest first, in the order of the checks.
    pub(super) findings: Vec<Told>,
    /// How many of each sort.
    pub(super) counts: Counts,
}

/// Which findings are shown and counted.
#[derive(Debug, Default)]
pub(super) struct Filter<'a> {
    /// Only these codes; empty: all.
    pub(super) only: &'a [String],
    /// Shown, not counted.
    pub(super) ignore: Vec<Ignore<'a>>,
    /// Why.
    pub(super) reason: &'a str,
}

impl Report {
    /// Sorts what checks told.
    pub(super) fn of(checked: Vec<Checked>, filter: &Filter<'_>) -> Self {
        let mut report = Self {
            checks: checked.len(),
            unknown: Vec::new(),
            findings: Vec::new(),
            counts: Counts::default(),
        };
        for check in checked {
            if let Looked::Unknown { why } = check.looked {
                report.unknown.push(Blind { check: check.check, title: check.title, why });
            }
            for finding in check.findings {
                if !filter.only.is_empty() && !filter.only.contains(&finding.code) {
                    continue;
                }
                let ignored = filter.ignore.iter().any(|ignore| ignore.fits(&finding));
                let ignored = ignored.then(|| filter.reason.to_owned());
                match (&ignored, finding.severity) {
                    (Some(_), _) => report.counts.ignored += 1,
                    (None, Severity::Blocker) => report.counts.blockers += 1,
                    (None, Severity::Warning) => report.counts.warnings += 1,
                    (None, Severity::Note) => report.counts.notes += 1,
                }
                report.findings.push(Told { finding, ignored });
            }
        }
        // Stable: findings of one check stay together.
        report
            .findings
            .sort_by_key(|told| (told.ignored.is_some(), std::cmp::Reverse(told.finding.severity)));
        report
    }

    /// Findings that count.
    pub(super) fn counted(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|told| told.ignored.is_none()).map(|told| &told.finding)
    }

    /// The end of a command that only looked: exit code 3 if there is a blocker.
    pub(super) fn verdict(&self, pool: &str) -> Result<(), CliError> {
        let blockers = self.counts.blockers;
        if blockers == 0 {
            return Ok(());
        }
        let fixable =
            self.counted().any(|finding| finding.severity == Severity::Blocker && finding.fix.is_some());
        let what = if blockers == 1 { "1 blocker".to_owned() } else { format!("{blockers} blockers") };
        let error = CliError::new(Kind::Blockers, format!("pool {pool}: {what}"));
        Err(if fixable {
            error.remedy(format!(
                "mend what is named above; what a program can mend: lifeboat check run {pool} --fix"
            ))
        } else {
            error.remedy("mend what is named above; about a finding: lifeboat check explain CODE")
        })
    }
}
