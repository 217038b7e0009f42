//! Bringing the state of a backup back to a host.
//!
//! Owns: deciding what becomes of every path ([`plan_restore`]), refusing, and writing with a way back ([`carry_out`],
//! [`resume`], [`undo`]). Promises: everything that can be refused is refused before the first write; before the first write
//! there is also a durable file of what is overwritten; a process killed at any moment leaves a restore that can be finished
//! or taken back, and afterwards the tree is the one or the other. Does not: delete what only the host has, or restart what
//! reads the files.

mod apply;
mod busy;
mod decide;
mod error;
mod fits;
mod gate;
mod journal;
mod machine;
mod plan;
mod report;
mod run;
mod set;

pub use apply::{Step, Watch};
pub use decide::{Action, Decision};
pub use error::{Blocker, RestoreError};
pub use journal::{Begun, Ended, Standing, Way};
pub use plan::{NicChoice, Plan, RestoreOptions, plan_restore};
pub use report::next_steps;
pub use run::{Report, WORK_FOLDER, carry_out, resume, standing, undo};
