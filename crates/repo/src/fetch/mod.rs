//! A release comes out of a repository.
//!
//! Owns: opening a release by name, its packs as a source for installs (a few connections ahead of the reader), and the
//! cache of whole packs that can be taken up again after a cut. Promises: bytes that are called a pack have its
//! digest; memory does not grow with the release. Does not: decode chunks or write banks (`bundle`, `bank`).

mod ahead;
mod cache;
mod release;
mod source;

pub use cache::{Cache, FetchStep, Fetched};
pub use release::{OpenedRelease, open_release};
pub use source::RepoSource;
