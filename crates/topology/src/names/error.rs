//! Why a name could not be resolved.

use thiserror::Error;

/// Why a name could not be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// It cannot name a device.
    #[error("{name:?} is no name of a device: {why}")]
    NotAName {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
    /// No device of this host has this name, this id, or is reached at this target.
    #[error("no device of this host answers to {name}{}", looked(ids))]
    Unknown {
        /// The name.
        name: String,
        /// What was looked for.
        ids: Vec<String>,
    },
    /// Several devices answer to it.
    #[error("{name} can be {}", candidates.join(" or "))]
    Ambiguous {
        /// The name.
        name: String,
        /// Their kernel names, each with its identity.
        candidates: Vec<String>,
    },
    /// The disk is there, the partition is not.
    #[error("{name}: the disk is {disk}, but it has no partition {number} ({})", has(parts))]
    NoPartition {
        /// The name.
        name: String,
        /// Kernel name of the disk.
        disk: String,
        /// The partition that was asked for.
        number: u32,
        /// Those that are there.
        parts: Vec<u32>,
    },
}

fn looked(ids: &[String]) -> String {
    if ids.is_empty() { String::new() } else { format!(" (looked for {})", ids.join(", ")) }
}

fn has(parts: &[u32]) -> String {
    if parts.is_empty() {
        return "it has none".to_owned();
    }
    let words: Vec<String> = parts.iter().map(u32::to_string).collect();
    format!("it has {}", words.join(", "))
}
