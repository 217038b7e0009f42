//! The control socket: programs on this computer that drive rolls, and people.

mod answer;
mod hosts;
mod orders;
mod socket;

pub use answer::answer;
pub use socket::serve_hub;
