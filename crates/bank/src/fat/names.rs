//! Names in directory entries: 8.3 and long.

use std::fmt::Write as _;

/// Characters allowed in an 8.3 name beside letters and digits.
const SHORT_EXTRA: &str = "!#$%&'()-@^_`{}~";
/// Characters that no name may have.
const FORBIDDEN: &str = "\"*/:<>?\\|";

/// Whether we write this name: printable ASCII, as everything in a bank has.
pub(super) fn is_writable(name: &str) -> bool {
    let fine = |c: char| c.is_ascii() && !c.is_ascii_control() && !FORBIDDEN.contains(c);
    (1..=64).contains(&name.len())
        && name.chars().all(fine)
        && !name.starts_with(' ')
        && !name.ends_with([' ', '.'])
}

/// The 8.3 form of `name` if upper-casing is all it takes.
pub(super) fn short_form(name: &str) -> Option<[u8; 11]> {
    let (base, extension) = name.split_once('.').unwrap_or((name, ""));
    let fine = |c: char| c.is_ascii_alphanumeric() || SHORT_EXTRA.contains(c);
    let fits =
        (1..=8).contains(&base.len()) && extension.len() <= 3 && (extension.is_empty() != name.contains('.'));
    if !fits || !base.chars().all(fine) || !extension.chars().all(fine) {
        return None;
    }
    Some(pack(base, extension))
}

/// An 8.3 stand-in for `name`, the `number`th (from 1) that is tried.
pub(super) fn alias(name: &str, number: u32) -> [u8; 11] {
    let name = name.trim_start_matches('.');
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let clean = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    let mut tail = String::new();
    let _ = write!(tail, "~{number}");
    let mut front = clean(base);
    front.truncate(8 - tail.len());
    let mut extension = clean(extension);
    extension.truncate(3);
    pack(&(front + &tail), &extension)
}

fn pack(base: &str, extension: &str) -> [u8; 11] {
    let mut out = [b' '; 11];
    crate::bytes::put(&mut out, 0, base.to_ascii_uppercase().as_bytes());
    crate::bytes::put(&mut out, 8, extension.to_ascii_uppercase().as_bytes());
    out
}

/// Entries of the long form of `name` in disk order, for the short name that follows them.
pub(super) fn long_entries(name: &str, short: &[u8; 11]) -> Vec<[u8; 32]> {
    /// Places of the thirteen UTF-16 units in an entry.
    const PLACES: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    let units: Vec<u16> = name.encode_utf16().collect();
    let count = units.len().div_ceil(13);
    let mut entries = Vec::new();
    for (index, part) in units.chunks(13).enumerate().rev() {
        let mut entry = [0_u8; 32];
        let last = if index + 1 == count { 0x40 } else { 0 };
        entry[0] = u8::try_from(index + 1).unwrap_or(0) | last;
        entry[11] = 0x0f;
        entry[13] = checksum(short);
        for (place, at) in PLACES.into_iter().enumerate() {
            let past_end = if place == part.len() { 0 } else { 0xffff };
            let unit: u16 = part.get(place).copied().unwrap_or(past_end);
            crate::bytes::put(&mut entry, at, &unit.to_le_bytes());
        }
        entries.push(entry);
    }
    entries
}

/// Checksum of a short name that its long entries carry.
pub(super) fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte))
}

/// The text of an 8.3 name; bytes beyond ASCII become U+FFFD.
pub(super) fn short_text(short: &[u8; 11]) -> String {
    let text = |bytes: &[u8]| -> String {
        let end = bytes.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
        let printable = |&byte: &u8| {
            if (0x20..0x7f).contains(&byte) { char::from(byte) } else { char::REPLACEMENT_CHARACTER }
        };
        bytes.iter().take(end).map(printable).collect()
    };
    let (base, extension) = short.split_at(8);
    let (base, extension) = (text(base), text(extension));
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_keep_their_letters_and_others_get_an_alias() {
        assert_eq!(short_form("BOOTX64.EFI"), Some(*b"BOOTX64 EFI"));
        assert_eq!(short_form("lifeboat"), Some(*b"LIFEBOAT   "));
        for long in ["bank.json", "ninechars", "a b", "a.b.c", "a.", ".a", ""] {
            assert_eq!(short_form(long), None, "{long:?}");
        }
        assert_eq!(alias("bank.json", 1), *b"BANK~1  JSO");
        assert_eq!(alias("a long name.text", 12), *b"ALONG~12TEX");
        assert_eq!(short_text(b"BANK~1  JSO"), "BANK~1.JSO");
        assert_eq!(short_text(b"A\xe9         "), "A\u{fffd}");
    }

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // Worked by hand: rotate right by one, add the next byte.
        assert_eq!(checksum(b"A          "), {
            let mut sum = b'A';
            for _ in 0..10 {
                sum = sum.rotate_right(1).wrapping_add(b' ');
            }
            sum
        });
        let entries = long_entries("exactly thirteen characters twice", b"EXACTL~1   ");
        assert_eq!(entries.iter().map(|entry| entry[0]).collect::<Vec<_>>(), [0x43, 2, 1]);
        assert!(entries.iter().all(|entry| entry[13] == checksum(b"EXACTL~1   ") && entry[11] == 0x0f));
    }
}
