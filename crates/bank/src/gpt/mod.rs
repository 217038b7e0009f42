//! The GUID partition table (UEFI 2.10, section 5.3) of disks with 512-byte sectors.
//!
//! Owns: the bytes of protective MBR, header and entry array. Promises: both copies are checked (signature, CRC of
//! header and array, bounds, overlaps) before an entry is believed; a table is written so that a power cut at any
//! write leaves one valid copy. Does not: know what a partition is for, or repair a copy by itself.

mod read;
mod table;
mod write;

pub use read::{GptRead, read_table};
pub use table::{GptEntry, GptError, GptTable, SECTOR};
pub use write::write_table;
