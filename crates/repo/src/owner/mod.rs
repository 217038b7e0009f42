//! What the owner of a repository does: make it, publish, renew, prune, rotate keys.
//!
//! Owns: the order of uploads. Promises: what readers see changes with one put, that of `timestamp.json`; a cut at any
//! upload before it leaves the old repository as it was; nothing is published that lacks signatures; an owner signs
//! only on top of metadata that was verified from the trusted root. Does not: keep keys.

mod init;
mod prune;
mod publish;
mod push;
mod rotate;

pub use prune::{Pruned, prune_preview};
pub use publish::{Change, Outcome, Owner, Step};
pub use push::Pushed;
