//! The bytes of a backup: `docs/formats/host-state.md`.
//!
//! Owns: the file (preamble, packed sections, index) and the stream of entries in a section. Promises: a reader believes no
//! byte before the digest over it was right; what is read has bounds before memory is taken; a writer's file has its name
//! only when it is whole and durable. Does not: know which files of a host belong into it.

mod entry;
mod error;
mod file;
mod index;
mod reader;
mod stream;
mod writer;

pub use entry::{Entry, Kind, Meta, Xattr};
pub use error::FormError;
pub use file::{Backup, PathLine};
pub use index::{BankFact, FORM, HostFacts, Index, LeftOut, Made, Product, Purpose, SCHEMA, SectionInfo};
pub use reader::{FilePart, Record, SectionReader};
pub use writer::{BackupWriter, FileMaker, SectionWriter};
