//! Packages as a release: what lies in the slot `packages`.
//!
//! Owns: the index `lifeboat.packages/1`, the archive that begins with it, and reading both
//! (`docs/formats/package-release.md`). Promises: the same packages give the same bytes; a reader takes nothing that the
//! writer would not write, sets nothing aside for what is merely announced, and hands a package over with its digest
//! checked. Does not: look into a package, or know what a host has installed.

mod error;
mod header;
mod index;
mod reader;
mod writer;

pub use error::PackagesError;
pub use index::{
    INDEX_NAME, MAX_PACKAGE_BYTES, MAX_PACKAGES, MAX_PACKAGES_INDEX, PACKAGES_SCHEMA, PackageEntry,
    PackageFormat, PackageIndex, RebootRule,
};
pub use reader::PackagesReader;
pub use writer::PackagesArchive;
