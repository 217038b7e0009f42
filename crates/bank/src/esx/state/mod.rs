//! The saved state of a host, `state.tgz`: out of a bank, looked through, and judged before it goes into one.
//!
//! Owns: reading the archive and the archive `local.tgz` inside it. Promises: nothing is unpacked to any place; paths
//! that lead out of the root, devices and bombs are refused in bounded time and memory; what is exported is the file
//! byte for byte. Does not: write into a bank (`esx::change` does), or understand what the files mean.

mod list;
mod paths;
mod transfer;

pub use list::{MAX_STATE, StateEntry, StateLayer, StateListing, list_state};
pub use transfer::{StateError, StateExport, export_state, validate_state};
