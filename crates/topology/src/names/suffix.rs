//! Where a name ends and the number of a partition begins.
//!
//! Owns: the rules of the kernel, udev, kpartx and ESX. Promises: every way to read a name is returned, the whole name
//! first; a plain number is a partition only behind a letter of a kernel or map name, or behind an id whose length is
//! known, so that `virtio-serial11` is never partition 1 of `virtio-serial1`. Does not: know which disks there are.

use crate::ident::{is_hex, part_number};

/// A name without its partition, and the partition.
pub(super) type Split<'a> = (&'a str, Option<u32>);

/// What kind of name is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// `-partN`, `_partN`; `pN` behind a digit.
    Link,
    /// These, and `pN` and N behind a letter: names of the kernel and of maps.
    Map,
    /// Those of links, and `:N`.
    Esx,
}

/// Every way to read a name.
pub(super) fn splits(name: &str, rules: Rules) -> Vec<Split<'_>> {
    let mut all = vec![(name, None)];
    let mut add = |base: &'_ str, number: &str| {
        if let Some(number) = part_number(number)
            && let Some(base) = name.get(..base.len()).filter(|base| !base.is_empty())
            && !all.contains(&(base, Some(number)))
        {
            all.push((base, Some(number)));
        }
    };
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.get(stem.len()..).unwrap_or_default();
    for mark in ["-part", "_part"] {
        if let Some(base) = stem.strip_suffix(mark) {
            add(base, number);
        }
    }
    if rules == Rules::Esx
        && let Some(base) = stem.strip_suffix(':')
    {
        add(base, number);
    }
    if let Some(base) = stem.strip_suffix('p') {
        let digit = base.ends_with(|c: char| c.is_ascii_digit());
        if digit || rules == Rules::Map || known_length(base) == Some(base.len()) {
            add(base, number);
        }
    }
    if rules == Rules::Map && stem.ends_with(|c: char| c.is_ascii_alphabetic()) {
        add(stem, number);
    }
    if let Some(end) = known_length(name)
        && let Some((base, rest)) = name.split_at_checked(end)
    {
        add(base, rest);
    }
    all
}

/// Where the id in a name ends, if it is one whose length is in its first digit: NAA 6 has 32 digits, 2, 3 and 5 have 16.
pub(super) fn known_length(name: &str) -> Option<usize> {
    let (start, hex) = hex_id(name)?;
    let length = match hex.bytes().next()? {
        b'6' => 32,
        b'2' | b'3' | b'5' => 16,
        _ => return None,
    };
    let id = hex.get(..length)?;
    is_hex(id).then_some(start + length)
}

/// The place and text of what follows the head of a name that holds an NAA id.
fn hex_id(name: &str) -> Option<(usize, &str)> {
    let heads = ["scsi-3", "wwn-0x", "cciss-3", "dm-uuid-mpath-3", "dm-name-3", "naa.", "mpath-3", "3"];
    heads.iter().find_map(|head| Some((head.len(), name.strip_prefix(head)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_partition_is_read_and_no_serial_is_cut() {
        let cases: [(&str, Rules, &[Split<'_>]); 14] = [
            ("scsi-35000c50015ea71aa-part1", Rules::Link, &[("scsi-35000c50015ea71aa", Some(1))]),
            ("scsi-35000c50015ea71aap12", Rules::Link, &[("scsi-35000c50015ea71aa", Some(12))]),
            ("scsi-35000c50015ea71aa2", Rules::Link, &[("scsi-35000c50015ea71aa", Some(2))]),
            ("virtio-serial11", Rules::Link, &[]),
            ("virtio-serial1p1", Rules::Link, &[("virtio-serial1", Some(1))]),
            ("ata-WDC_WD-WCC1", Rules::Link, &[]),
            ("mpatha1", Rules::Map, &[("mpatha", Some(1))]),
            ("mpathap1", Rules::Map, &[("mpatha", Some(1)), ("mpathap", Some(1))]),
            ("sda1", Rules::Map, &[("sda", Some(1))]),
            ("nvme0n1", Rules::Map, &[("nvme0n", Some(1))]),
            ("nvme0n1p3", Rules::Map, &[("nvme0n1", Some(3)), ("nvme0n1p", Some(3))]),
            ("cciss/c0d0p2", Rules::Map, &[("cciss/c0d0", Some(2)), ("cciss/c0d0p", Some(2))]),
            (
                "naa.600508b1001c4d2e600508b1001c4d2e:3",
                Rules::Esx,
                &[("naa.600508b1001c4d2e600508b1001c4d2e", Some(3))],
            ),
            ("x-part0", Rules::Link, &[]),
        ];
        for (name, rules, wanted) in cases {
            let mut all = vec![(name, None)];
            all.extend(wanted);
            assert_eq!(splits(name, rules), all, "{name}");
        }
    }
}
