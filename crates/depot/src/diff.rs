//! Two depots side by side.
//!
//! Promises: VIBs are matched by name, so a change of vendor or version is one line; equal ids with unequal payloads
//! are named. Does not: judge.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::depot::{Depot, Package, same_payloads, show_payloads};
use crate::vibid::VibId;

/// How a name differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Difference {
    /// Only in the second depot.
    Added {
        /// Which.
        id: VibId,
    },
    /// Only in the first one.
    Removed {
        /// Which.
        id: VibId,
    },
    /// Newer in the second one.
    Upgraded {
        /// In the first one.
        from: VibId,
        /// In the second one.
        to: VibId,
    },
    /// Older in the second one.
    Downgraded {
        /// In the first one.
        from: VibId,
        /// In the second one.
        to: VibId,
    },
    /// The same version of another vendor or type.
    Renamed {
        /// In the first one.
        from: VibId,
        /// In the second one.
        to: VibId,
    },
    /// The same id and other payloads.
    OtherPayload {
        /// Which.
        id: VibId,
        /// Payloads in the first one.
        from: String,
        /// Payloads in the second one.
        to: String,
    },
}

/// What differs between the newest VIBs of each name, by name.
#[must_use]
pub fn diff(from: &Depot, to: &Depot) -> Vec<Difference> {
    let (left, right) = (from.newest(), to.newest());
    let names: BTreeSet<&str> = left.keys().chain(right.keys()).copied().collect();
    names.into_iter().filter_map(|name| compare(left.get(name).copied(), right.get(name).copied())).collect()
}

fn compare(left: Option<&Package>, right: Option<&Package>) -> Option<Difference> {
    let (a, b) = match (left, right) {
        (None, None) => return None,
        (None, Some(new)) => return Some(Difference::Added { id: new.descriptor.id.clone() }),
        (Some(old), None) => return Some(Difference::Removed { id: old.descriptor.id.clone() }),
        (Some(a), Some(b)) => (&a.descriptor, &b.descriptor),
    };
    let (from, to) = (a.id.clone(), b.id.clone());
    match a.version.cmp(&b.version) {
        std::cmp::Ordering::Less => Some(Difference::Upgraded { from, to }),
        std::cmp::Ordering::Greater => Some(Difference::Downgraded { from, to }),
        std::cmp::Ordering::Equal if from != to => Some(Difference::Renamed { from, to }),
        std::cmp::Ordering::Equal => {
            (!same_payloads(&a.payloads, &b.payloads)).then(|| Difference::OtherPayload {
                id: from,
                from: show_payloads(&a.payloads),
                to: show_payloads(&b.payloads),
            })
        }
    }
}
