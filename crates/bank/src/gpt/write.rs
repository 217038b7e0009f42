//! Writing, in the one order that survives a power cut.

use lifeboat_model::io::WriteAt;

use super::table::{ARRAY_SECTORS, ENTRIES, ENTRY_SIZE, FIRST_USABLE, GptEntry, GptError, GptTable, SECTOR};
use crate::bytes::put;

/// Writes `table`: backup array, backup header, flush, then protective MBR, primary array, primary header, flush.
///
/// On a disk that has a valid table, a power cut at any write leaves a valid copy: until the first flush the old
/// primary, after it the new backup.
pub fn write_table(disk: &mut dyn WriteAt, table: &GptTable) -> Result<(), GptError> {
    let sectors = disk.size() / SECTOR;
    if disk.size() < 1 << 20 {
        return Err(GptError::TooSmall { bytes: disk.size() });
    }
    let bad = |reason: String| GptError::BadTable { reason };
    let last = sectors - 1;
    let backup_array = last - ARRAY_SECTORS;
    if table.first_usable < FIRST_USABLE || table.last_usable >= backup_array {
        return Err(bad(format!(
            "the usable sectors leave no room for the table on a disk of {sectors} sectors"
        )));
    }
    table.check(sectors).map_err(bad)?;
    let array = encode_array(&table.entries).map_err(bad)?;
    let crc = crc32fast::hash(&array);

    let io = |doing: &'static str| move |source| GptError::Io { doing, source };
    disk.write_at(backup_array * SECTOR, &array).map_err(io("writing the backup entries"))?;
    let backup = encode_header(table, [last, 1, backup_array], crc);
    disk.write_at(last * SECTOR, &backup).map_err(io("writing the backup header"))?;
    disk.flush().map_err(io("flushing the backup copy"))?;

    disk.write_at(0, &protective_mbr(sectors)).map_err(io("writing the protective MBR"))?;
    disk.write_at(2 * SECTOR, &array).map_err(io("writing the primary entries"))?;
    let primary = encode_header(table, [1, last, 2], crc);
    disk.write_at(SECTOR, &primary).map_err(io("writing the primary header"))?;
    disk.flush().map_err(io("flushing the primary copy"))
}

fn encode_array(entries: &[GptEntry]) -> Result<Vec<u8>, String> {
    let mut array = vec![0_u8; (ENTRIES * ENTRY_SIZE) as usize];
    let mut used = [false; ENTRIES as usize];
    for entry in entries {
        let number = entry.number;
        let index = number.checked_sub(1).filter(|&index| index < ENTRIES);
        let index =
            index.ok_or_else(|| format!("partition number {number} is not one of 1 to {ENTRIES}"))? as usize;
        if std::mem::replace(&mut used[index], true) {
            return Err(format!("partition number {number} is used twice"));
        }
        let name: Vec<u8> = entry.name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        if name.len() > 72 {
            return Err(format!("the name {:?} has more than 36 UTF-16 units", entry.name));
        }
        let at = index * ENTRY_SIZE as usize;
        put(&mut array, at, &entry.type_guid.0);
        put(&mut array, at + 16, &entry.guid.0);
        put(&mut array, at + 32, &entry.first_lba.to_le_bytes());
        put(&mut array, at + 40, &entry.last_lba.to_le_bytes());
        put(&mut array, at + 48, &entry.attributes.to_le_bytes());
        put(&mut array, at + 56, &name);
    }
    Ok(array)
}

/// Header of a copy; `places` are its own sector, the sector of the other header, the first of its array.
fn encode_header(table: &GptTable, places: [u64; 3], array_crc: u32) -> [u8; 512] {
    let [own, other, array] = places;
    let mut header = [0_u8; 512];
    put(&mut header, 0, b"EFI PART");
    put(&mut header, 8, &0x0001_0000_u32.to_le_bytes());
    put(&mut header, 12, &92_u32.to_le_bytes());
    put(&mut header, 24, &own.to_le_bytes());
    put(&mut header, 32, &other.to_le_bytes());
    put(&mut header, 40, &table.first_usable.to_le_bytes());
    put(&mut header, 48, &table.last_usable.to_le_bytes());
    put(&mut header, 56, &table.disk_guid.0);
    put(&mut header, 72, &array.to_le_bytes());
    put(&mut header, 80, &ENTRIES.to_le_bytes());
    put(&mut header, 84, &ENTRY_SIZE.to_le_bytes());
    put(&mut header, 88, &array_crc.to_le_bytes());
    let crc = crc32fast::hash(header.get(..92).unwrap_or(&header));
    put(&mut header, 16, &crc.to_le_bytes());
    header
}

/// Protective MBR (UEFI 2.10, section 5.2.3): one partition of type EE over the whole disk.
fn protective_mbr(sectors: u64) -> [u8; 512] {
    let mut mbr = [0_u8; 512];
    let size = u32::try_from(sectors - 1).unwrap_or(u32::MAX);
    put(&mut mbr, 446, &[0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]);
    put(&mut mbr, 458, &size.to_le_bytes());
    put(&mut mbr, 510, &[0x55, 0xaa]);
    mbr
}
