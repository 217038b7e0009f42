//! A store of firmware variables in memory, for the simulated pool and for tests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::vars::{Var, VarError, VarName, VarStore};
use crate::guid::Guid;

/// What goes wrong at a planned write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VarFault {
    /// The write fails and nothing changes.
    Fails,
    /// The write fails after it changed the variable.
    FailsAfterwards,
    /// The firmware says success and changes nothing.
    Lost,
    /// The firmware says success and stores half of the data.
    Torn,
}

/// Variables in memory. Its serde form is an object from `NAME-GUID` to attributes and hexadecimal data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemVars {
    vars: BTreeMap<String, Stored>,
    #[serde(skip)]
    writes: u64,
    #[serde(skip)]
    faults: BTreeMap<u64, VarFault>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    attributes: u32,
    #[serde(with = "hex")]
    data: Vec<u8>,
}

impl MemVars {
    /// A store without variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Plans `fault` for the write (set or delete) with this number, counted from 0 since the store was made.
    #[must_use]
    pub fn with_fault(mut self, at_write: u64, fault: VarFault) -> Self {
        self.faults.insert(at_write, fault);
        self
    }

    /// Writes and deletions asked for so far.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Drops what does not survive a reset: every variable without the attribute bit 0 (non-volatile).
    pub fn reset(&mut self) {
        self.vars.retain(|_, stored| stored.attributes & 1 == 1);
    }

    fn change(&mut self, name: &str, vendor: &Guid, value: Option<Stored>) -> Result<(), VarError> {
        let write = self.writes;
        self.writes += 1;
        let key = key(name, vendor);
        let planned = || VarError::Planned { write, name: name.to_owned() };
        let apply = |value: Option<Stored>| match value {
            Some(stored) => drop(self.vars.insert(key, stored)),
            None => drop(self.vars.remove(&key)),
        };
        match self.faults.get(&write) {
            None => apply(value),
            Some(VarFault::Fails) => return Err(planned()),
            Some(VarFault::Lost) => {}
            Some(VarFault::FailsAfterwards) => {
                apply(value);
                return Err(planned());
            }
            Some(VarFault::Torn) => apply(value.map(|mut stored| {
                stored.data.truncate(stored.data.len() / 2);
                stored
            })),
        }
        Ok(())
    }
}

fn key(name: &str, vendor: &Guid) -> String {
    format!("{name}-{vendor}")
}

impl VarStore for MemVars {
    fn get(&self, name: &str, vendor: &Guid) -> Result<Option<Var>, VarError> {
        let stored = self.vars.get(&key(name, vendor));
        Ok(stored.map(|stored| Var { attributes: stored.attributes, data: stored.data.clone() }))
    }

    fn set(&mut self, name: &str, vendor: &Guid, var: &Var) -> Result<(), VarError> {
        self.change(name, vendor, Some(Stored { attributes: var.attributes, data: var.data.clone() }))
    }

    fn delete(&mut self, name: &str, vendor: &Guid) -> Result<(), VarError> {
        self.change(name, vendor, None)
    }

    fn list(&self) -> Result<Vec<VarName>, VarError> {
        // A key that is no name with a GUID came from a file edited by hand; nothing can be asked about it.
        Ok(self.vars.keys().filter_map(|key| parse_key(key)).collect())
    }
}

fn parse_key(key: &str) -> Option<VarName> {
    let (name, vendor) = key.split_at_checked(key.len().checked_sub(36)?)?;
    Some(VarName { vendor: vendor.parse().ok()?, name: name.strip_suffix('-')?.to_owned() })
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::super::boot::hex(data))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom("the data of a variable is not pairs of hexadecimal digits");
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) || text.len() % 2 != 0 {
            return Err(wrong());
        }
        let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
        pairs.map(|pair| u8::from_str_radix(pair, 16).map_err(|_| wrong())).collect()
    }
}
