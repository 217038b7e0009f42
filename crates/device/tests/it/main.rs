//! The crate's promises, tried on files, plain folders and what this machine offers.

mod block;
mod busy;
mod efivarfs;
mod watchdog;
