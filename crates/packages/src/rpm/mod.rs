//! rpm: its database, its package files, its calls.
//!
//! Owns: everything that knows how rpm works, in both its databases. Promises: one update is one transaction of rpm, after
//! `--test` agreed. Does not: let dnf or yum resolve anything.

mod manager;
mod query;

pub(crate) use manager::Rpm;
