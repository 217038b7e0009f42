//! The roll's state machine: what happens next after an event.
//!
//! Owns: [`Journal`], the state of a roll as a fold of its events; [`decide()`], which looks at the world and the
//! journal and says what is to be recorded or ordered next; [`waiting_on`], which says what a host waits for.
//! Promises: pure functions, no clock, no I/O; the same events give the same state; every effect is ordered by
//! an intent that is recorded first; a controller that died and one that lives differ in nothing but the event
//! `controller-started`. Does not: plan (the order and the moves come with the plan), or act.

mod admit;
mod decide;
mod features;
mod fold;
mod guests;
mod hooks;
mod host;
mod journal;
mod placement;
mod pool;
mod reboot;
mod waiting;
mod waves;

pub use decide::{Action, Scope, decide};
pub use fold::FoldError;
pub use journal::{EffectRun, EffectState, HostRun, Journal, Status, Suspension, Warning, WindowState};
pub use waiting::{to_approve, waiting_on, waiting_on_pool};
