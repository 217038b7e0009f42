//! What this crate promises, over real files and over files made to deceive.

#![expect(clippy::disallowed_methods, reason = "tests read samples and start the program that signs")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bundle;
mod common;
mod documented;
mod hostile;
mod outputs;
mod real;
mod resolve;
mod signature;
mod version;
mod vib;
