//! The tree of a host, below a folder that is its root.
//!
//! Owns: looking, reading and writing below a root, and the rules which path belongs to which section. Promises: no path
//! and no link leads out of the root, also when somebody changes the tree meanwhile: the kernel holds it
//! (openat2(2), `RESOLVE_BENEATH`); what is replaced has its old content or its new one. Does not: decide what to write.

mod confined;
mod content;
mod error;
mod put;
mod rules;
mod tree;

pub use confined::{Root, Seen};
pub(crate) use content::capture_file;
pub use error::RootError;
pub(crate) use put::{Put, set_by_the_system};
pub(crate) use rules::belongs_to_a_guest;
pub use rules::{Section, excluded, section_of};
pub use tree::{Found, Tree, read_tree};
