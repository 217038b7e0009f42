//! Names by which libvirt knows things, as they travel.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::xdr::{Decoder, Encoder, XdrError};

/// A UUID as libvirt writes it: 36 characters, lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Uuid([u8; 16]);

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no UUID; one has 32 hexadecimal digits")]
pub struct UuidError {
    /// The text.
    pub text: String,
}

impl Uuid {
    /// From its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if [4, 6, 8, 10].contains(&index) {
                to.write_str("-")?;
            }
            write!(to, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    fn from_str(text: &str) -> Result<Self, UuidError> {
        let wrong = || UuidError { text: text.chars().take(64).collect() };
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != '-')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(wrong))
            .collect::<Result<_, _>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        let bytes = bytes.try_into().map_err(|_| wrong())?;
        if rest.is_empty() { Ok(Self(bytes)) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Uuid {
    type Error = UuidError;

    fn try_from(text: String) -> Result<Self, UuidError> {
        text.parse()
    }
}

impl From<Uuid> for String {
    fn from(uuid: Uuid) -> Self {
        uuid.to_string()
    }
}

/// A domain, which is libvirt's word for a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name on this host.
    pub name: String,
    /// Its identity, the same on every host.
    pub uuid: Uuid,
    /// A number while it runs.
    pub id: Option<u32>,
}

/// A virtual network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Uuid,
}

/// A storage pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoragePool {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub uuid: Uuid,
}

/// A volume of a storage pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageVolume {
    /// Name of its pool.
    pub pool: String,
    /// Its name in it.
    pub name: String,
    /// Its identity; mostly its path.
    pub key: String,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeDevice {
    /// Its name.
    pub name: String,
}

/// A network interface of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
}

/// A checkpoint: a point in time from which changed blocks of a domain's disks are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its name.
    pub name: String,
    /// Whose.
    pub domain: Domain,
}

/// A value that travels in calls.
pub(crate) trait Travels: Sized {
    /// Fewest bytes that it takes.
    const SMALLEST: usize;
    fn encode(&self, to: &mut Encoder);
    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError>;
}

impl Travels for Uuid {
    const SMALLEST: usize = 16;

    fn encode(&self, to: &mut Encoder) {
        to.fixed(&self.0);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        from.array("a UUID").map(Self)
    }
}

impl Travels for Domain {
    const SMALLEST: usize = 24;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.name);
        self.uuid.encode(to);
        to.int(self.id.and_then(|id| i32::try_from(id).ok()).unwrap_or(-1));
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        let (name, uuid) = (from.string()?, Uuid::decode(from)?);
        Ok(Self { name, uuid, id: u32::try_from(from.int()?).ok() })
    }
}

impl Travels for Network {
    const SMALLEST: usize = 20;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.name);
        self.uuid.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: from.string()?, uuid: Uuid::decode(from)? })
    }
}

impl Travels for StoragePool {
    const SMALLEST: usize = 20;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.name);
        self.uuid.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: from.string()?, uuid: Uuid::decode(from)? })
    }
}

impl Travels for StorageVolume {
    const SMALLEST: usize = 12;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.pool);
        to.string(&self.name);
        to.string(&self.key);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { pool: from.string()?, name: from.string()?, key: from.string()? })
    }
}

impl Travels for NodeDevice {
    const SMALLEST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.name);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: from.string()? })
    }
}

impl Travels for Interface {
    const SMALLEST: usize = 8;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.name);
        to.string(&self.mac);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: from.string()?, mac: from.string()? })
    }
}

impl Travels for Checkpoint {
    const SMALLEST: usize = 4 + Domain::SMALLEST;

    fn encode(&self, to: &mut Encoder) {
        to.string(&self.name);
        self.domain.encode(to);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        Ok(Self { name: from.string()?, domain: Domain::decode(from)? })
    }
}

impl Travels for String {
    const SMALLEST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        to.string(self);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        from.string()
    }
}

impl Travels for i32 {
    const SMALLEST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        to.int(*self);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        from.int()
    }
}

impl Travels for u64 {
    const SMALLEST: usize = 8;

    fn encode(&self, to: &mut Encoder) {
        to.unsigned_hyper(*self);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        from.unsigned_hyper()
    }
}

impl Travels for bool {
    const SMALLEST: usize = 4;

    fn encode(&self, to: &mut Encoder) {
        to.flag(*self);
    }

    fn decode(from: &mut Decoder<'_>) -> Result<Self, XdrError> {
        from.flag()
    }
}
