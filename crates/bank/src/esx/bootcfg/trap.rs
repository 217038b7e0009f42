//! What a looseness of the loader makes of a line.

use serde::Serialize;

/// What a trap changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrapEffect {
    /// Whether and when the bank boots.
    Selection,
    /// Whether the loader can write the state, which the fall-back depends on.
    Writing,
    /// Which files are loaded, or with which words.
    Loading,
    /// Nothing that boots; the line is read otherwise than it looks.
    Reading,
}

/// A line, or a line that is missing, that the loader reads otherwise than a person would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trap {
    /// Stable word for programs, for example `cfg-key-shortened`.
    pub code: &'static str,
    /// What it changes.
    pub effect: TrapEffect,
    /// Line, counted from 1; none when the trap is a line that is not there.
    pub line: Option<u32>,
    /// What stands there and what the loader makes of it.
    pub text: String,
}
