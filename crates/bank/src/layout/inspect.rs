//! What a disk holds, so that a person can be asked before it is overwritten.

use lifeboat_model::io::ReadAt;

use super::{Layout, describe, read_layout};
use crate::bytes::{le_u32, take};
use crate::gpt::{SECTOR, read_table};

/// What was found on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskContent {
    /// No table, no known file system, and nothing but zeros in the first and the last MiB and wherever it was looked
    /// between them: around every MiB of a disk up to 32 GiB, spread evenly over a larger one.
    Empty,
    /// A boot disk of ours.
    Ours(Box<Layout>),
    /// Something else.
    Foreign {
        /// Each thing that was found, for people. Never empty.
        what: Vec<String>,
    },
}

/// Bytes looked at on either end.
const LOOK: u64 = 1 << 20;
/// Places looked at between the ends, at the most.
const PLACES: u64 = 1 << 15;
/// Bytes looked at before and behind each place: partitions begin at whole MiB, and our records lie before one.
const AROUND: usize = 4096;
/// First bytes of a bank record.
const RECORD: &[u8] = b"LFBTREC1";

/// Marks of file systems and containers: byte offset, bytes, name. From the headers of the Linux kernel and the
/// pages of their makers, as `file` and `blkid` know them.
const MARKS: [(usize, &[u8], &str); 13] = [
    (0, b"XFSB", "an XFS file system"),
    (0, b"LUKS\xba\xbe", "an encrypted LUKS volume"),
    (0, b"hsqs", "a squashfs image"),
    (3, b"NTFS    ", "an NTFS file system"),
    (3, b"EXFAT   ", "an exFAT file system"),
    (54, b"FAT", "a FAT file system"),
    (82, b"FAT32", "a FAT file system"),
    (512, b"LABELONE", "an LVM physical volume"),
    (1024, &[0xe2, 0xe1, 0xf5, 0xe0], "an EROFS file system"),
    (1080, &[0x53, 0xef], "an ext2, ext3 or ext4 file system"),
    (4086, b"SWAPSPACE2", "a swap area"),
    (32769, b"CD001", "an ISO 9660 file system"),
    (65600, b"_BHRfS_M", "a btrfs file system"),
];

/// Looks at `disk` without writing. A disk that cannot be read is an error; one that is merely strange is not.
pub fn inspect(disk: &dyn ReadAt) -> std::io::Result<DiskContent> {
    let not_ours = match read_layout(disk) {
        Ok(layout) => return Ok(DiskContent::Ours(Box::new(layout))),
        Err(error) => error,
    };
    let size = disk.size();
    let mut front = vec![0_u8; usize::try_from(size.min(LOOK)).unwrap_or(0)];
    disk.read_at(0, &mut front)?;
    let mut back = vec![0_u8; front.len()];
    disk.read_at(size - back.len() as u64, &mut back)?;

    let mut what = Vec::new();
    if let Ok(read) = read_table(disk) {
        if read.table.entries.is_empty() {
            what.push("an empty GPT partition table".to_owned());
        } else {
            what.push(not_ours.to_string());
            what.extend(read.table.entries.iter().map(describe));
        }
    } else {
        if front.get(512..520) == Some(b"EFI PART") || (size / SECTOR > 1 && tail_is_gpt(&back)) {
            what.push("a damaged GPT partition table".to_owned());
        }
        what.extend(mbr_partitions(&front));
    }
    for (at, mark, name) in MARKS {
        if front.get(at..at + mark.len()) == Some(mark) {
            what.push(format!("{name} on the whole disk"));
        }
    }
    if le_u32(&front, 4096) == Some(0xa92b_4efc) {
        what.push("a member of a Linux RAID".to_owned());
    }
    let (records, data) = between(disk)?;
    if let Some(at) = records.first() {
        what.push(format!(
            "a bank record at byte {at}: this is a disk of Lifeboat whose partition table is lost; its banks are still there"
        ));
    }
    if what.is_empty()
        && let Some(at) = data
    {
        what.push(format!("data of an unknown kind, around byte {at}"));
    }
    if what.is_empty() {
        let back_start = size - back.len() as u64;
        let first =
            |bytes: &[u8], base: u64| bytes.iter().position(|&byte| byte != 0).map(|at| base + at as u64);
        if let Some(at) = first(&front, 0).or_else(|| first(&back, back_start)) {
            what.push(format!("data of an unknown kind, from byte {at} on"));
        }
    }
    Ok(if what.is_empty() { DiskContent::Empty } else { DiskContent::Foreign { what } })
}

/// Looks around whole MiB between the ends: where bank records lie, and the first place that is not all zeros.
fn between(disk: &dyn ReadAt) -> std::io::Result<(Vec<u64>, Option<u64>)> {
    let mib = disk.size() / LOOK;
    let stride = mib.div_ceil(PLACES).max(1);
    let (mut records, mut data) = (Vec::new(), None);
    let mut window = [0_u8; 2 * AROUND];
    let mut place = 1;
    while place < mib {
        let start = place * LOOK - AROUND as u64;
        disk.read_at(start, &mut window)?;
        if window.starts_with(RECORD) {
            records.push(start);
        }
        if data.is_none() && window.iter().any(|&byte| byte != 0) {
            data = Some(place * LOOK);
        }
        place += stride;
    }
    Ok((records, data))
}

fn tail_is_gpt(back: &[u8]) -> bool {
    back.len().checked_sub(512).and_then(|at| back.get(at..at + 8)) == Some(b"EFI PART")
}

/// Partitions of an MBR; none when the table is not plausible, as in the boot sector of a FAT volume.
fn mbr_partitions(front: &[u8]) -> Vec<String> {
    if take(front, 510) != Some([0x55, 0xaa]) {
        return Vec::new();
    }
    let entries: Vec<[u8; 16]> = (0..4).filter_map(|index| take(front, 446 + index * 16)).collect();
    if entries.iter().any(|entry| entry[0] & 0x7f != 0) {
        return Vec::new();
    }
    (1..)
        .zip(entries)
        .filter(|(_, entry)| entry[4] != 0)
        .map(|(number, entry)| {
            let mib = le_u32(&entry, 12).unwrap_or(0) / 2048;
            format!("MBR partition {number} of type {:02x} ({mib} MiB)", entry[4])
        })
        .collect()
}
