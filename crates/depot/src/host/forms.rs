//! The forms in which a host prints its VIBs: table, blocks of `get`, CSV, JSON, XML.
//!
//! Promises: the form is found by itself; prompts, headings and other lines around are left out; a text without a
//! single VIB is an error. Does not: ask a host.

use serde_json::Value;
use thiserror::Error;

use super::vibs::{Fields, Host, Installed, from_fields, key};
use crate::level::Level;
use crate::limits::Limits;
use crate::version::VibVersion;
use crate::xml::{self, Element, XmlError};

/// Most bytes of an output.
const LONGEST: usize = 16 << 20;

/// What is wrong with an output.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// Too long.
    #[error("it has more than {LONGEST} bytes")]
    TooLong,
    /// Nothing in it.
    #[error(
        "no VIB is in it; it must be the output of `esxcli software vib list` or `esxcli software vib get`"
    )]
    NoVib,
    /// JSON that is not.
    #[error("it is not JSON")]
    Json(#[source] serde_json::Error),
    /// XML that is not.
    #[error("it is not the XML of esxcli")]
    Xml(#[source] XmlError),
}

/// Reads an output in any of its forms, also several outputs one after the other as text.
///
/// # Errors
/// See [`HostError`].
pub fn parse(text: &str) -> Result<Host, HostError> {
    if text.len() > LONGEST {
        return Err(HostError::TooLong);
    }
    let text = text.trim_start_matches('\u{feff}');
    let begin = text.trim_start();
    let found = if begin.starts_with('{')
        || (begin.starts_with('[') && !begin.lines().next().is_some_and(is_prompt))
    {
        json(begin)?
    } else if begin.starts_with('<') {
        let root = xml::parse(begin.as_bytes(), "output", &Limits::default()).map_err(HostError::Xml)?;
        let mut found = Vec::new();
        structures(&root, &mut found);
        found
    } else if begin.lines().next().is_some_and(|line| line.contains(',') && csv_heading(line)) {
        csv(begin)
    } else {
        plain(text)
    };
    if found.is_empty() {
        return Err(HostError::NoVib);
    }
    let mut host = Host::default();
    for vib in found {
        host.add(vib);
    }
    Ok(host)
}

/// `[root@host:~] …`, `~ # …`
fn is_prompt(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("~ #") || (line.starts_with('[') && line.contains('@') && line.contains(']'))
}

fn plain(text: &str) -> Vec<Installed> {
    let mut found = Vec::new();
    let mut block = Fields::new();
    for line in text.lines() {
        if line.starts_with("   ")
            && let Some((name, value)) = line.split_once(':')
        {
            block.insert(key(name), vec![value.trim().to_owned()]);
            continue;
        }
        found.extend(from_fields(&std::mem::take(&mut block)));
        found.extend(row(line));
    }
    found.extend(from_fields(&block));
    found
}

/// A row of the table. Names and versions hold no blanks, vendors may; the level's word tells where they end.
fn row(line: &str) -> Option<Installed> {
    const WORDS: [&str; 4] = ["VMwareCertified", "VMwareAccepted", "PartnerSupported", "CommunitySupported"];
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| WORDS.contains(word)).filter(|at| *at >= 3)?;
    let version = words.get(1)?;
    if !version.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(Installed {
        name: (*words.first()?).to_owned(),
        version: VibVersion::new(version),
        vendor: words.get(2..at)?.join(" "),
        kind: None,
        level: words.get(at)?.parse::<Level>().ok(),
        install_date: words.get(at + 1).map(|word| (*word).to_owned()).unwrap_or_default(),
        relations: None,
        live_remove: None,
        maintenance: None,
        platforms: Vec::new(),
    })
}

fn csv_heading(line: &str) -> bool {
    let names: Vec<String> = cells(line).iter().map(|name| key(name)).collect();
    ["name", "version"].iter().all(|needed| names.iter().any(|name| name == needed))
}

fn csv(text: &str) -> Vec<Installed> {
    let mut lines = text.lines();
    let names: Vec<String> =
        lines.next().map(cells).unwrap_or_default().iter().map(|name| key(name)).collect();
    let fields = |line: &str| -> Fields {
        let pairs = names.iter().cloned().zip(cells(line).into_iter().map(|cell| vec![cell]));
        pairs.filter(|(name, _)| !name.is_empty()).collect()
    };
    lines.filter_map(|line| from_fields(&fields(line))).collect()
}

/// Cells of a line (RFC 4180, without line breaks in cells).
fn cells(line: &str) -> Vec<String> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(c) = letters.next() {
        match (c, quoted) {
            ('"', true) if letters.peek() == Some(&'"') => {
                cell.push('"');
                letters.next();
            }
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    cells.push(cell);
    cells
}

fn json(text: &str) -> Result<Vec<Installed>, HostError> {
    let value: Value = serde_json::from_str(text).map_err(HostError::Json)?;
    let items = match value {
        Value::Array(items) => items,
        other @ Value::Object(_) => vec![other],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    Ok(items.iter().filter_map(|item| from_fields(&json_fields(item))).collect())
}

fn json_fields(item: &Value) -> Fields {
    let Value::Object(map) = item else { return Fields::new() };
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let words = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(word).collect(),
        one => word(one).into_iter().collect::<Vec<_>>(),
    };
    map.iter().map(|(name, value)| (key(name), words(value))).collect()
}

fn structures(element: &Element, found: &mut Vec<Installed>) {
    if element.name == "structure" {
        let fields: Fields = element
            .all("field")
            .map(|field| {
                let mut values = Vec::new();
                texts(field, &mut values);
                (key(field.attribute("name").unwrap_or_default()), values)
            })
            .collect();
        found.extend(from_fields(&fields));
        return;
    }
    for child in &element.children {
        structures(child, found);
    }
}

fn texts(element: &Element, values: &mut Vec<String>) {
    if !element.text.is_empty() {
        values.push(element.text.clone());
    }
    for child in &element.children {
        texts(child, values);
    }
}
