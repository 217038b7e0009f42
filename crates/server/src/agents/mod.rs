//! The port of the agents.

mod download;
mod enrol;
mod lines;
mod port;
mod session;

pub use port::{AGENT_PORT, serve_agents};
