//! Bytes of the store: volume header, store header, variable headers.

use std::ops::Range;

use crate::bytes::{le_u16, le_u32, le_u64, put, take};
use crate::efi::{Var, VarName};
use crate::guid::Guid;

/// EFI_SYSTEM_NV_DATA_FV_GUID, fff12b8d-7696-4c8b-a985-2747075b4f50.
const NV_DATA: Guid =
    Guid([0x8d, 0x2b, 0xf1, 0xff, 0x96, 0x76, 0x8b, 0x4c, 0xa9, 0x85, 0x27, 0x47, 0x07, 0x5b, 0x4f, 0x50]);
/// EFI_AUTHENTICATED_VARIABLE_GUID, aaf32c78-947b-439a-a180-2e144ec37792.
const AUTHENTICATED: Guid =
    Guid([0x78, 0x2c, 0xf3, 0xaa, 0x7b, 0x94, 0x9a, 0x43, 0xa1, 0x80, 0x2e, 0x14, 0x4e, 0xc3, 0x77, 0x92]);
/// Bytes of the store's header behind the volume's header.
const STORE_HEADER: usize = 28;
/// Bytes of a variable's header.
pub(super) const VAR_HEADER: usize = 60;
/// First word of a variable's header.
const START: u16 = 0x55aa;
/// State of a variable that was written in full.
pub(super) const ADDED: u8 = 0x3f;
/// State of a variable whose successor is being written; it counts unless the successor is there.
const IN_TRANSITION: u8 = ADDED & 0xfe;
/// State of a variable that was deleted by way of the transition.
pub(super) const DELETED: u8 = IN_TRANSITION & 0xfd;

/// Why bytes are no variable store that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OvmfError {
    /// The image ends inside a header.
    #[error("the firmware image of {length} bytes ends inside its {what}")]
    Truncated {
        /// Structure that is cut off.
        what: &'static str,
        /// Length of the image.
        length: usize,
    },
    /// The image does not hold an authenticated variable store.
    #[error("the firmware image holds no authenticated variable store: its {what} is not the expected one")]
    Foreign {
        /// Field.
        what: &'static str,
    },
    /// A checksum or a size is wrong.
    #[error("the variable store of the firmware image is damaged: its {what} is wrong")]
    Damaged {
        /// Field.
        what: &'static str,
    },
    /// A variable's header leaves the store.
    #[error(
        "the variable store of the firmware image is damaged: the variable at byte {at} leaves the store"
    )]
    Variable {
        /// Position in the image.
        at: usize,
    },
}

/// Where the variables lie: from behind the store's header to its end.
pub(super) fn find_store(image: &[u8]) -> Result<Range<usize>, OvmfError> {
    let cut = |what| OvmfError::Truncated { what, length: image.len() };
    let header = "volume header";
    if take(image, 16).ok_or(cut(header))? != NV_DATA.0 {
        return Err(OvmfError::Foreign { what: "volume GUID" });
    }
    if take(image, 0x28).ok_or(cut(header))? != *b"_FVH" {
        return Err(OvmfError::Foreign { what: "volume signature" });
    }
    let volume_len = le_u64(image, 0x20).ok_or(cut(header))?;
    let header_len = usize::from(le_u16(image, 0x30).ok_or(cut(header))?);
    let volume = image.get(..header_len).ok_or(cut(header))?;
    let words = volume.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    if header_len < 0x38 || header_len % 2 != 0 || words.fold(0, u16::wrapping_add) != 0 {
        return Err(OvmfError::Damaged { what: "volume header checksum" });
    }
    let store = "store header";
    if take(image, header_len).ok_or(cut(store))? != AUTHENTICATED.0 {
        return Err(OvmfError::Foreign { what: "store GUID" });
    }
    let size = le_u32(image, header_len + 16).ok_or(cut(store))? as usize;
    // Formatted, healthy.
    if take(image, header_len + 20).ok_or(cut(store))? != [0x5a, 0xfe] {
        return Err(OvmfError::Damaged { what: "store state" });
    }
    let end = header_len + size;
    if size < STORE_HEADER || end > image.len() || end as u64 > volume_len {
        return Err(OvmfError::Damaged { what: "store size" });
    }
    Ok((header_len + STORE_HEADER).next_multiple_of(4)..end)
}

/// One variable as it lies in the store, living or dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Position of its header in the image.
    pub(super) at: usize,
    /// State byte.
    pub(super) state: u8,
    /// Attributes.
    pub(super) attributes: u32,
    /// Name; `None` if it is no UTF-16 with a NUL.
    pub(super) name: Option<VarName>,
    /// Position of its data.
    pub(super) data: Range<usize>,
}

impl Record {
    /// Whether it holds a value, if no later record of its name does.
    pub(super) fn lives(&self) -> bool {
        self.state == ADDED || self.state == IN_TRANSITION
    }

    pub(super) fn settled(&self) -> bool {
        self.state == ADDED
    }

    /// Position behind it, aligned as the next header must be.
    pub(super) fn end(&self) -> usize {
        self.data.end.next_multiple_of(4)
    }
}

/// All records, and the position behind the last. The walk ends where no header begins, as in the firmware.
pub(super) fn walk(image: &[u8], store: &Range<usize>) -> Result<(Vec<Record>, usize), OvmfError> {
    let mut records = Vec::new();
    let mut at = store.start;
    while at + VAR_HEADER <= store.end && le_u16(image, at) == Some(START) {
        let record = read_record(image, at).filter(|record| record.data.end <= store.end);
        let record = record.ok_or(OvmfError::Variable { at })?;
        at = record.end();
        records.push(record);
    }
    Ok((records, at.min(store.end)))
}

fn read_record(image: &[u8], at: usize) -> Option<Record> {
    let name_len = le_u32(image, at + 36)? as usize;
    let data_len = le_u32(image, at + 40)? as usize;
    let vendor = Guid(take(image, at + 44)?);
    let data_at = at.checked_add(VAR_HEADER)?.checked_add(name_len)?;
    let data = data_at..data_at.checked_add(data_len)?;
    let text = image.get(at + VAR_HEADER..data_at)?;
    image.get(data.clone())?;
    let [state] = take(image, at + 2)?;
    let name = decode_name(text).map(|name| VarName { vendor, name });
    Some(Record { at, state, attributes: le_u32(image, at + 4)?, name, data })
}

fn decode_name(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let (&0, text) = units.split_last()? else { return None };
    bytes.len().is_multiple_of(2).then_some(String::from_utf16(text).ok()?)
}

/// Bytes of a living record, padded to the alignment with ones, as erased flash is.
pub(super) fn encode_record(name: &VarName, var: &Var) -> Vec<u8> {
    let text: Vec<u8> = name.name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let mut out = vec![0_u8; VAR_HEADER];
    put(&mut out, 0, &START.to_le_bytes());
    put(&mut out, 2, &[ADDED]);
    put(&mut out, 4, &var.attributes.to_le_bytes());
    put(&mut out, 36, &u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    put(&mut out, 40, &u32::try_from(var.data.len()).unwrap_or(u32::MAX).to_le_bytes());
    put(&mut out, 44, &name.vendor.0);
    out.extend_from_slice(&text);
    out.extend_from_slice(&var.data);
    out.resize(out.len().next_multiple_of(4), 0xff);
    out
}
