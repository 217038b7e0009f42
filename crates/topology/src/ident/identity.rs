//! A disk, or a partition of it.
//!
//! Owns: the text form, `naa.5000c50015ea71aa` or `naa.5000c50015ea71aa-part1`, which stands in backups and JSON.
//! Promises: reading and writing are inverse.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::id::DiskId;

/// Most partitions of one disk that a number may name.
const PARTITIONS: u32 = 4096;

/// What a device is known by, independent of its spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The disk, map or volume.
    pub disk: DiskId,
    /// Number of the partition; none for the whole.
    pub part: Option<u32>,
}

impl Identity {
    /// The whole of a disk.
    pub fn whole(disk: DiskId) -> Self {
        Self { disk, part: None }
    }

    /// A partition of a disk.
    pub fn part(disk: DiskId, number: u32) -> Self {
        Self { disk, part: Some(number) }
    }

    /// Whether the device keeps it when it is moved or the host is installed anew. If not, it is only a place or a name
    /// of today, and nothing should be restored by it without a person's word.
    pub fn is_durable(&self) -> bool {
        self.disk.kind().is_durable()
    }
}

/// Why a text is no identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Not `kind.value`.
    #[error("an identity is KIND.VALUE, for example naa.5000c50015ea71aa or naa.5000c50015ea71aa-part1")]
    Form,
    /// No such kind.
    #[error("the kind before the point is not known")]
    Kind,
    /// The value does not fit its kind.
    #[error("the value is not one of {kind}")]
    Value {
        /// Word of the kind.
        kind: &'static str,
    },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            None => self.disk.fmt(f),
            Some(number) => write!(f, "{}-part{number}", self.disk),
        }
    }
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if let Some((disk, number)) = text.rsplit_once("-part")
            && let Some(number) = part_number(number)
        {
            return Ok(Self::part(disk.parse()?, number));
        }
        Ok(Self::whole(text.parse()?))
    }
}

/// The number of a partition as names write it: from 1, without leading zeros.
pub(crate) fn part_number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|number| plain && (1..=PARTITIONS).contains(number))
}

impl Serialize for Identity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
