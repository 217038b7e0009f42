//! From the text of a file to values with places.
//!
//! Promises: goes on after a mistake, so that all are found; a value that is wrong is left at its default, so that one
//! mistake is not told twice. Does not: look at what values mean together (that is `sense`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use lifeboat_model::{HostId, Policy};
use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::keys::{Default, KEYS, Key, Shape, find, wanted};
use super::problem::{Places, Problem};
use super::{duration, keys};
use crate::nearest::nearest;

/// What was read.
#[derive(Debug)]
pub(super) struct Reading<'t> {
    /// The values that could be used.
    pub(super) policy: Policy,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
    /// Where each key stands, and where its value.
    spans: BTreeMap<String, (usize, Range<usize>)>,
    /// Keys that something was said about already.
    told: BTreeSet<String>,
    file: String,
    places: Places<'t>,
}

impl<'t> Reading<'t> {
    /// Reads a text; `file` is its name in messages.
    pub(super) fn of(file: &str, text: &'t str) -> Self {
        let mut reading = Self {
            policy: Policy::default(),
            problems: Vec::new(),
            spans: BTreeMap::new(),
            told: BTreeSet::new(),
            file: file.to_owned(),
            places: Places::of(text),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let (line, column) = reading.places.place(error.span().map_or(0, |span| span.start));
            let reason = format!("this is not TOML: {}", error.message());
            let remedy = "mend the line".to_owned();
            let (file, key, value) = (reading.file.clone(), String::new(), String::new());
            reading.problems.push(Problem { file, line, column, key, value, reason, remedy });
        }
        // What a parser guesses after a mistake of form is no mistake of its own.
        let broken: BTreeSet<usize> = reading.problems.iter().map(|problem| problem.line).collect();
        let values = reading.table("", table.get_ref(), KEYS, 0);
        if !broken.is_empty() {
            reading.problems.retain(|problem| problem.key.is_empty() || !broken.contains(&problem.line));
        }
        match serde_json::from_value(Value::Object(values)) {
            Ok(policy) => reading.policy = policy,
            // The table of keys and the type disagree: a test would have found it.
            Err(error) => reading.tell("", 0..0, &error.to_string(), "report this as a bug"),
        }
        reading
    }

    /// Line of every value, from 1.
    pub(super) fn lines(&self) -> BTreeMap<String, usize> {
        self.spans.iter().map(|(key, (at, _))| (key.clone(), self.places.place(*at).0)).collect()
    }

    /// Adds what is wrong with the value of a key, unless something was said about it.
    pub(super) fn wrong(&mut self, key: &str, reason: &str, remedy: &str) {
        let known = |key: &str| self.told.contains(key);
        if known(key) || parents(key).any(known) {
            return;
        }
        let place = std::iter::once(key).chain(parents(key)).find_map(|key| self.spans.get(key));
        let span = place.map_or(0..0, |(_, span)| span.clone());
        self.tell(key, span, reason, remedy);
    }

    fn tell(&mut self, key: &str, span: Range<usize>, reason: &str, remedy: &str) {
        let (line, column) = self.places.place(span.start);
        self.told.insert(key.to_owned());
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            column,
            key: key.to_owned(),
            value: self.places.written(span),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, keys: &[Key], start: usize) -> Map<String, Value> {
        let mut values = Map::new();
        for (name, value) in table {
            let full = join(path, name.get_ref());
            let Some(key) = keys.iter().find(|key| key.name == &**name.get_ref()) else {
                self.unknown(&full, name, value, keys);
                continue;
            };
            self.spans.insert(full.clone(), (name.span().start, value.span()));
            if let Some(value) = self.value(&full, value, key.shape) {
                values.insert(key.name.to_owned(), value);
            }
        }
        for key in keys {
            if let Default::Required(stand_in) = key.default
                && !values.contains_key(key.name)
            {
                let full = join(path, key.name);
                if !self.told.contains(&full) {
                    let reason = format!("it is missing: {}", key.meaning);
                    self.tell(&full, start..start, &reason, &wanted(key.shape));
                }
                values.insert(key.name.to_owned(), stand_in_of(stand_in));
            }
        }
        values
    }

