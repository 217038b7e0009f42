//! Headers of the archive: ustar (POSIX.1-1988), one spelling only.
//!
//! Owns: their bytes. Promises: equal name and length give equal bytes. Does not: read other archives.

use super::error::PackagesError;

/// Bytes of a header, and what entries are padded to.
pub(super) const BLOCK: u64 = 512;
/// Bytes of a header.
pub(super) const HEADER: usize = 512;

/// A length with its padding.
pub(super) fn padded(len: u64) -> u64 {
    len.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// The header of a plain file: mode 0644, owner 0, time 0.
pub(super) fn encode_header(name: &str, len: u64) -> Result<[u8; HEADER], PackagesError> {
    let mut header = [0_u8; HEADER];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(room) = header.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    // Eleven octal digits: 8 GiB.
    if name.len() > 100 || len >= 1 << 33 {
        return Err(PackagesError::List { what: name.to_owned(), rule: "its header has no room for it" });
    }
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    put(124, format!("{len:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(room) = header.get_mut(148..156) {
        room.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Ok(header)
}

/// The length in the header of the index, before anything of it is believed.
pub(super) fn announced_len(header: &[u8; HEADER]) -> Option<u64> {
    let digits = header.get(124..135)?;
    let text = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(text, 8).ok()
}
