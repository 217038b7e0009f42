//! Load options (UEFI 2.10 §3.1.3): the content of `Boot####`, and the lists of their numbers.

use super::path::{DevicePath, PathError};

/// LOAD_OPTION_ACTIVE: the boot manager tries the entry.
const ACTIVE: u32 = 1;

/// Why bytes are no load option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadOptionError {
    /// Fewer bytes than the fixed part, the text or the path announce.
    #[error("the boot entry ends inside its {what}")]
    Truncated {
        /// Part that is cut off.
        what: &'static str,
    },
    /// The description is not UTF-16.
    #[error("the boot entry's description is no UTF-16 text")]
    Description,
    /// The device path cannot be read.
    #[error("the boot entry's device path cannot be read")]
    Path(#[source] PathError),
    /// A list of numbers with half a number.
    #[error("a list of boot entries has {length} bytes, which is not a number of 16-bit words")]
    OddList {
        /// Length of the list.
        length: usize,
    },
}

/// A boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    /// Whether the boot manager tries it.
    pub active: bool,
    /// Attribute bits besides the active one.
    pub other_attributes: u32,
    /// Text for people.
    pub description: String,
    /// Where the program lies.
    pub path: DevicePath,
    /// Bytes handed to the program.
    pub optional: Vec<u8>,
}

impl LoadOption {
    /// An active entry without optional data.
    #[must_use]
    pub fn new(description: &str, path: DevicePath) -> Self {
        let description = description.to_owned();
        Self { active: true, other_attributes: 0, description, path, optional: Vec::new() }
    }

    /// Bytes of the variable.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let path = self.path.encode();
        let attributes = (self.other_attributes & !ACTIVE) | u32::from(self.active);
        let mut out = attributes.to_le_bytes().to_vec();
        out.extend_from_slice(&u16::try_from(path.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend(self.description.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        out.extend_from_slice(&path);
        out.extend_from_slice(&self.optional);
        out
    }

    /// Reads the bytes of a variable.
    pub fn decode(bytes: &[u8]) -> Result<Self, LoadOptionError> {
        let &[a, b, c, d, low, high, ref rest @ ..] = bytes else {
            return Err(LoadOptionError::Truncated { what: "header" });
        };
        let attributes = u32::from_le_bytes([a, b, c, d]);
        let path_len = usize::from(u16::from_le_bytes([low, high]));
        let units = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let text: Vec<u16> = units.take_while(|&unit| unit != 0).collect();
        let path_at = text.len() * 2 + 2;
        let path_end = path_at + path_len;
        if rest.len() < path_at {
            return Err(LoadOptionError::Truncated { what: "description" });
        }
        let path = rest.get(path_at..path_end).ok_or(LoadOptionError::Truncated { what: "device path" })?;
        Ok(Self {
            active: attributes & ACTIVE == ACTIVE,
            other_attributes: attributes & !ACTIVE,
            description: String::from_utf16(&text).map_err(|_| LoadOptionError::Description)?,
            path: DevicePath::decode(path).map_err(LoadOptionError::Path)?,
            optional: rest.get(path_end..).unwrap_or_default().to_vec(),
        })
    }
}

/// Name of the variable of entry `number`: `Boot` and four upper-case hexadecimal digits.
#[must_use]
pub fn boot_entry_name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number in a name `Boot####`; `None` for any other name, also for one in lower case.
#[must_use]
pub fn boot_entry_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot")?;
    let written_so = digits.len() == 4 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    if written_so { u16::from_str_radix(digits, 16).ok() } else { None }
}

/// Bytes of `BootOrder`, `BootNext` or `BootCurrent`.
#[must_use]
pub fn encode_numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Numbers in the bytes of `BootOrder`, `BootNext` or `BootCurrent`.
pub fn decode_numbers(bytes: &[u8]) -> Result<Vec<u16>, LoadOptionError> {
    if !bytes.len().is_multiple_of(2) {
        return Err(LoadOptionError::OddList { length: bytes.len() });
    }
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}
