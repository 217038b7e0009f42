//! The differences between two states of a host.
//!
//! Owns: [`diff`]. Promises: two spellings of one definition are no difference; the content of a file that not everybody may
//! read is shown only when it is asked for; what is shown is bounded. Does not: judge whether a difference is wanted.

mod differ;
mod listing;
mod semantic;
mod text;
mod xml;

pub(crate) use differ::contents;
pub use differ::{Change, ChangeKind, DiffError, Differences, diff, diff_with_root};
pub(crate) use listing::{Item, Listing, differs, read_listing, scratch};
