//! Names as they are found on a volume.
//!
//! Owns: 8.3 and long names of outside bytes as text that can be shown, told apart and typed. Promises: different
//! bytes give different texts. Does not: decide what a name may be on a volume that we make (`fat/names.rs`).

use std::fmt::Write as _;

use crate::bytes::le_u16;
use crate::fat::names::checksum;

/// Characters that no 8.3 name may have.
const FORBIDDEN: &[u8] = b"\"*/:<>?\\|";

/// The bytes as text: what is not printable ASCII, and a backslash, as `\xNN`; blanks and zeros at the end dropped.
pub(in crate::fat) fn printable(bytes: &[u8]) -> String {
    let end = bytes.iter().rposition(|&byte| byte != b' ' && byte != 0).map_or(0, |last| last + 1);
    let mut out = String::new();
    for &byte in bytes.iter().take(end) {
        if (0x20..0x7f).contains(&byte) && byte != b'\\' && byte != b'/' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// The 8.3 name as text.
pub(in crate::fat) fn short_text(short: &[u8; 11]) -> String {
    let mut bytes = *short;
    // 05 stands for E5, which would mean a deleted entry.
    if bytes[0] == 0x05 {
        bytes[0] = 0xe5;
    }
    let (base, extension) = bytes.split_at(8);
    let (base, extension) = (printable(base), printable(extension));
    match (base.is_empty(), extension.is_empty()) {
        // A name of blanks only has to be shown somehow.
        (true, true) => "\\x20".to_owned(),
        (_, true) => base,
        (_, false) => format!("{base}.{extension}"),
    }
}

/// Why these bytes cannot be an 8.3 name; none when they can.
pub(in crate::fat) fn short_fault(short: &[u8; 11]) -> Option<&'static str> {
    let control = |(at, &byte): (usize, &u8)| (byte < 0x20 && !(at == 0 && byte == 0x05)) || byte == 0x7f;
    if short.iter().enumerate().any(control) {
        return Some("control characters");
    }
    if short.iter().any(|byte| FORBIDDEN.contains(byte)) {
        return Some("characters that no name may have");
    }
    let gap = |part: &[u8]| {
        let blank = part.iter().position(|&byte| byte == b' ').unwrap_or(part.len());
        part.iter().skip(blank).any(|&byte| byte != b' ')
    };
    let (base, extension) = short.split_at(8);
    if short[0] == b' ' {
        return Some("a blank as its first character");
    }
    if gap(base) || gap(extension) {
        return Some("blanks inside");
    }
    None
}

/// What the parts of a long name before a short one are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fat) enum Long {
    /// Belongs to the short name.
    Good(String),
    /// The parts go together, but belong to another short name.
    Foreign,
    /// The parts do not go together, or the text is none.
    Broken,
}

/// Reads the parts `entries`, which stand right before the entry with the name `short`.
pub(in crate::fat) fn long_name(entries: &[[u8; 32]], short: &[u8; 11]) -> Long {
    let mut units = Vec::new();
    let mut sums = Vec::new();
    for (number, entry) in (1_u8..).zip(entries.iter().rev()) {
        let mark = if usize::from(number) == entries.len() { 0x40 } else { 0 };
        if entry[0] != number | mark || le_u16(entry, 26) != Some(0) {
            return Long::Broken;
        }
        sums.push(entry[13]);
        for part in [&entry[1..11], &entry[14..26], &entry[28..32]] {
            units.extend(part.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
        }
    }
    let sum = checksum(short);
    if sums.iter().any(|&other| Some(&other) != sums.first()) {
        return Long::Broken;
    }
    if sums.first() != Some(&sum) {
        return Long::Foreign;
    }
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    let mut out = String::new();
    for unit in char::decode_utf16(units.into_iter().take(end)) {
        match unit {
            Ok(c) if u32::from(c) < 0x20 || "\"*/:<>?\\|\u{7f}".contains(c) => return Long::Broken,
            Ok(c) => out.push(c),
            Err(_) => return Long::Broken,
        }
    }
    if out.is_empty() || out.chars().all(|c| c == '.' || c == ' ') { Long::Broken } else { Long::Good(out) }
}
