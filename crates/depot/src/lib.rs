//! Releases of ESXi: what they hold, and what they would do to a host.
//!
//! Owns: reading VIBs, offline bundles and image profiles, their signatures and the order of versions; and telling
//! before anything is staged what an update would install, remove and skip, and whether it fits. Promises: every
//! byte is hostile until it was read: bounded time and memory, and errors that name the place; the same input gives
//! the same answer. Does not: install, open files, know the time, or talk to a host.

pub mod ar;
pub mod build;
pub mod depot;
mod descriptor;
mod diff;
mod finding;
pub mod host;
mod level;
mod limits;
pub mod offline;
mod payload;
mod profile;
mod relation;
pub mod resolve;
pub mod results;
pub mod signature;
mod stream;
pub mod tar;
mod version;
pub mod vib;
mod vibid;
mod xml;
pub mod zip;

pub use depot::{Depot, Package};
pub use descriptor::{
    Checksum, Descriptor, DescriptorError, Packed, PayloadKind, PayloadSpec, Platform, VibType,
};
pub use diff::{Difference, diff};
pub use finding::Code;
pub use level::Level;
pub use limits::{Budget, Limits};
pub use payload::{Payload, Unpacked};
pub use profile::{BootFile, Profile, ProfileError, ProfileVib, boot_stem, follows_rule};
pub use relation::{Constraint, Relation, Relations};
pub use stream::RangeReader;
pub use version::VibVersion;
pub use vib::{Vib, VibError};
pub use vibid::VibId;
pub use xml::XmlError;
