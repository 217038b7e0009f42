//! A journal with a key: two journals with one key decide alike from here on.
//!
//! [`Journal`] has no `Hash`. Its key is the hash of its `Debug` form, so that nothing that it holds can be left out by
//! mistake; what is left out on purpose stands in [`LEFT_OUT`]. Times are reduced to "now" and "before": every wait and
//! limit of the model's policy is shorter than one step of its clock.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use lifeboat_model::{Event, EventKind, Timestamp};
use lifeboat_roll::{FoldError, Journal};

/// Fields that decide nothing: the same in all states of a search, or positions and names of writers.
const LEFT_OUT: [&str; 10] =
    ["plan", "plan_hash", "index", "links", "last_seq", "fence", "started", "last_at", "holder", "touched"];

/// A journal and its key now.
#[derive(Clone)]
pub(crate) struct Fold {
    pub(crate) journal: Arc<Journal>,
    /// Its key as long as the clock stands.
    pub(crate) key: u64,
    /// Its key from the next step of the clock on.
    aged: u64,
}

impl Fold {
    pub(crate) fn new(mut journal: Journal, now: Timestamp) -> Self {
        journal.take_touched();
        let text = format!("{journal:?}");
        Self { key: key(&text, Some(now)), aged: key(&text, None), journal: Arc::new(journal) }
    }

    /// Appends in one step, by a controller with this fencing number.
    pub(crate) fn append(&self, kinds: &[EventKind], fence: u64, now: Timestamp) -> Result<Self, FoldError> {
        let mut journal = (*self.journal).clone();
        for what in kinds {
            let seq = journal.last_seq() + 1;
            let event = Event { schema: what.form(), seq, fence, at: now, what: what.clone() };
            journal.apply(&event)?;
        }
        Ok(Self::new(journal, now))
    }

    /// The same after a step of the clock.
    pub(crate) fn older(&self) -> Self {
        Self { journal: Arc::clone(&self.journal), key: self.aged, aged: self.aged }
    }
}

fn key(text: &str, now: Option<Timestamp>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in fields(text) {
        if LEFT_OUT.contains(&name) {
            continue;
        }
        name.hash(&mut hasher);
        for (at, part) in value.split("Timestamp(").enumerate() {
            let rest = if at == 0 {
                part
            } else {
                let (number, rest) = part.split_once(')').unwrap_or((part, ""));
                let fresh = now.is_some_and(|now| number == now.0.to_string());
                fresh.hash(&mut hasher);
                rest
            };
            rest.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Names and values of the fields of a struct's `Debug` form.
fn fields(text: &str) -> Vec<(&str, &str)> {
    let Some((_, body)) = text.split_once(" { ") else { return Vec::new() };
    let mut fields = Vec::new();
    let (mut depth, mut quoted, mut escaped, mut start) = (0_i32, false, false, 0);
    for (at, byte) in body.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth -= 1,
            b',' if depth == 0 => {
                fields.extend(body[start..at].trim().split_once(": "));
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.extend(body[start..].trim().split_once(": "));
    fields
}

#[test]
fn the_key_leaves_out_only_what_decides_nothing() {
    let scene = super::scene::Shape::new(2, &[1, 1, 1]).scene("key");
    let journal = Journal::new(Arc::clone(&scene.plan), scene.plan.hash().unwrap());
    let text = format!("{journal:?}");
    let names: Vec<&str> = fields(&text).into_iter().map(|(name, _)| name).collect();
    for name in LEFT_OUT.iter().chain(&["hosts", "status", "pool_effects", "suspensions", "failures"]) {
        assert!(names.contains(name), "the journal has no field {name}; it has {names:?}");
    }
}
