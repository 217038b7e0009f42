//! What becomes of one path.

use serde::Serialize;

use super::{Blocker, RestoreOptions};
use crate::compare::{Item, Listing, differs};
use crate::form::Kind;
use crate::path::RelPath;
use crate::root::{Section, belongs_to_a_guest};

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing is there; it is made.
    Create,
    /// Something else is there; it is replaced, and kept in the undo file.
    Replace,
    /// Owner, mode or attributes are set; the content is the same.
    SetMetadata,
    /// The host keeps what it has.
    Keep,
    /// It is only on the host; it stays.
    OnlyOnHost,
}

impl Action {
    /// A word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::SetMetadata => "set-metadata",
            Self::Keep => "keep",
            Self::OnlyOnHost => "only-on-host",
        }
    }

    /// Whether it writes.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Replace | Self::SetMetadata)
    }
}

/// What is done with a path, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The section.
    pub section: Section,
    /// The path.
    pub path: RelPath,
    /// What is done.
    pub action: Action,
    /// In what the host's differs from the backup's.
    pub differs: Vec<&'static str>,
    /// Whether the host's was changed after the backup was made.
    pub changed_since: bool,
    /// What a person should know.
    pub note: Option<String>,
}

/// Decides every path. What is the same on both sides is not listed.
pub(super) fn decide(
    wanted: &Listing,
    now: &Listing,
    made_at: i64,
    chosen: &[Section],
    options: &RestoreOptions,
) -> (Vec<Decision>, Vec<Blocker>) {
    let (mut decisions, mut blockers) = (Vec::new(), Vec::new());
    for (path, item) in wanted {
        let decision = |action, differs, changed_since, note| Decision {
            section: item.section,
            path: path.clone(),
            action,
            differs,
            changed_since,
            note,
        };
        let Some(here) = now.get(path) else {
            // The folders on the way to what is made.
            if item.entry.kind != Kind::OnTheWay || leads_to_more(path, wanted) {
                decisions.push(decision(Action::Create, Vec::new(), false, None));
            }
            continue;
        };
        if item.entry.kind.is_folder() != here.entry.kind.is_folder() {
            blockers.push(other_kind(path, item, here));
            continue;
        }
        if item.entry.kind == Kind::OnTheWay || here.entry.kind == Kind::OnTheWay {
            continue;
        }
        let list = differs(item, here);
        if list.is_empty() {
            continue;
        }
        let since = here.entry.meta.seconds > made_at;
        if belongs_to_a_guest(path) {
            let note = "the guest's own: it is put back only where it is missing".to_owned();
            decisions.push(decision(Action::Keep, list, since, Some(note)));
            continue;
        }
        let only_metadata = list.iter().all(|what| matches!(*what, "mode" | "owner" | "attributes"));
        let action = if only_metadata { Action::SetMetadata } else { Action::Replace };
        decisions.push(decision(action, list, since, None));
    }
    for (path, here) in now {
        let kept = options.keeps(path);
        let chosen = chosen.contains(&here.section) && here.entry.kind != Kind::OnTheWay;
        if chosen && !wanted.contains_key(path) {
            decisions.push(Decision {
                section: here.section,
                path: path.clone(),
                action: if kept { Action::Keep } else { Action::OnlyOnHost },
                differs: Vec::new(),
                changed_since: here.entry.meta.seconds > made_at,
                note: kept.then(|| "kept by --keep".to_owned()),
            });
        }
    }
    (decisions, blockers)
}

fn leads_to_more(path: &RelPath, wanted: &Listing) -> bool {
    let below =
        |other: &RelPath| other != path && path.as_str().is_some_and(|folder| other.is_within(folder));
    wanted.iter().any(|(other, item)| item.entry.kind != Kind::OnTheWay && below(other))
}

fn other_kind(path: &RelPath, item: &Item, here: &Item) -> Blocker {
    Blocker::new(
        "other-kind",
        format!(
            "{path} is a {} on the host and a {} in the backup",
            here.entry.kind.word(),
            item.entry.kind.word()
        ),
        format!("move it away, or keep the host's with --keep {path}"),
    )
}
