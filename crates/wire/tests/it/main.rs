//! The pool's authority, TLS between its two sides, and openssl as a foreign peer.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authority;
mod openssl;
mod support;
mod tls;
