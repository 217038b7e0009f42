//! Constraints between VIBs.
//!
//! Owns: [`Constraint`] and what satisfies it. Promises: a constraint is as wide as its text; no relation means any
//! version. Does not: know which VIBs there are (that is `resolve`).

use std::fmt;

use serde::Serialize;

use crate::version::VibVersion;

/// How a version must stand to the one named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Relation {
    /// `<<`
    #[serde(rename = "<<")]
    Earlier,
    /// `<=`
    #[serde(rename = "<=")]
    EarlierOrEqual,
    /// `=`
    #[serde(rename = "=")]
    Equal,
    /// `>=`
    #[serde(rename = ">=")]
    LaterOrEqual,
    /// `>>`
    #[serde(rename = ">>")]
    Later,
}

impl Relation {
    /// Reads one of the five signs. `<` and `>` are taken for `<<` and `>>`, as some makers write them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "<<" | "<" => Some(Self::Earlier),
            "<=" => Some(Self::EarlierOrEqual),
            "=" | "==" => Some(Self::Equal),
            ">=" => Some(Self::LaterOrEqual),
            ">>" | ">" => Some(Self::Later),
            _ => None,
        }
    }

    /// Its sign.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Earlier => "<<",
            Self::EarlierOrEqual => "<=",
            Self::Equal => "=",
            Self::LaterOrEqual => ">=",
            Self::Later => ">>",
        }
    }

    /// Whether `version` stands so to `bound`.
    #[must_use]
    pub fn holds(self, version: &VibVersion, bound: &VibVersion) -> bool {
        match self {
            Self::Earlier => version < bound,
            Self::EarlierOrEqual => version <= bound,
            Self::Equal => version == bound,
            Self::LaterOrEqual => version >= bound,
            Self::Later => version > bound,
        }
    }
}

/// A name, and how its version must stand to which one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Constraint {
    /// Name of a VIB or of something that VIBs provide.
    pub name: String,
    /// Both or neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<(Relation, VibVersion)>,
}

impl Constraint {
    /// Any version of this name.
    #[must_use]
    pub fn any(name: &str) -> Self {
        Self { name: name.to_owned(), bound: None }
    }

    /// Reads `NAME` or `NAME SIGN VERSION`, as command outputs print them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        let name = words.next()?.to_owned();
        match (words.next(), words.next(), words.next()) {
            (None, None, None) => Some(Self { name, bound: None }),
            (Some(sign), Some(version), None) => {
                let bound = (Relation::parse(sign)?, VibVersion::new(version));
                Some(Self { name, bound: Some(bound) })
            }
            _ => None,
        }
    }

    /// Whether something of this name in this version satisfies it. What has no version satisfies only a
    /// constraint without one.
    #[must_use]
    pub fn admits(&self, version: Option<&VibVersion>) -> bool {
        match (&self.bound, version) {
            (None, _) => true,
            (Some((relation, bound)), Some(version)) => relation.holds(version, bound),
            (Some(_), None) => false,
        }
    }

    /// Whether what is provided here (a name, perhaps `= version`) satisfies it.
    #[must_use]
    pub fn admits_provided(&self, provided: &Self) -> bool {
        self.name == provided.name && self.admits(provided.bound.as_ref().map(|(_, version)| version))
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bound {
            None => f.write_str(&self.name),
            Some((relation, version)) => write!(f, "{} {} {version}", self.name, relation.sign()),
        }
    }
}

/// Everything that a VIB says about others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relations {
    /// Must be provided by the whole set.
    pub depends: Vec<Constraint>,
    /// Must not be in the set.
    pub conflicts: Vec<Constraint>,
    /// Is taken out of the set.
    pub replaces: Vec<Constraint>,
    /// Names that this VIB gives to others, besides its own.
    pub provides: Vec<Constraint>,
    /// Works beside these, although their makers' VIBs exclude it.
    pub compatible_with: Vec<Constraint>,
}
