//! Carries out what the roll decided.
//!
//! Owns: the loop intent → effect → outcome over a store and a driver, starting and resuming a roll, the commands and
//! maintenance windows of its policy. Promises: an intent is durable before its effect is ordered; a process that dies
//! at any point leaves a roll that [`Executor::resume`] takes to the same end; one thread sees all events in one order.
//! Does not: decide (that is `lifeboat-roll`), plan, or know any vendor's words.
//!
//! It is a room of its own beside the programs, because the command line and the server both need it, and
//! because its tests must run it against the simulated pool and kill it at every moment.

mod calendar;
mod commands;
mod error;
mod executor;
mod fits;
mod observer;
mod orders;
mod process;

pub use calendar::{Calendar, CalendarError, WindowNow};
pub use commands::{CommandProblem, command_problems};
pub use error::ExecutorError;
pub use executor::{Adopted, Executor, Options};
pub use observer::{Observer, Quiet, Snapshot, StepPoint};
