//! Banks of ESXi hosts: showing, checking, changing, taking back.
//!
//! Owns: these verbs for disks that VMware's loader boots. Promises: nothing is written before its undo file is whole
//! on stable storage; a dry run has looked at everything that can be refused. Does not: know how banks are laid out
//! (that is `lifeboat_bank::esx`).

mod change;
mod change_report;
pub(super) mod check;
pub(super) mod open;
pub(super) mod practice;
pub(super) mod show;
pub(super) mod state;
pub(super) mod undo;
mod undo_files;

pub(super) use change::{clean, import, rebuild, set_next};
