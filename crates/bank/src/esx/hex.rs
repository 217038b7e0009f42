//! Bytes as hexadecimal digits, for identities and hashes.

use std::fmt::Write as _;

/// Two lower-case digits for each byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string does not fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}
