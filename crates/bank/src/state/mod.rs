//! Saved state of a Linux host: what it keeps from bank to bank, and the way back.
//!
//! Owns: what a release declares to keep, the archive in which a bank's state is carried, the choice which state a
//! bank gets at its first boot, and the declarative steps of a migration. Promises: an archive is believed only when
//! its digest is right; no path of one leaves its tree; a bank never gets a state of a newer version than it knows.
//! Does not: open files, mount, or run programs (the agent does).

mod archive;
mod choose;
mod declare;
mod error;
mod path;
mod read;

pub use archive::{ARCHIVE_VERSION, ArchiveWriter, Header, Meta};
pub use choose::{Choice, Offer, choose};
pub use declare::{DECLARATION_SCHEMA, Declaration, Migration, Step, parse_declaration, parse_migration};
pub use error::StateError;
pub use path::check_path;
pub use read::{Entry, Kind, Limits, Sink, read_archive, read_header};
