//! A policy as lines: key, value, origin.
//!
//! Promises: what [`to_toml`] writes is read as the same policy.

use lifeboat_model::Policy;
use serde::Serialize;
use serde_json::Value;

use super::duration;
use super::keys::{Default, KEYS, Key, Shape};
use super::origin::{Origin, Origins};
use crate::error::{CliError, Kind};

/// One value of a policy.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    /// Name of the key; positions in lists count from 0.
    pub(crate) key: String,
    /// The value as TOML; `none` if there is none.
    pub(crate) value: String,
    /// Where it comes from.
    pub(crate) origin: Origin,
    /// What the key means.
    pub(crate) meaning: &'static str,
}

/// Every value of a policy. Values without an entry in `origins` have `otherwise`, or their default if that is what
/// they are.
pub(crate) fn lines_of(
    policy: &Policy,
    origins: &Origins,
    otherwise: &Origin,
) -> Result<Vec<Line>, CliError> {
    let bug = |cause| CliError::new(Kind::Bug, "a policy as values").because(cause);
    let values = serde_json::to_value(policy).map_err(bug)?;
    let mut lines = Vec::new();
    walk("", KEYS, &values, origins, otherwise, &mut lines);
    Ok(lines)
}

fn walk(
    path: &str,
    keys: &[Key],
    values: &Value,
    origins: &Origins,
    otherwise: &Origin,
    lines: &mut Vec<Line>,
) {
    for key in keys {
        let full = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let value = values.get(key.name).filter(|value| !value.is_null());
        let default = match key.default {
            Default::Is(text) => text,
            Default::None | Default::Required(_) => "none",
        };
        match (key.shape, value) {
            (Shape::Table(inner), value) => {
                walk(&full, inner, value.unwrap_or(&Value::Null), origins, otherwise, lines);
                continue;
            }
            (Shape::Tables(inner), Some(Value::Array(items))) if !items.is_empty() => {
                for (at, item) in items.iter().enumerate() {
                    walk(&format!("{full}.{at}"), inner, item, origins, otherwise, lines);
                }
                continue;
            }
            _ => {}
        }
        let value = value.map_or_else(|| default.to_owned(), |value| written(value, key.shape));
        let origin = match origins.get(&full) {
            Some(origin) => origin.clone(),
            None if value == default => Origin::Default,
            None => otherwise.clone(),
        };
        lines.push(Line { key: full, value, origin, meaning: key.meaning });
    }
}

/// A value as TOML.
fn written(value: &Value, shape: Shape) -> String {
    match (shape, value) {
        (Shape::Duration, Value::Number(millis)) => quoted(&duration::show(millis.as_u64().unwrap_or(0))),
        (_, Value::String(text)) => quoted(text),
        (_, Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| written(item, Shape::Text)).collect();
            format!("[{}]", items.join(", "))
        }
        (_, Value::Object(entries)) => {
            let entries: Vec<String> =
                entries.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        (_, Value::Null | Value::Bool(_) | Value::Number(_)) => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// The lines as a policy file, each with its origin behind it.
pub(crate) fn to_toml(lines: &[Line]) -> String {
    let mut text = String::new();
    let mut table = String::new();
    // What belongs to no table stands above all tables.
    let (inner, outer): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.key.contains('.'));
    for line in outer.into_iter().chain(inner) {
        let (path, name) = line.key.rsplit_once('.').unwrap_or(("", &line.key));
        if path != table {
            path.clone_into(&mut table);
            let head = match path.rsplit_once('.') {
                Some((list, _)) => format!("[[{list}]]"),
                None => format!("[{path}]"),
            };
            text.push_str(&format!("\n{head}\n"));
        }
        let value = match line.value.as_str() {
            "none" => format!("# {name} ="),
            value => format!("{name} = {value}"),
        };
        text.push_str(&format!("{value:<40} # {}\n", line.origin));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same_policy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        for text in ["", crate::policy::EXAMPLE, &crate::policy::example::everything()] {
            std::fs::write(&path, text).unwrap();
            let policy = crate::policy::load(&path).unwrap().policy;
            let lines = lines_of(&policy, &Origins::new(), &Origin::Plan).unwrap();
            std::fs::write(&path, to_toml(&lines)).unwrap();
            assert_eq!(crate::policy::load(&path).unwrap().policy, policy, "{}", to_toml(&lines));
        }
    }

    #[test]
    fn every_default_of_the_table_is_the_default_of_the_type() {
        let lines = lines_of(&Policy::default(), &Origins::new(), &Origin::Plan).unwrap();
        assert!(lines.iter().all(|line| line.origin == Origin::Default), "{lines:#?}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.toml");
        std::fs::write(&path, to_toml(&lines)).unwrap();
        assert_eq!(crate::policy::load(&path).unwrap().policy, Policy::default());
    }
}
