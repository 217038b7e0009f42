//! The controller as a service: the agents of a pool.
//!
//! Owns: who may connect (enrolment, certificates, revocation), which commands wait for their outcome, the port of
//! the agents and the socket of the programs that drive rolls. Promises: what was answered is on stable storage; a
//! command is given until its outcome came, and its outcome is told once; one host cannot speak as another; any peer
//! costs bounded memory and time. Does not: decide what hosts do.

mod agents;
mod cli;
mod controller;
mod event_log;
mod hub;
mod ledger;
mod settings;
mod time;

pub use agents::{AGENT_PORT, serve_agents};
pub use cli::run_command;
pub use controller::{Controller, ControllerError};
pub use event_log::EventLog;
pub use hub::{answer, serve_hub};
pub use ledger::{Book, Entry, HostBook, Ledger, LedgerError};
pub use settings::{Settings, SettingsError};
