//! What is wrong with a policy file, and where.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use crate::error::{CliError, Kind};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// The file, as it was named.
    pub(crate) file: String,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column in characters, from 1.
    pub(crate) column: usize,
    /// Name of the value, such as `hooks.2.command`; empty for a mistake of form.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) key: String,
    /// What was found, as it is written there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) value: String,
    /// Why it cannot be used.
    pub(crate) reason: String,
    /// What can be done.
    pub(crate) remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        match (self.key.as_str(), self.value.as_str()) {
            ("", _) => {}
            (key, "") => write!(f, "{key}: ")?,
            (key, value) => write!(f, "{key} = {value}: ")?,
        }
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

/// So many mistakes are told of one file.
const TOLD: usize = 100;

/// All mistakes of a file as one error.
pub(super) fn error_of(path: &Path, problems: &[Problem]) -> CliError {
    let mut lines: Vec<String> = problems.iter().take(TOLD).map(ToString::to_string).collect();
    if let Some(more) = problems.len().checked_sub(TOLD).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    let what = match lines.as_slice() {
        [one] => one.clone(),
        _ => format!("{}: {} mistakes\n{}", path.display(), problems.len(), lines.join("\n")),
    };
    CliError::new(Kind::Failed, what)
        .remedy("mend the file; `lifeboat policy example` shows every key, docs/ops/policy.md explains them")
}

/// Lines and columns of a text.
#[derive(Debug)]
pub(super) struct Places<'t> {
    text: &'t str,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl<'t> Places<'t> {
    /// Of this text.
    pub(super) fn of(text: &'t str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines }
    }

    /// Line and column, from 1, of a byte.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count());
        (line, column + 1)
    }

    /// What is written there, on one line and not too long.
    pub(super) fn written(&self, span: std::ops::Range<usize>) -> String {
        let text = self.text.get(span).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let mut shown: String = line
            .chars()
            .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
            .take(60)
            .collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let places = Places::of("ab\nü = x\n\nlast");
        assert_eq!(places.place(0), (1, 1));
        assert_eq!(places.place(3), (2, 1));
        assert_eq!(places.place(8), (2, 5));
        assert_eq!(places.place(10), (3, 1));
        assert_eq!(places.place(11), (4, 1));
        assert_eq!(places.place(1000), (4, 1));
    }
}
