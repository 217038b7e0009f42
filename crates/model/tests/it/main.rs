//! The forms of words on disk stay readable.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "golden files are files")]

mod golden;
mod golden_v2;
