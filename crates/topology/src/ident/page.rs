//! Vital product data: pages 0x80 (serial number) and 0x83 (device identification) of SPC-5, 7.7.
//!
//! Owns: the bytes as `vpd_pg80` and `vpd_pg83` of sysfs hold them. Promises: a page that is cut or lies about its
//! lengths gives what stands before the damage, and an error that names the byte; no length is believed.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::{DiskId, IdKind};
use super::token::token;

/// Largest page that is read: the length field has 16 bits.
pub(crate) const PAGE: usize = 4 + 65535;

/// Most designators of one page; real ones have up to a dozen.
const DESIGNATORS: usize = 256;

/// What is wrong with a page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VpdError {
    /// Shorter than its head.
    #[error("the page has {len} bytes, its head alone has 4")]
    Short {
        /// Bytes that are there.
        len: usize,
    },
    /// Another page.
    #[error("the page says it is 0x{found:02x}, wanted is 0x{wanted:02x}")]
    Page {
        /// Code in the page.
        found: u8,
        /// Code that was asked for.
        wanted: u8,
    },
    /// Its bytes end before its length.
    #[error("the page is cut at byte {at}: {says} bytes were announced")]
    Cut {
        /// Where the bytes end.
        at: usize,
        /// What the length field says, head included.
        says: usize,
    },
    /// A designator goes beyond the page.
    #[error("the designator at byte {at} goes beyond the page")]
    Designator {
        /// Where it begins.
        at: usize,
    },
    /// More of them than any device has.
    #[error("more than {DESIGNATORS} designators")]
    Many,
}

/// What a designator names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Association {
    /// The logical unit.
    Lun,
    /// The port through which the page was read.
    Port,
    /// The device that holds the port.
    Device,
    /// A reserved value.
    Reserved,
}

/// Content of a designator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DesignatorKind {
    /// An id: NAA, EUI-64, T10, SCSI name string, UUID.
    Id(DiskId),
    /// Vendor specific text, or digits of its bytes.
    Vendor(String),
    /// Number of the port.
    RelativePort(u16),
    /// Group of target ports (ALUA).
    PortGroup(u16),
    /// Group of LUNs.
    LunGroup(u16),
    /// Another type, or a value that does not fit its type.
    Other(u8),
}

/// One designator of page 0x83.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Designator {
    /// What it names.
    pub association: Association,
    /// Its content.
    pub kind: DesignatorKind,
}

/// The body of a page, and what is wrong with its length.
fn body(bytes: &[u8], wanted: u8) -> (&[u8], Option<VpdError>) {
    let Some((&[_, found, high, low], rest)) = bytes.split_first_chunk::<4>() else {
        return (&[], Some(VpdError::Short { len: bytes.len() }));
    };
    if found != wanted {
        return (&[], Some(VpdError::Page { found, wanted }));
    }
    let says = usize::from(u16::from_be_bytes([high, low]));
    match rest.get(..says) {
        Some(body) => (body, None),
        None => (rest, Some(VpdError::Cut { at: bytes.len(), says: says + 4 })),
    }
}

/// The serial number of page 0x80; none when it is blank. A cut page gives no serial: half a serial is another one.
pub fn decode_page_80(bytes: &[u8]) -> Result<Option<String>, VpdError> {
    let (body, damage) = body(bytes, 0x80);
    if let Some(damage) = damage {
        return Err(damage);
    }
    Ok(words(body))
}

/// The designators of page 0x83 that are whole, and what is wrong with the page.
pub fn decode_page_83(bytes: &[u8]) -> (Vec<Designator>, Option<VpdError>) {
    let (body, damage) = body(bytes, 0x83);
    let mut designators = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let at = 4 + body.len() - rest.len();
        let Some((&[protocol, flags, _, len], after)) = rest.split_first_chunk::<4>() else {
            return (designators, damage.or(Some(VpdError::Designator { at })));
        };
        let Some((value, next)) = after.split_at_checked(usize::from(len)) else {
            return (designators, damage.or(Some(VpdError::Designator { at })));
        };
        if designators.len() == DESIGNATORS {
            return (designators, Some(VpdError::Many));
        }
        let association = match (flags >> 4) & 3 {
            0 => Association::Lun,
            1 => Association::Port,
            2 => Association::Device,
            _ => Association::Reserved,
        };
        designators.push(Designator { association, kind: designator(flags & 15, protocol & 15, value) });
        rest = next;
    }
    (designators, damage)
}

/// Type by type; `set` is the code set: 1 binary, 2 ASCII, 3 UTF-8.
fn designator(kind: u8, set: u8, value: &[u8]) -> DesignatorKind {
    let other = DesignatorKind::Other(kind);
    let id = |kind: IdKind, text: &str| DiskId::new(kind, text).map_or(other.clone(), DesignatorKind::Id);
    let group = |make: fn(u16) -> DesignatorKind| match value {
        &[_, _, high, low] => make(u16::from_be_bytes([high, low])),
        _ => other.clone(),
    };
    match kind {
        0 if set == 1 => DesignatorKind::Vendor(hex(value)),
        0 => words(value).map_or(other, DesignatorKind::Vendor),
        1 if set == 1 => id(IdKind::T10, &hex(value)),
        1 => words(value).map_or(other.clone(), |text| id(IdKind::T10, &token(&text))),
        2 if set == 1 => id(IdKind::Eui, &hex(value)),
        3 if set == 1 => match value.first().map(|first| first >> 4) {
            Some(2 | 3 | 5) if value.len() == 8 => id(IdKind::Naa, &hex(value)),
            Some(6) if value.len() == 16 => id(IdKind::Naa, &hex(value)),
            _ => other,
        },
        4 => group(DesignatorKind::RelativePort),
        5 => group(DesignatorKind::PortGroup),
        6 => group(DesignatorKind::LunGroup),
        8 => words(value).map_or(other.clone(), |text| name_string(&text).map_or(other, DesignatorKind::Id)),
        10 => match value.split_first_chunk::<2>() {
            Some((&[0x10, _], uuid)) if uuid.len() == 16 => id(IdKind::Uuid, &dashed(&hex(uuid))),
            _ => other,
        },
        _ => other,
    }
}

/// A SCSI name string: `naa.`, `eui.`, `uuid.` or `iqn.`.
pub(crate) fn name_string(text: &str) -> Option<DiskId> {
    let (head, rest) = text.split_once('.')?;
    match head {
        "naa" => DiskId::new(IdKind::Naa, rest).ok(),
        "eui" => DiskId::new(IdKind::Eui, rest).ok(),
        "uuid" => DiskId::new(IdKind::Uuid, rest).ok(),
        _ => DiskId::new(IdKind::Name, text).ok(),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from_digit(u32::from(number), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn dashed(hex: &str) -> String {
    let cut = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", cut(0, 8), cut(8, 12), cut(12, 16), cut(16, 20), cut(20, 32))
}

/// Text without the blanks and zeros around it; none when nothing remains or it is not printable.
fn words(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_matches(|c: char| c == ' ' || c == '\0');
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
