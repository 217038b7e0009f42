//! What the controller must not forget.

mod book;
mod entry;
mod file;
mod writer;

pub(crate) use book::Token;
pub use book::{Book, HostBook};
pub use entry::Entry;
pub(crate) use entry::Purpose;
pub use file::LedgerError;
pub use writer::Ledger;
