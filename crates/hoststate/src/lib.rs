//! State of a host: configuration, network, definitions; saved, compared, restored.
//!
//! Owns: the backup of a host as one file ([`back_up`], [`Backup`]), the differences between two states ([`diff`]), and
//! bringing a state back ([`restore`]). Promises: a backup is whole or refused; a restore writes nothing before everything
//! that can be refused was refused, says what it does to every file, and can be finished or taken back after it was killed at
//! any moment. Does not: carry guests' disks, speak to libvirt, or read the clock. What a Linux bank keeps from release to
//! release is another, smaller thing: `lifeboat_bank::state`.

#![expect(clippy::format_push_string, reason = "texts for people are short and built once")]

mod backup;
mod compare;
pub mod devices;
pub mod facts;
pub mod form;
mod path;
pub mod restore;
pub mod root;

pub use backup::{BackupError, BackupRequest, LiveDefinition, back_up, left_out_words};
pub use compare::{Change, ChangeKind, DiffError, Differences, diff, diff_with_root};
pub use form::{Backup, PathLine};
pub use path::{PATH_LIMIT, PathError, RelPath, shown};
pub use root::{Root, Section};
