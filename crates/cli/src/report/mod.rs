//! What a roll was, for people who were not there.
//!
//! Owns: the facts of a roll as its journal tells them ([`Report`]), and their page. Promises: page and JSON hold the
//! same facts; the page needs nothing but itself (no script, no outside resource); whatever comes from a journal goes
//! through one escape function, which the types enforce. Does not: look at the pool, or judge what happened.

mod axis;
mod density;
mod facts;
mod gather;
mod html;
mod page;
mod rows;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use facts::Report;
pub(crate) use gather::gather;
pub(crate) use html::html;
