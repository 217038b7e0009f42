//! One directory's bytes as entries.
//!
//! Owns: the split into long parts, short entries, the end, and what stands behind it. Promises: one pass, nothing
//! kept but the entries. Does not: know clusters or paths.

use super::names::{Long, long_name};
use crate::bytes::{le_u16, le_u32, take};
use crate::fat::report::{FatKind, FatTime};

/// Bytes of an entry.
pub(super) const ENTRY: usize = 32;
const LONG: u8 = 0x0f;
const LABEL: u8 = 0x08;
const DIRECTORY: u8 = 0x10;
/// Bits that no attribute has.
const RESERVED: u8 = 0xc0;
/// Parts of a long name (255 units).
const MAX_LONG: usize = 20;
/// Entries behind the end that are remembered.
const MAX_BEHIND: usize = 64;

/// What an entry says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    File,
    Directory,
    Label,
    /// Attributes that go with none of these.
    Neither,
}

/// An entry in use.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) short: [u8; 11],
    pub(super) long: Option<Long>,
    pub(super) attribute: u8,
    pub(super) sort: Sort,
    pub(super) cluster: u32,
    pub(super) len: u32,
    pub(super) modified: Option<FatTime>,
    /// Number of this entry in the directory.
    pub(super) index: usize,
    /// Long parts right before it.
    pub(super) parts: usize,
}

/// A directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// Numbers of long parts without an entry of their own.
    pub(super) orphans: Vec<usize>,
    /// Plausible entries behind the end: their number, their names and first clusters.
    pub(super) behind: Vec<([u8; 11], u32)>,
}

/// Splits the bytes of a directory.
pub(super) fn split(bytes: &[u8], kind: FatKind, is_root: bool) -> Listing {
    let mut out = Listing::default();
    let mut pending: Vec<[u8; ENTRY]> = Vec::new();
    let mut ended = false;
    for (index, raw) in bytes.chunks_exact(ENTRY).enumerate() {
        let Some(raw) = take::<ENTRY>(raw, 0) else { break };
        if ended {
            if out.behind.len() < MAX_BEHIND {
                out.behind.extend(plausible(&raw, kind));
            }
            continue;
        }
        let mut drop_pending = |pending: &mut Vec<[u8; ENTRY]>| {
            let from = index - pending.len();
            out.orphans.extend((from..index).take(pending.len()));
            pending.clear();
        };
        let attribute = raw[11];
        if raw[0] == 0 {
            drop_pending(&mut pending);
            ended = true;
        } else if raw[0] == 0xe5 {
            drop_pending(&mut pending);
        } else if attribute & 0x3f == LONG {
            let follows = pending.last().is_some_and(|last| last[0] & 0x3f == raw[0].wrapping_add(1));
            if raw[0] & 0x40 != 0 || !follows {
                drop_pending(&mut pending);
            }
            let first = raw[0] & 0x40 != 0 && (1..=MAX_LONG).contains(&usize::from(raw[0] & 0x3f));
            if first || follows {
                pending.push(raw);
            } else {
                out.orphans.push(index);
            }
        } else {
            let sort = sort(&raw, is_root, kind);
            if sort == Sort::Label {
                drop_pending(&mut pending);
            }
            out.entries.push(parse(&raw, sort, kind, index, &pending));
            pending.clear();
        }
    }
    let count = bytes.len() / ENTRY;
    out.orphans.extend(count.saturating_sub(pending.len())..count);
    out
}

fn sort(raw: &[u8; ENTRY], is_root: bool, kind: FatKind) -> Sort {
    let attribute = raw[11];
    if attribute & RESERVED != 0 {
        Sort::Neither
    } else if attribute & LABEL != 0 {
        let empty = cluster(raw, kind) == 0 && le_u32(raw, 28) == Some(0);
        if is_root && attribute & DIRECTORY == 0 && empty { Sort::Label } else { Sort::Neither }
    } else if attribute & DIRECTORY != 0 {
        Sort::Directory
    } else {
        Sort::File
    }
}

fn cluster(raw: &[u8; ENTRY], kind: FatKind) -> u32 {
    let high = if kind == FatKind::Fat32 { u32::from(le_u16(raw, 20).unwrap_or(0)) } else { 0 };
    high << 16 | u32::from(le_u16(raw, 26).unwrap_or(0))
}

fn parse(raw: &[u8; ENTRY], sort: Sort, kind: FatKind, index: usize, pending: &[[u8; ENTRY]]) -> Entry {
    let short: [u8; 11] = take(raw, 0).unwrap_or_default();
    let long = (!pending.is_empty()).then(|| long_name(pending, &short));
    Entry {
        short,
        long,
        attribute: raw[11],
        sort,
        cluster: cluster(raw, kind),
        len: le_u32(raw, 28).unwrap_or(0),
        modified: FatTime::from_fields(le_u16(raw, 24).unwrap_or(0), le_u16(raw, 22).unwrap_or(0)),
        index,
        parts: pending.len(),
    }
}

/// Whether an entry behind the end could have been a file or directory.
fn plausible(raw: &[u8; ENTRY], kind: FatKind) -> Option<([u8; 11], u32)> {
    let short: [u8; 11] = take(raw, 0)?;
    let fits = raw[0] != 0
        && raw[0] != 0xe5
        && raw[11] & (RESERVED | LABEL) == 0
        && super::names::short_fault(&short).is_none()
        && cluster(raw, kind) >= 2;
    fits.then(|| (short, cluster(raw, kind)))
}
