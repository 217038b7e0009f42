//! Differences of what is no file: network cards, devices, packages, definitions of a running libvirt.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::xml;
use crate::backup::{LiveDefinition, document};
use crate::devices::KnownDevice;
use crate::facts::{Nic, NicMove, Package, match_nics};
use crate::form::{Backup, FormError};

/// Differences of documents, as lines for people.
pub(super) fn documents(old: &Backup, new: &Backup) -> Result<Vec<(&'static str, String)>, FormError> {
    let mut lines = Vec::new();
    let add = |section, list: Vec<String>, lines: &mut Vec<(&'static str, String)>| {
        lines.extend(list.into_iter().map(|line| (section, line)));
    };
    add(
        "network",
        nics(&load(old, "network", document::NICS)?, &load(new, "network", document::NICS)?),
        &mut lines,
    );
    let known = |backup| load::<KnownDevice>(backup, "storage", document::DEVICES);
    add("storage", devices(&known(old)?, &known(new)?), &mut lines);
    let live = |backup| load::<LiveDefinition>(backup, "libvirt", document::LIVE);
    add("libvirt", definitions(&live(old)?, &live(new)?), &mut lines);
    let packages = |backup| load::<Package>(backup, "packages", document::PACKAGES);
    add("packages", changed_packages(&packages(old)?, &packages(new)?), &mut lines);
    Ok(lines)
}

fn load<T: DeserializeOwned>(backup: &Backup, section: &str, name: &str) -> Result<Vec<T>, FormError> {
    Ok(backup.document(section, name)?.unwrap_or_default())
}

/// What of two lists was added, taken away or changed, by their keys.
fn keyed<T: Serialize>(old: &[T], new: &[T], what: &str, key: impl Fn(&T) -> String) -> Vec<String> {
    let map = |list: &[T]| -> BTreeMap<String, serde_json::Value> {
        list.iter().map(|item| (key(item), serde_json::to_value(item).unwrap_or_default())).collect()
    };
    let (old, new) = (map(old), map(new));
    let mut lines = Vec::new();
    for (name, before) in &old {
        match new.get(name) {
            None => lines.push(format!("{what} {name} is gone")),
            Some(after) if after != before => lines.extend(fields(what, name, before, after)),
            Some(_) => {}
        }
    }
    lines.extend(
        new.keys().filter(|name| !old.contains_key(*name)).map(|name| format!("{what} {name} is new")),
    );
    lines
}

fn fields(what: &str, name: &str, before: &serde_json::Value, after: &serde_json::Value) -> Vec<String> {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else { return Vec::new() };
    let word = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => "none".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let changed = before.iter().filter(|(field, value)| after.get(*field) != Some(*value));
    changed
        .map(|(field, value)| {
            format!(
                "{what} {name}: {} {} → {}",
                field.replace('_', " "),
                word(Some(value)),
                word(after.get(field))
            )
        })
        .collect()
}

fn nics(old: &[Nic], new: &[Nic]) -> Vec<String> {
    let moves = match_nics(old, new);
    let mut lines: Vec<String> = Vec::new();
    let mut told = Vec::new();
    for change in moves {
        match change {
            NicMove::Renamed { was, now, by } => {
                lines.push(format!("network card {was} is called {now} now (same {by})"));
                told.extend([was, now]);
            }
            NicMove::Missing { was, known_by, .. } => {
                lines.push(format!("network card {was} ({known_by}) is gone"));
                told.push(was);
            }
        }
    }
    // A card under another name was told as such.
    let rest =
        |list: &[Nic]| -> Vec<Nic> { list.iter().filter(|nic| !told.contains(&nic.name)).cloned().collect() };
    lines.extend(keyed(&rest(old), &rest(new), "interface", |nic| nic.name.clone()));
    lines
}

fn devices(old: &[KnownDevice], new: &[KnownDevice]) -> Vec<String> {
    let strip = |list: &[KnownDevice]| -> Vec<KnownDevice> {
        // The list of all names changes with every kernel; what the name stands for does not.
        list.iter().map(|known| KnownDevice { names: Vec::new(), ..known.clone() }).collect()
    };
    keyed(&strip(old), &strip(new), "device", |known| format!("{} in {}", known.name, known.file))
}

fn changed_packages(old: &[Package], new: &[Package]) -> Vec<String> {
    keyed(old, new, "package", |package| format!("{}:{}", package.name, package.arch))
}

fn definitions(old: &[LiveDefinition], new: &[LiveDefinition]) -> Vec<String> {
    let map = |list: &[LiveDefinition]| -> BTreeMap<String, LiveDefinition> {
        list.iter().map(|live| (format!("{} {}", live.kind, live.name), live.clone())).collect()
    };
    let (old, new) = (map(old), map(new));
    let mut lines = Vec::new();
    for (name, before) in &old {
        match new.get(name) {
            None => lines.push(format!("{name} is no longer defined")),
            Some(after) => {
                let (a, b) = (xml::canonical(before.xml.as_bytes()), xml::canonical(after.xml.as_bytes()));
                if a.is_none() || a != b {
                    lines.push(format!("{name} is defined otherwise"));
                }
            }
        }
    }
    lines.extend(new.keys().filter(|name| !old.contains_key(*name)).map(|name| format!("{name} is new")));
    lines
}
