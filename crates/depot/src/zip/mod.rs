//! The zip archive as offline bundles use it, for hostile bytes.
//!
//! Own code, because what other readers smooth over is what must be seen here: two members of one name, members
//! that overlap, a local header that names another file than the directory, sizes that lie.

mod directory;
mod member;

pub use directory::{Archive, Entry, ZipError};
pub use member::MemberReader;
