//! Codes as people write them on the command line.

use lifeboat_model::Finding;
use lifeboat_plan::check::catalogue;

use crate::error::{CliError, Kind};
use crate::nearest::nearest;

/// A code that does not exist.
pub(super) fn unknown(code: &str) -> CliError {
    let error = CliError::new(Kind::NotFound, format!("no finding has the code {code:?}"));
    let pages = catalogue();
    match nearest(code, pages.iter().map(|page| page.code)) {
        Some(near) => error.remedy(format!("did you mean {near}? see them all: lifeboat check list")),
        None => error.remedy("see them all: lifeboat check list"),
    }
}

/// Refuses codes that do not exist: a slip must not look like "nothing found".
pub(super) fn known<'c>(codes: impl IntoIterator<Item = &'c str>) -> Result<(), CliError> {
    let pages = catalogue();
    match codes.into_iter().find(|code| pages.iter().all(|page| page.code != *code)) {
        None => Ok(()),
        Some(code) => Err(unknown(code)),
    }
}

/// A finding that is not counted: `CODE` or `CODE:SUBJECT`.
#[derive(Debug)]
pub(super) struct Ignore<'a> {
    code: &'a str,
    subject: Option<&'a str>,
}

impl<'a> Ignore<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, CliError> {
        let (code, subject) = match text.split_once(':') {
            Some((code, subject)) => (code, Some(subject)),
            None => (text, None),
        };
        known([code])?;
        Ok(Self { code, subject })
    }

    pub(super) fn fits(&self, finding: &Finding) -> bool {
        finding.code == self.code && self.subject.is_none_or(|subject| finding.subject == subject)
    }
}
