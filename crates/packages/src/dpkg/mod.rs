//! dpkg: its database, its package files, its calls.
//!
//! Owns: everything that knows how dpkg works. Promises: the database is read from its own status file, so that also a
//! host is judged on which dpkg itself does not run any more; apt is asked for order and completeness where it is
//! installed. Does not: let apt change anything: steps are calls of dpkg under the frontend lock that Lifeboat holds.

mod files;
mod manager;
mod order;
mod rebuild;
mod status;

pub(crate) use manager::Dpkg;
pub use status::{Stanza, parse_status};
