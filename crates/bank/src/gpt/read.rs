//! Reading: both copies, each checked whole before an entry is believed.

use lifeboat_model::io::ReadAt;

use super::table::{ENTRY_SIZE, GptEntry, GptError, GptTable, SECTOR};
use crate::bytes::{le_u32, le_u64, take};
use crate::finding::Finding;
use crate::guid::Guid;

/// Largest entry array that is read: 8192 entries of 128 bytes. Linux stops at 1 MiB of array as well.
const MAX_ARRAY: u64 = 1 << 20;
/// Bytes of the header that UEFI defines.
const HEADER_SIZE: u32 = 92;

/// A table, and how well its two copies are.
#[derive(Debug, Clone)]
pub struct GptRead {
    /// The table of the primary copy, or of the backup copy if only that is valid.
    pub table: GptTable,
    /// The copy at the front is valid.
    pub primary_ok: bool,
    /// The copy at the end is valid.
    pub backup_ok: bool,
    /// `gpt-primary-bad`, `gpt-backup-bad`, `gpt-copies-differ`, `gpt-backup-not-at-end`.
    pub findings: Vec<Finding>,
}

/// One copy as read.
struct Copy {
    table: GptTable,
    alternate_lba: u64,
}

/// Reads the table of `disk`. The primary copy counts; the backup is used when the primary is not valid.
pub fn read_table(disk: &dyn ReadAt) -> Result<GptRead, GptError> {
    let sectors = disk.size() / SECTOR;
    if disk.size() < 1 << 20 {
        return Err(GptError::TooSmall { bytes: disk.size() });
    }
    let last = sectors - 1;
    let primary = read_copy(disk, 1, sectors);
    // The backup lies where the primary says, and at the end of the disk if the primary says nothing.
    let said = primary.as_ref().map_or(last, |copy| copy.alternate_lba);
    let backup_lba = if said > 1 && said <= last { said } else { last };
    let backup = read_copy(disk, backup_lba, sectors);
    let mut findings = Vec::new();
    match (primary, backup) {
        (Ok(primary), Ok(backup)) => {
            if primary.table != backup.table {
                let text = "the two copies of the partition table differ; the one at the front is used";
                findings.push(Finding::new("gpt-copies-differ", text));
            }
            if backup_lba != last {
                let text = format!(
                    "the backup partition table lies at sector {backup_lba}, the disk ends with sector {last}; \
                     the disk was enlarged after it was partitioned"
                );
                findings.push(Finding::new("gpt-backup-not-at-end", text));
            }
            Ok(GptRead { table: primary.table, primary_ok: true, backup_ok: true, findings })
        }
        (Ok(primary), Err(wrong)) => {
            let text = format!("the backup partition table at sector {backup_lba} is not usable: it {wrong}");
            findings.push(Finding::new("gpt-backup-bad", text));
            Ok(GptRead { table: primary.table, primary_ok: true, backup_ok: false, findings })
        }
        (Err(wrong), Ok(backup)) => {
            let text = format!("the primary partition table is not usable: it {wrong}; the backup is used");
            findings.push(Finding::new("gpt-primary-bad", text));
            Ok(GptRead { table: backup.table, primary_ok: false, backup_ok: true, findings })
        }
        (Err(primary), Err(backup)) => Err(GptError::NoTable { primary, backup }),
    }
}

/// Reads the copy whose header lies at `lba`. The error completes a sentence that begins with "it".
fn read_copy(disk: &dyn ReadAt, lba: u64, sectors: u64) -> Result<Copy, String> {
    let mut header = [0_u8; 512];
    disk.read_at(lba * SECTOR, &mut header).map_err(|error| format!("cannot be read ({error})"))?;
    if header.get(..8) != Some(b"EFI PART") {
        return Err("has no signature".to_owned());
    }
    if le_u32(&header, 8) != Some(0x0001_0000) {
        return Err("has an unknown revision".to_owned());
    }
    let header_size = le_u32(&header, 12).unwrap_or(0);
    if !(HEADER_SIZE..=512).contains(&header_size) {
        return Err(format!("has a header of {header_size} bytes; 92 to 512 are possible"));
    }
    let stored = le_u32(&header, 16).unwrap_or(0);
    let mut counted = header;
    if let Some(field) = counted.get_mut(16..20) {
        field.fill(0);
    }
    let covered = counted.get(..header_size as usize).unwrap_or(&counted);
    if crc32fast::hash(covered) != stored {
        return Err("has a header with a wrong checksum".to_owned());
    }
    let field = |at: usize| le_u64(&header, at).unwrap_or(0);
    if field(24) != lba {
        return Err(format!("says that it lies at sector {}, and lies at {lba}", field(24)));
    }
    let (array_lba, count, size) =
        (field(72), le_u32(&header, 80).unwrap_or(0), le_u32(&header, 84).unwrap_or(0));
    if size < ENTRY_SIZE || size % 8 != 0 || size > 4096 {
        return Err(format!("has entries of {size} bytes; 128 to 4096 are possible"));
    }
    let bytes = u64::from(count) * u64::from(size);
    if count == 0 || bytes > MAX_ARRAY {
        return Err(format!(
            "has {count} entries of {size} bytes; the array may have at most {MAX_ARRAY} bytes"
        ));
    }
    let array_end = array_lba.saturating_add(bytes.div_ceil(SECTOR));
    if array_lba < 2 || array_end > sectors {
        return Err(format!("has an entry array at sector {array_lba} that leaves the disk"));
    }
    let mut array = vec![0_u8; usize::try_from(bytes).unwrap_or(0)];
    disk.read_at(array_lba * SECTOR, &mut array)
        .map_err(|error| format!("has an unreadable array ({error})"))?;
    if crc32fast::hash(&array) != le_u32(&header, 88).unwrap_or(0) {
        return Err("has an entry array with a wrong checksum".to_owned());
    }
    let table = GptTable {
        disk_guid: Guid(take(&header, 56).unwrap_or_default()),
        first_usable: field(40),
        last_usable: field(48),
        entries: (1_u32..).zip(array.chunks_exact(size as usize)).filter_map(parse_entry).collect(),
    };
    table.check(sectors).map_err(|reason| format!("is not possible: {reason}"))?;
    if table.first_usable < array_end && array_lba <= table.last_usable {
        return Err("has an entry array inside the usable sectors".to_owned());
    }
    Ok(Copy { table, alternate_lba: field(32) })
}

fn parse_entry((number, bytes): (u32, &[u8])) -> Option<GptEntry> {
    let type_guid = Guid(take(bytes, 0)?);
    if type_guid == Guid::NIL {
        return None;
    }
    let units = bytes.get(56..128)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let name: String = char::decode_utf16(units.take_while(|&unit| unit != 0))
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    Some(GptEntry {
        number,
        type_guid,
        guid: Guid(take(bytes, 16)?),
        first_lba: le_u64(bytes, 32)?,
        last_lba: le_u64(bytes, 40)?,
        attributes: le_u64(bytes, 48)?,
        name,
    })
}
