//! Where checks put what they find.
//!
//! Owns: the way from a page to a finding, the words for what is not known, and the cleaning of texts that come from
//! outside. Promises: a finding has the code and severity of its page, no control character and no endless text.
//! Does not: look at anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};

use lifeboat_model::{Fact, Finding, HostFacts};

use super::catalogue::Page;
use super::ground::Looked;
use super::pool::{Host, Pool};

/// What one check found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    findings: Vec<Finding>,
    unknown: Vec<String>,
}

impl Found {
    /// Adds a finding; a fix can be put into what is returned.
    pub(super) fn add(
        &mut self,
        page: &Page,
        subject: impl Display,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Finding {
        let finding = Finding {
            code: page.code.to_owned(),
            severity: page.severity,
            subject: clean(&subject.to_string()),
            evidence: clean(&evidence.into()),
            remedy: clean(&remedy.into()),
            fix: None,
            undo: (!page.undo.is_empty()).then(|| page.undo.to_owned()),
        };
        let at = self.findings.len();
        self.findings.push(finding);
        // The position was made by the line above.
        &mut self.findings[at]
    }

    /// Says that something is not known.
    pub(super) fn unknown(&mut self, why: impl Into<String>) {
        self.unknown.push(clean(&why.into()));
    }

    /// Says of which hosts something is not known; nothing if there are none.
    pub(super) fn unknown_of(&mut self, what: &str, hosts: &[&str]) {
        if !hosts.is_empty() {
            self.unknown(format!("{what} of {} not known", names(hosts.iter())));
        }
    }

    /// A fact of each host that `of` chooses; those of whom it is not known are told.
    pub(super) fn facts<'p, 'a, T: 'a>(
        &mut self,
        pool: &'p Pool<'a>,
        what: &str,
        of: fn(&Host<'a>) -> bool,
        fact: fn(&'a HostFacts) -> &'a Fact<T>,
    ) -> Vec<(&'p Host<'a>, &'a T)> {
        let (mut known, mut silent) = (Vec::new(), Vec::new());
        for host in pool.hosts.iter().filter(|host| of(host)) {
            match host.facts.and_then(|facts| fact(facts).known()) {
                Some(value) => known.push((host, value)),
                None => silent.push(host.name()),
            }
        }
        self.unknown_of(what, &silent);
        known
    }

    /// What the check came to.
    pub(super) fn end(self) -> (Looked, Vec<Finding>) {
        let looked = if self.unknown.is_empty() {
            Looked::Yes
        } else {
            Looked::Unknown { why: self.unknown.join("; ") }
        };
        (looked, self.findings)
    }
}

/// What some hosts have and others lack.
pub(super) struct Uneven<'a> {
    pub(super) name: &'a str,
    /// How many have it.
    pub(super) with: usize,
    /// Who lacks it, for people.
    pub(super) lacking: String,
}

/// Things that at least two hosts have and at least one lacks. What one host alone has is its own affair.
pub(super) fn uneven<'a>(hosts: &[(&'a str, BTreeSet<&'a str>)]) -> Vec<Uneven<'a>> {
    let mut with: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (_, has)) in hosts.iter().enumerate() {
        for name in has {
            with.entry(name).or_default().push(at);
        }
    }
    let some = with.into_iter().filter(|(_, having)| having.len() > 1 && having.len() < hosts.len());
    let told = some.map(|(name, having)| {
        let mut have = having.iter().peekable();
        let lacking = hosts.iter().enumerate().filter(|(at, _)| have.next_if_eq(&at).is_none());
        Uneven { name, with: having.len(), lacking: names(lacking.map(|(_, (host, _))| host)) }
    });
    told.collect()
}

/// Most names in one text.
const NAMES: usize = 8;

/// A list of names for people: `h1, h2 and 7 more`.
pub(super) fn names(list: impl IntoIterator<Item = impl Display>) -> String {
    let mut text = String::new();
    let mut more = 0_usize;
    for (at, name) in list.into_iter().enumerate() {
        if at >= NAMES {
            more += 1;
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{name}", if at == 0 { "" } else { ", " });
    }
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    text
}

/// `1 host`, `2 hosts`.
pub(super) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Bytes for people, with the unit that leaves the fewest digits, and exact where it matters.
pub(super) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = None;
    let mut tenths = u128::from(number) * 10;
    for name in UNITS {
        if tenths < 10_240 {
            break;
        }
        // Rounded down: a figure must not look larger than it is.
        tenths /= 1024;
        unit = Some(name);
    }
    match unit {
        None => format!("{number} bytes"),
        Some(name) => format!("{}.{} {name}", tenths / 10, tenths % 10),
    }
}

/// Most characters of one text: names have an end, words of outside systems may not.
const LONGEST: usize = 2000;

/// A text without control characters, and with an end.
fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (at, letter) in text.chars().enumerate() {
        if at >= LONGEST {
            out.push('…');
            break;
        }
        let turns_text = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns_text {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_outside_systems_cannot_write_on_a_terminal_and_have_an_end() {
        assert_eq!(clean("a\u{1b}[2Jb\n\u{202e}"), "a\\u{1b}[2Jb\\u{a}\\u{202e}");
        assert_eq!(clean(&"x".repeat(5000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn lists_and_sizes_read_well() {
        assert_eq!(names(["a", "b"]), "a, b");
        assert_eq!(names(0..11), "0, 1, 2, 3, 4, 5, 6, 7 and 3 more");
        assert_eq!(count(1, "host"), "1 host");
        assert_eq!(count(0, "host"), "0 hosts");
        for (number, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536 * 1024, "1.5 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
