//! Saved state on this host: carrying it to the other bank, and bringing it up at boot.
//!
//! Owns: the folder `saved` of the state partition, walking and unpacking trees, running migrations, binding what is
//! kept over the read-only root. Promises: the state of another bank is read and never changed; a new state is complete
//! before it has its name; a bank whose migration failed never runs with half of it. Does not: choose versions or read
//! archives (`lifeboat_bank::state`), or judge the trial.

mod bring;
mod carry;
mod error;
mod migrate;
mod place;
#[cfg(test)]
mod tests;
mod tree;

pub use bring::{Brought, bring_up};
pub use carry::carry;
pub use error::KeepError;
pub use place::Marker;
