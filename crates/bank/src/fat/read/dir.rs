//! Directory entries.

use super::{FatReadError, FatVolume};
use crate::bytes::{le_u16, le_u32, take};
use crate::fat::names::{checksum, short_text};

const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
const LONG: u8 = 0x0f;
/// Most long entries of a name (255 units).
const MAX_LONG: usize = 20;

/// An entry as found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) short: String,
    pub(super) long: Option<String>,
    pub(super) is_dir: bool,
    pub(super) cluster: u32,
    pub(super) len: u32,
}

impl Found {
    /// The root directory, as if it were an entry.
    pub(super) fn root() -> Self {
        Self { short: String::new(), long: None, is_dir: true, cluster: 0, len: 0 }
    }

    pub(super) fn is_named(&self, name: &str) -> bool {
        let upper = |text: &str| text.chars().flat_map(char::to_uppercase).collect::<String>();
        let wanted = upper(name);
        upper(&self.short) == wanted || self.long.as_ref().is_some_and(|long| upper(long) == wanted)
    }
}

impl FatVolume<'_> {
    pub(super) fn read_dir(&self, first: u32) -> Result<Vec<Found>, FatReadError> {
        let bytes = self.dir_bytes(first)?;
        let mut found = Vec::new();
        let mut long: Vec<[u8; 32]> = Vec::new();
        for entry in bytes.chunks_exact(32) {
            let Some(entry) = take::<32>(entry, 0) else { break };
            let attribute = entry[11];
            match entry[0] {
                0 => break,
                0xe5 => long.clear(),
                _ if attribute & 0x3f == LONG => {
                    // A new name begins with the entry that carries the mark of the last.
                    if entry[0] & 0x40 != 0 || long.len() >= MAX_LONG {
                        long.clear();
                    }
                    long.push(entry);
                }
                _ if attribute & LABEL != 0 => long.clear(),
                _ => {
                    found.push(self.parse(&entry, &long));
                    long.clear();
                }
            }
        }
        Ok(found)
    }

    fn parse(&self, entry: &[u8; 32], long: &[[u8; 32]]) -> Found {
        let mut short: [u8; 11] = take(entry, 0).unwrap_or_default();
        let sum = checksum(&short);
        // 05 stands for E5, which would mean a deleted entry.
        if short[0] == 0x05 {
            short[0] = 0xe5;
        }
        let high = if self.header.root_bytes == 0 { u32::from(le_u16(entry, 20).unwrap_or(0)) } else { 0 };
        Found {
            short: short_text(&short),
            long: long_text(long, sum),
            is_dir: entry[11] & DIRECTORY != 0,
            cluster: high << 16 | u32::from(le_u16(entry, 26).unwrap_or(0)),
            len: le_u32(entry, 28).unwrap_or(0),
        }
    }
}

/// The long name of these entries (last part first), if they are complete and belong to the short name.
fn long_text(entries: &[[u8; 32]], sum: u8) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let mut units = Vec::new();
    for (number, entry) in (1_u8..).zip(entries.iter().rev()) {
        let mark = if usize::from(number) == entries.len() { 0x40 } else { 0 };
        if entry[0] != number | mark || entry[13] != sum {
            return None;
        }
        for (start, end) in [(1, 11), (14, 26), (28, 32)] {
            let part = entry.get(start..end)?;
            units.extend(part.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])));
        }
    }
    let end = units.iter().position(|&unit| unit == 0).unwrap_or(units.len());
    Some(
        char::decode_utf16(units.into_iter().take(end))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}
