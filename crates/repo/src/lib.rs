//! Repositories of releases: files anywhere, signed metadata over them, publishing and fetching.
//!
//! Owns: the transports (directory, HTTP(S), S3, OCI registry), the repository's layout and metadata
//! (`docs/formats/repository.md`), publishing, pruning, fetching. Promises: whatever a server sends or a power cut
//! leaves, a reader sees a whole release that enough keys signed, or an error. Does not: decide which release a host
//! runs, or build one.

mod fetch;
mod layout;
mod owner;
mod transport;
mod tuf;

pub use fetch::{Cache, FetchStep, Fetched, OpenedRelease, RepoSource, open_release};
pub use owner::{Change, Outcome, Owner, Pruned, Pushed, Step, prune_preview};
pub use transport::*;
pub use tuf::{Floor, ReleaseEntry, RepoError, RoleKeysOf, Roles, TrustedRoot, View, load};
