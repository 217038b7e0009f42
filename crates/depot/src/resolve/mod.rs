//! What an update would do to a host, told before anything is staged.
//!
//! `select` finds which VIBs would come, go and stay; `relations` holds the whole resulting set against every
//! depends, conflicts and replaces; `needs` tells reboot, maintenance mode, levels and hardware; `fit` tells whether
//! the result fits the bank.

mod fit;
mod needs;
mod plan;
mod relations;
mod select;
mod set;

pub use fit::{BankShape, Fit};
pub use needs::Need;
pub use plan::{
    Change, ChangeKind, Gone, GoneWhy, Mode, Request, Resolution, ResolveError, Skip, SkipWhy, resolve,
};
