//! What is on a bank: files that belong to it by its own `boot.cfg`, foreign ones, and whether they are whole.
//!
//! Owns: the roles of files, and looking through their content. Promises: a file is foreign because the bank does not
//! name it, never because its name is on a list; the list of names only tells who left it there. Reading is that of
//! the loader: root directory, 8.3 names, first FAT. Does not: judge what it means; `esx::check` does.

mod foreign;
mod look;
mod roles;

pub use foreign::Leaver;
pub use look::{Look, look_into};
pub use roles::{BankContent, BankFile, Depth, FIXED_NAMES, Missing, Naming, Role, survey};