    fn unknown(
        &mut self,
        full: &str,
        name: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        keys: &[Key],
    ) {
        let (line, column) = self.places.place(name.span().start);
        let elsewhere = || {
            let inner = KEYS.iter().find_map(|key| match key.shape {
                Shape::Table(inner) if inner.iter().any(|inner| inner.name == &**name.get_ref()) => {
                    Some(format!("it stands in [{}]", key.name))
                }
                _ => None,
            });
            let outer = find(name.get_ref()).map(|_| "it stands above all tables".to_owned());
            inner.or(outer)
        };
        let near = nearest(name.get_ref(), keys.iter().map(|key| key.name));
        let remedy = match near {
            Some(near) => format!("did you mean {near}?"),
            None => elsewhere().unwrap_or_else(|| {
                let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
                format!("the keys are {}", names.join(", "))
            }),
        };
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            column,
            key: full.chars().take(80).collect(),
            value: self.places.written(value.span()),
            reason: "there is no such key".to_owned(),
            remedy,
        });
    }

    /// The value in the form that the type reads, or none after telling why not.
    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, shape: Shape) -> Option<Value> {
        let span = value.span();
        let found = value.get_ref();
        let read = match (shape, found) {
            (Shape::Flag, DeValue::Boolean(flag)) => Ok(json!(flag)),
            (Shape::Count, DeValue::Integer(number)) => count(number).map(|number| json!(number)),
            (Shape::Duration, DeValue::Integer(number)) => {
                limit(whole(number).ok_or_else(|| "it is not 0 and more".to_owned()))
            }
            (Shape::Duration, DeValue::String(text)) => {
                limit(duration::parse(text).ok_or_else(|| "it is not a length of time".to_owned()))
            }
            (Shape::Word(words), DeValue::String(text)) => word(text, words).map(|word| json!(word)),
            (Shape::Text, DeValue::String(text)) => Ok(json!(text)),
            (Shape::Host, DeValue::String(text)) => host(text),
            (Shape::InFlight, DeValue::Integer(number)) => {
                count(number).map(|number| json!({ "hosts": number }))
            }
            (Shape::InFlight, DeValue::Table(table)) => {
                return self.choice(path, table, &span, &["hosts", "percent"]);
            }
            (Shape::OnFailure, DeValue::String(text)) => {
                word(text, &["stop", "pause"]).map(|word| json!(word))
            }
            (Shape::OnFailure, DeValue::Table(table)) => {
                return self.choice(path, table, &span, &["continue"]);
            }
            (Shape::Words(words), DeValue::Array(_)) => return self.list(path, value, Shape::Word(words)),
            (Shape::Texts, DeValue::Array(_)) => return self.list(path, value, Shape::Text),
            (Shape::Hosts, DeValue::Array(_)) => return self.list(path, value, Shape::Host),
            (Shape::Table(keys), DeValue::Table(table)) => {
                return Some(Value::Object(self.table(path, table, keys, span.start)));
            }
            (Shape::Tables(_), DeValue::Array(_)) => return self.list(path, value, shape),
            // An item of a list of tables.
            (Shape::Tables(keys), DeValue::Table(table)) if at_end_is_number(path) => {
                return Some(Value::Object(self.table(path, table, keys, span.start)));
            }
            (Shape::Tables(_), DeValue::Table(_)) => Err("it is one table, not a list of tables".to_owned()),
            _ => Err(format!("it is {}", a(found.type_str()))),
        };
        match read {
            Ok(value) => Some(value),
            Err(reason) => {
                let mut remedy = wanted(shape);
                if let (Shape::Tables(_), DeValue::Table(_)) = (shape, found) {
                    remedy = format!("write [[{path}]] in place of [{path}]");
                } else if let (Shape::Word(words), DeValue::String(text)) = (shape, found)
                    && let Some(near) = nearest(text, words.iter().copied())
                {
                    remedy = format!("did you mean \"{near}\"? {remedy}");
                }
                self.tell(path, span, &reason, &remedy);
                None
            }
        }
    }

    fn list(&mut self, path: &str, list: &Spanned<DeValue<'_>>, shape: Shape) -> Option<Value> {
        let DeValue::Array(items) = list.get_ref() else { return None };
        let mut values = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let full = join(path, &at.to_string());
            self.spans.insert(full.clone(), (item.span().start, item.span()));
            values.push(match (self.value(&full, item, shape), shape) {
                (Some(value), _) => value,
                // Positions are kept; something was said about the item.
                (None, Shape::Tables(keys)) => stand_ins(keys),
                (None, Shape::Word(words)) => json!(words.first()),
                (None, _) => json!("wrong"),
            });
        }
        Some(Value::Array(values))
    }

    /// `{ NAME = N }` with exactly one of some names.
    fn choice(
        &mut self,
        path: &str,
        table: &DeTable<'_>,
        span: &Range<usize>,
        names: &[&'static str],
    ) -> Option<Value> {
        let shape = keys::find(path).map(|key| wanted(key.shape)).unwrap_or_default();
        let mut entries = table.iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            self.tell(path, span.clone(), "it needs exactly one entry", &shape);
            return None;
        };
        let Some(known) = names.iter().find(|known| **known == &**name.get_ref()) else {
            self.tell(path, span.clone(), &format!("{} has no meaning here", name.get_ref()), &shape);
            return None;
        };
        let full = join(path, known);
        self.spans.insert(full.clone(), (name.span().start, value.span()));
        let value = self.value(&full, value, Shape::Count)?;
        Some(json!({ *known: value }))
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `a.b.c`: `a.b`, `a`.
fn parents(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(key.rsplit_once('.').map(|(parent, _)| parent), |key| {
        key.rsplit_once('.').map(|(parent, _)| parent)
    })
}

fn at_end_is_number(path: &str) -> bool {
    path.rsplit('.').next().is_some_and(|last| last.parse::<usize>().is_ok())
}

/// The stand-ins of the table of keys are texts and lists of texts.
fn stand_in_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn stand_ins(keys: &[Key]) -> Value {
    let required = |key: &Key| match key.default {
        Default::Required(text) => Some((key.name.to_owned(), stand_in_of(text))),
        Default::Is(_) | Default::None => None,
    };
    Value::Object(keys.iter().filter_map(required).collect())
}

fn whole(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn count(number: &DeInteger<'_>) -> Result<u32, String> {
    let number = whole(number).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| format!("it is outside 0 to {}", u32::MAX))
}

fn limit(millis: Result<u64, String>) -> Result<Value, String> {
    match millis? {
        millis if millis > duration::LONGEST => Err("it is longer than 366 days".to_owned()),
        millis => Ok(json!(millis)),
    }
}

fn word<'w>(text: &str, words: &[&'w str]) -> Result<&'w str, String> {
    words
        .iter()
        .find(|word| **word == text)
        .copied()
        .ok_or_else(|| "it is not a word that is known here".to_owned())
}

fn host(text: &str) -> Result<Value, String> {
    HostId::new(text).map(|host| json!(host)).map_err(|error| error.to_string())
}

/// `integer` as `an integer`.
fn a(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {kind}")
}
