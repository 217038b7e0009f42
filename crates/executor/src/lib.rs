//! Carries out what the roll decided.
//!
//! Owns: the loop intent → effect → outcome over a store and a driver, and starting and resuming a roll.
//! Promises: an intent is durable before its effect is ordered; a process that dies at any point leaves a roll
//! that [`Executor::resume`] takes to the same end; one thread sees all events in one order. Does not: decide
//! (that is `lifeboat-roll`), plan, or know any vendor's words.
//!
//! It is a room of its own beside the programs, because the command line and the server both need it, and
//! because its tests must run it against the simulated pool.

mod error;
mod executor;
mod observer;

pub use error::ExecutorError;
pub use executor::{Executor, Options};
pub use observer::{Observer, Quiet, Snapshot, StepPoint};
