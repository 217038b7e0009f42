//! Every spelling of a device.
//!
//! Owns: [`Alias`] and the rules by which a partition is written behind a name.

use serde::{Deserialize, Serialize};

use super::parse::{Form, parse_name};
use super::suffix::known_length;

/// One spelling of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The full path, or the word of another program.
    pub name: String,
    /// Where names of this form come from.
    pub form: Form,
    /// Whether this host has it now; if not, it is what another host, driver or program would write.
    pub present: bool,
}

impl Alias {
    pub(super) fn of(name: String, present: bool) -> Self {
        let form = parse_name(&name).map_or(Form::Link, |parsed| parsed.form);
        Self { name, form, present }
    }
}

/// A name of a disk with the number of a partition, in every way that is in use.
pub(super) fn with_part(name: &str, number: u32) -> Vec<String> {
    if let Some(uuid) = name.strip_prefix("/dev/disk/by-id/dm-uuid-mpath-") {
        return vec![
            format!("/dev/disk/by-id/dm-uuid-part{number}-mpath-{uuid}"),
            format!("{name}-part{number}"),
        ];
    }
    let digit = name.ends_with(|c: char| c.is_ascii_digit());
    if let Some((_, last)) = name.strip_prefix("/dev/disk/").and_then(|rest| rest.split_once('/')) {
        let mut names = vec![format!("{name}-part{number}")];
        // Behind a letter the `p` would be read as part of a serial, unless the length of the id is known.
        if digit || known_length(last) == Some(last.len()) {
            names.push(format!("{name}p{number}"));
        }
        return names;
    }
    if name.starts_with("/dev/mapper/") {
        let mut names = vec![format!("{name}p{number}"), format!("{name}-part{number}")];
        if !digit {
            names.push(format!("{name}{number}"));
        }
        return names;
    }
    vec![if digit { format!("{name}p{number}") } else { format!("{name}{number}") }]
}
