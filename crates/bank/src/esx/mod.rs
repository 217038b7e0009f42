//! Boot banks of ESXi hosts, on any machine: what is on them, which boots next, and what is wrong with them.
//!
//! Owns: the banks of ESXi 3.5 to 8 on sticks, disks and images: finding them, `boot.cfg`, the loader's selection,
//! the check of structure and content, the saved state, and all changes of a bank. Promises: the question "which bank
//! boots next" is answered by the loader's own algorithm; reading never writes; hostile bytes cost bounded time and
//! memory. Does not: know the clock, open files, or look into datastores.

pub mod archive;
pub mod bootcfg;
pub mod change;
pub mod check;
pub mod content;
mod disk;
mod find;
mod finding;
#[doc(hidden)]
pub mod fixture;
mod hex;
mod mbr;
pub mod select;
pub mod state;
pub mod undo;
mod view;

pub use disk::{EsxBank, EsxDisk, EsxError, EsxLayout, EsxPartition, EsxRole, EsxTable, uuid_text};
pub use find::find_banks;
pub use finding::{EsxFinding, EsxSeverity, Remedy};
pub use view::{Chains, View, ViewFile, ViewKind};
