//! The hash chain: each event holds the hash of the one before.

use lifeboat_model::{Event, Sha256Hex};

/// An event as it lies in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The event.
    pub event: Event,
    /// Hash of the event before; of the roll's plan for the first.
    pub prev: Sha256Hex,
    /// Hash of this one.
    pub hash: Sha256Hex,
}

/// SHA-256 over the 32 bytes of the hash before and the JSON text of the event.
#[must_use]
pub fn link_hash(prev: &Sha256Hex, payload: &str) -> Sha256Hex {
    let mut bytes = Vec::with_capacity(32 + payload.len());
    bytes.extend_from_slice(&prev.0);
    bytes.extend_from_slice(payload.as_bytes());
    Sha256Hex::of(&bytes)
}
