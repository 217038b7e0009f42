//! Signed metadata by The Update Framework (TUF), specification 1.0.
//!
//! Owns: the reader's side, by `tough` over our transports, with a state on disk that survives a power cut, and the
//! maker's words: roles, keys, signatures. Promises: whatever a server sends, a reader never goes back to an older
//! repository, never takes one that expired, and never one that too few keys signed.

mod bridge;
mod client;
mod error;
mod roles;
mod state;

pub use client::{Floor, ReleaseEntry, TrustedRoot, View, load};
pub(crate) use client::{load_again, releases_of, target_ref};
pub use error::RepoError;
pub(crate) use roles::{
    Lifetimes, SPEC, count_signatures, encode, new_root, parse_role, roles_of, sign_with, when,
};
pub use roles::{RoleKeysOf, Roles};
