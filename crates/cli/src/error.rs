//! The one error type of the command line, and the one table of exit codes.
//!
//! Owns: [`Kind`] (what sort of failure, hence which exit code) and [`CliError`] (what, why, remedy). Promises:
//! the codes are those of `docs/ops/exit-codes.md`, held by a test. Does not: print (that is `output`).

use std::error::Error as StdError;

use thiserror::Error;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As it was asked for.
    Done,
    /// It failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// Checks found blockers.
    Blockers,
    /// Some of it is done.
    PartlyDone,
    /// A host or a person's decision stands in the way.
    NeedsPerson,
    /// A name fits nothing, or several.
    NotFound,
    /// Somebody else holds it, or it contradicts what is there.
    Conflict,
    /// A host or server does not answer.
    Unreachable,
    /// A token or key is not accepted.
    Auth,
    /// A signature or digest is wrong.
    Verification,
    /// Our mistake.
    Bug,
    /// By a signal.
    Interrupted,
}

impl Kind {
    /// Every kind, in the order of the documented table.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 13] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Blockers,
        Self::PartlyDone,
        Self::NeedsPerson,
        Self::NotFound,
        Self::Conflict,
        Self::Unreachable,
        Self::Auth,
        Self::Verification,
        Self::Bug,
        Self::Interrupted,
    ];

    /// Exit code, stable word for programs, meaning for people: the one place where they are written.
    const fn table(self) -> (u8, &'static str, &'static str) {
        match self {
            Self::Done => (0, "done", "done"),
            Self::Failed => (1, "failed", "failed"),
            Self::Usage => (2, "usage", "usage"),
            Self::Blockers => (3, "blockers", "checks found blockers, nothing changed"),
            Self::PartlyDone => (4, "partly-done", "partly done; see what is left: lifeboat roll status"),
            Self::NeedsPerson => (5, "needs-person", "needs a person"),
            Self::NotFound => (6, "not-found", "not found or ambiguous"),
            Self::Conflict => (7, "conflict", "conflict, locked"),
            Self::Unreachable => (8, "unreachable", "server or host not reachable"),
            Self::Auth => (9, "auth", "authentication"),
            Self::Verification => (10, "verification", "verification or signature failed"),
            Self::Bug => (70, "bug", "bug"),
            Self::Interrupted => (130, "interrupted", "interrupted"),
        }
    }

    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        self.table().0
    }

    /// The word for programs.
    pub(crate) const fn word(self) -> &'static str {
        self.table().1
    }

    /// The meaning for people.
    pub(crate) const fn meaning(self) -> &'static str {
        self.table().2
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, Error)]
#[error("{what}")]
pub(crate) struct CliError {
    kind: Kind,
    what: String,
    #[source]
    cause: Option<Box<dyn StdError + Send + Sync>>,
    remedy: Option<String>,
    told: bool,
}

impl CliError {
    /// A failure without a deeper cause.
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), cause: None, remedy: None, told: false }
    }

    /// A wrong command line that the parser could not see.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Adds why it failed.
    pub(crate) fn because(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what a person can do.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Says that the result on standard output tells it already: a program finds one document there, not two.
    pub(crate) fn told(mut self) -> Self {
        self.told = true;
        self
    }

    /// Whether the result on standard output tells it already.
    pub(crate) const fn is_told(&self) -> bool {
        self.told
    }

    /// The sort of failure.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// What a person can do.
    pub(crate) fn remedy_text(&self) -> Option<&str> {
        let general = (self.kind == Kind::Usage).then_some("see the command's help: add --help");
        self.remedy.as_deref().or(general)
    }

    /// The causes, outermost first, without those that only repeat the text before them.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut next = self.source();
        while let Some(error) = next {
            let text = error.to_string();
            let before = causes.last().unwrap_or(&self.what);
            if !before.contains(&text) {
                causes.push(text);
            }
            next = error.source();
        }
        causes
    }

    /// One line: what, and every cause.
    pub(crate) fn line(&self) -> String {
        let mut line = self.what.clone();
        for cause in self.causes() {
            line.push_str(": ");
            line.push_str(&cause);
        }
        line
    }
}

/// A failure to read or write a file, with the exit code that its cause deserves.
pub(crate) fn file_error(doing: &str, path: &std::path::Path, source: std::io::Error) -> CliError {
    use std::io::ErrorKind as Io;
    let (kind, remedy) = match source.kind() {
        Io::NotFound => (Kind::NotFound, Some("check the path")),
        Io::PermissionDenied => (Kind::Failed, Some("run as a user who may, for example with sudo")),
        Io::StorageFull | Io::QuotaExceeded => (Kind::Failed, Some("free space, then run the command again")),
        Io::AlreadyExists => (Kind::Conflict, Some("choose another name, or remove the file that is there")),
        _ => (Kind::Failed, None),
    };
    let error = CliError::new(kind, format!("{doing} {}", path.display())).because(source);
    match remedy {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_exit_codes_are_those_of_the_program() {
        let page = include_str!("../../../docs/ops/exit-codes.md");
        let documented: Vec<(String, String, String)> = page
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix('|')?.split('|').map(|cell| cell.trim().to_owned());
                let row = (cells.next()?, cells.next()?, cells.next()?);
                row.0.parse::<u8>().is_ok().then_some(row)
            })
            .collect();
        let coded: Vec<(String, String, String)> = Kind::ALL
            .iter()
            .map(|kind| (kind.code().to_string(), format!("`{}`", kind.word()), kind.meaning().to_owned()))
            .collect();
        assert_eq!(documented, coded);
    }

    #[test]
    fn a_cause_that_repeats_the_text_before_it_is_said_once() {
        let inner = std::io::Error::other("disk on fire");
        let error = CliError::new(Kind::Failed, "reading a: disk on fire").because(inner);
        assert_eq!(error.line(), "reading a: disk on fire");
    }
}
