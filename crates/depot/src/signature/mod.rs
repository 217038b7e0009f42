//! Who signed a VIB, and whether that counts.
//!
//! `sig.pkcs7` is a detached signature (RFC 5652, or the older PKCS 7) over the exact bytes of the descriptor. The
//! level in the descriptor is a claim; the certificate decides. Signature, chain and date each are findings of their own.

mod chain;
mod message;
mod rsa;
mod trust;
mod verify;

pub use trust::{Root, Trust, TrustError};
pub use verify::{SignatureReport, Signer, verify};
