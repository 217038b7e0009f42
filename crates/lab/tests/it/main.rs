//! The rules of the house.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod hostile;
mod layers;
mod links;
mod sources;
mod workspace;
