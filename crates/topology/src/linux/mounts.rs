//! What is mounted, and swap.
//!
//! Owns: `/proc/self/mountinfo` (proc(5)) and `/proc/swaps`. Promises: a device that has a number of its own in the
//! table (btrfs) is found by its source. Does not: tell bind mounts from others.

use std::collections::BTreeMap;

use super::block::Block;
use crate::tree::View;

/// Longest mount table.
const TABLE: usize = 16 << 20;

pub(super) fn read(view: &View<'_>, blocks: &mut [Block]) {
    let numbers: BTreeMap<(u32, u32), usize> =
        blocks.iter().enumerate().filter_map(|(at, block)| Some((block.number?, at))).collect();
    let names: BTreeMap<String, usize> = blocks
        .iter()
        .enumerate()
        .flat_map(|(at, block)| block.names.iter().map(move |name| (name.clone(), at)))
        .collect();
    let table = view.bytes("proc/self/mountinfo", TABLE).unwrap_or_default();
    for line in String::from_utf8_lossy(&table).lines() {
        let Some(mount) = Mount::parse(line) else { continue };
        let at = numbers.get(&mount.number).or_else(|| names.get(&mount.source));
        if let Some(block) = at.and_then(|at| blocks.get_mut(*at)) {
            if !block.mounts.contains(&mount.place) {
                block.mounts.push(mount.place);
            }
            block.mounted.get_or_insert(mount.kind);
        }
    }
    let swaps = view.bytes("proc/swaps", TABLE).unwrap_or_default();
    for line in String::from_utf8_lossy(&swaps).lines().skip(1) {
        let Some(source) = line.split_whitespace().next().map(unescape) else { continue };
        if let Some(block) = names.get(&source).and_then(|at| blocks.get_mut(*at)) {
            block.mounts.push("[swap]".to_owned());
            block.mounted.get_or_insert_with(|| "swap".to_owned());
        }
    }
}

struct Mount {
    number: (u32, u32),
    place: String,
    kind: String,
    source: String,
}

impl Mount {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    fn parse(line: &str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(2);
        let (major, minor) = left.next()?.split_once(':')?;
        let place = unescape(left.nth(1)?);
        let mut right = right.split(' ');
        let kind = right.next()?.to_owned();
        let source = unescape(right.next()?);
        Some(Self { number: (major.parse().ok()?, minor.parse().ok()?), place, kind, source })
    }
}

/// `\040` is a blank.
fn unescape(text: &str) -> String {
    let mut result = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|digits| first == b'\\' && digits.iter().all(|b| (b'0'..b'8').contains(b)));
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        result.push(code.unwrap_or(first));
        rest = if code.is_some() { after.get(3..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&result).into_owned()
}
