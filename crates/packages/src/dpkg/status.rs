//! The status file of dpkg.
//!
//! Owns: its form: stanzas of fields, RFC 822 style. Promises: bytes that do not fit are left out, never guessed at; a
//! state that is not known counts as not whole. Does not: read the file.

use crate::manager::{Defect, Installed};

/// Longest status file that is read: a hundred times the usual.
pub(crate) const LONGEST: u64 = 256 << 20;

/// One stanza.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stanza {
    /// Fields in their order; continuation lines joined by newlines.
    pub fields: Vec<(String, String)>,
}

impl Stanza {
    /// The value of a field; its name without regard to case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Want, flag and state of the field `Status`.
    fn status(&self) -> (&str, &str, &str) {
        let mut words = self.get("Status").unwrap_or_default().split_whitespace();
        let mut next = || words.next().unwrap_or_default();
        (next(), next(), next())
    }

    /// Configuration files with the hashes they came with; obsolete ones left out.
    #[must_use]
    pub fn conffiles(&self) -> Vec<(String, String)> {
        let lines = self.get("Conffiles").unwrap_or_default().lines();
        let parse = |line: &str| {
            if line.ends_with(" obsolete") || line.ends_with(" remove-on-upgrade") {
                return None;
            }
            let (path, hash) = line.trim().rsplit_once(' ')?;
            Some((path.to_owned(), hash.to_owned()))
        };
        lines.filter_map(parse).collect()
    }
}

/// Parses stanzas separated by empty lines.
#[must_use]
pub fn parse_status(text: &str) -> Vec<Stanza> {
    let mut stanzas = Vec::new();
    let mut stanza = Stanza::default();
    for line in text.lines() {
        if line.trim().is_empty() {
            if !stanza.fields.is_empty() {
                stanzas.push(std::mem::take(&mut stanza));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.fields.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.fields.push((key.to_owned(), value.trim().to_owned()));
        }
    }
    if !stanza.fields.is_empty() {
        stanzas.push(stanza);
    }
    stanzas
}

/// States of a package that has nothing on the host but, perhaps, configuration files.
pub(crate) fn is_absent(state: &str) -> bool {
    matches!(state, "not-installed" | "config-files" | "")
}

/// The package of a stanza; none for one that is not there.
pub(crate) fn installed(stanza: &Stanza) -> Option<Installed> {
    let (_, flag, state) = stanza.status();
    if is_absent(state) && flag == "ok" {
        return None;
    }
    Some(Installed {
        name: stanza.get("Package")?.to_owned(),
        arch: stanza.get("Architecture").unwrap_or_default().to_owned(),
        version: stanza.get("Version").unwrap_or_default().to_owned(),
        whole: state == "installed" && flag == "ok",
        state: if flag == "ok" { state.to_owned() } else { format!("{state} {flag}") },
    })
}

/// What is between two states; the words are those of `dpkg --audit`.
pub(crate) fn defect(package: &Installed) -> Option<Defect> {
    if package.whole {
        return None;
    }
    let Installed { name, version, state, .. } = package;
    let words = match state.split(' ').next().unwrap_or_default() {
        "half-installed" => "its files were being unpacked or removed",
        "unpacked" => "its files are there, and it was never configured",
        "half-configured" => "its configuration began and did not end",
        "triggers-awaited" => "it waits for triggers of another package",
        "triggers-pending" => "its triggers did not run",
        _ => "its state is not known",
    };
    Some(Defect {
        code: "packages-half-installed".to_owned(),
        subject: name.clone(),
        evidence: format!("{version} is {state}: {words}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_but_installed_is_a_defect() {
        let states =
            ["half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending", "odd"];
        for state in states {
            let text = format!("Package: a\nStatus: install ok {state}\nVersion: 1\n\n");
            let found: Vec<_> =
                parse_status(&text).iter().filter_map(installed).filter_map(|p| defect(&p)).collect();
            assert_eq!(found.len(), 1, "{state}");
        }
        let text = "Package: a\nStatus: install reinstreq installed\nVersion: 1\n";
        assert!(parse_status(text).iter().filter_map(installed).filter_map(|p| defect(&p)).count() == 1);
        for state in ["installed", "config-files", "not-installed"] {
            let text = format!("Package: a\nStatus: install ok {state}\nVersion: 1\n");
            assert!(parse_status(&text).iter().filter_map(installed).filter_map(|p| defect(&p)).count() == 0);
        }
    }

    #[test]
    fn conffiles_keep_blanks_in_their_names() {
        let text = "Package: a\nConffiles:\n /etc/a b 0123\n /etc/old 4567 obsolete\nX: y\n";
        let stanzas = parse_status(text);
        assert_eq!(stanzas[0].conffiles(), [("/etc/a b".to_owned(), "0123".to_owned())]);
    }
}
