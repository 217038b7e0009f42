//! Streams of bytes to a daemon: socket, TCP, TLS, SSH.
//!
//! Owns: opening them within a time, and reading and writing without waiting. Does not: know frames.

mod open;
mod pki;
mod ssh;
mod stream;
mod tls;

pub(crate) use open::open;
pub use pki::PkiError;
pub(crate) use stream::Stream;
