//! What is installed on a host, from the output of its own command.

mod forms;
mod vibs;

pub use forms::{HostError, parse};
pub use vibs::{Host, Installed};
