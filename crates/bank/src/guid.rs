//! GUIDs in the mixed-endian form of GPT and UEFI (UEFI 2.10, appendix A).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A GUID as its 16 bytes lie on disk: the first three groups little-endian, the last two as written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Guid(pub [u8; 16]);

/// Order in which the bytes on disk appear in the text.
const TEXT_ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

impl Guid {
    /// The nil GUID: an unused partition entry.
    pub const NIL: Self = Self([0; 16]);

    /// A random GUID (RFC 9562, version 4) from 16 random bytes that the caller brings.
    #[must_use]
    pub fn from_random(mut random: [u8; 16]) -> Self {
        random[7] = (random[7] & 0x0f) | 0x40;
        random[8] = (random[8] & 0x3f) | 0x80;
        Self(random)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, index) in TEXT_ORDER.into_iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0[index])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guid({self})")
    }
}

impl FromStr for Guid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a GUID: the form is 8-4-4-4-12 hexadecimal digits");
        let bytes = text.as_bytes();
        let dash_at = [8, 13, 18, 23];
        let dashed = dash_at.iter().all(|&at| bytes.get(at) == Some(&b'-'));
        let digits: Vec<u8> = bytes.iter().copied().filter(|&byte| byte != b'-').collect();
        if bytes.len() != 36 || !dashed || digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        let mut out = [0_u8; 16];
        for (index, pair) in TEXT_ORDER.into_iter().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            out[index] = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(out))
    }
}

impl Serialize for Guid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_esp_type_is_written_mixed_endian() {
        let text = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
        let guid: Result<Guid, _> = text.parse();
        assert_eq!(guid.map(|g| g.0[..8].to_vec()), Ok(vec![0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11]));
        assert_eq!(text.parse::<Guid>().map(|g| g.to_string()), Ok(text.to_owned()));
        assert!("c12a7328f81f11d2ba4b00a0c93ec93b----".parse::<Guid>().is_err());
    }
}
