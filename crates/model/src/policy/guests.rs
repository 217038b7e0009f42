//! What happens to the guests of a host whose turn it is.
//!
//! Owns: the strategies and the rules that choose one for a guest. Promises: every guest has exactly one strategy; no
//! strategy lets a host reboot with a running guest. Does not: know whether a guest can be moved.

use serde::{Deserialize, Serialize};

use crate::GuestId;

/// What happens to a running guest before its host is upgraded.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestStrategy {
    /// It is moved to another host while it runs.
    #[default]
    Migrate,
    /// It is shut down just before its host is upgraded, and started there just after.
    StopStart,
    /// It is left to its owner: the host waits until somebody shut it down or moved it.
    Leave,
    /// Its host is not upgraded while it runs there: the plan names it as blocked.
    Forbid,
}

impl GuestStrategy {
    /// The word of the policy file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::StopStart => "stop-start",
            Self::Leave => "leave",
            Self::Forbid => "forbid",
        }
    }
}

impl std::fmt::Display for GuestStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// A strategy for guests by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GuestRule {
    /// Names; `*` stands for any characters, `?` for one.
    pub guests: Vec<String>,
    /// What happens to them.
    pub strategy: GuestStrategy,
}

impl GuestRule {
    /// Whether the rule is about this guest.
    #[must_use]
    pub fn matches(&self, guest: &GuestId) -> bool {
        self.guests.iter().any(|pattern| matches_name(pattern, guest.as_str()))
    }
}

/// Whether a name is what a pattern says: `*` stands for any characters, `?` for one.
#[must_use]
pub fn matches_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how much of the name it has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(&letter) = name.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == letter => {
                at += 1;
                read += 1;
            }
            Some(_) | None => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    read = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&letter| letter == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_only() {
        for (pattern, name, matches) in [
            ("db1", "db1", true),
            ("db1", "db10", false),
            ("db*", "db10", true),
            ("*", "", true),
            ("*-old", "web-old-old", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("", "a", false),
            ("ä*", "ärger", true),
        ] {
            assert_eq!(matches_name(pattern, name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_more_than_its_length_times_the_name() {
        assert!(!matches_name(&"*a".repeat(2000), &"a".repeat(1000)));
    }
}
