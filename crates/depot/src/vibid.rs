//! Ids of VIBs.
//!
//! Owns: [`VibId`], `Vendor_type_name_version`. Promises: an id is compared as text; its parts are read back where
//! they can be. An id alone never proves that two VIBs are the same.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::version::VibVersion;

/// Types that ids are known to carry.
const TYPES: [&str; 3] = ["bootbank", "locker", "meta"];

/// An id as outputs, profiles and indexes name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VibId(String);

impl VibId {
    /// From the four parts.
    #[must_use]
    pub fn of(vendor: &str, kind: &str, name: &str, version: &str) -> Self {
        Self(format!("{vendor}_{kind}_{name}_{version}"))
    }

    /// As it is written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Vendor, type, name and version, if the id has the form. The type is one of those known; the version is
    /// behind the last underscore.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, &str, &str, &str)> {
        let split = |kind: &&str| {
            let (vendor, rest) = self.0.split_once(&format!("_{kind}_"))?;
            let (name, version) = rest.rsplit_once('_')?;
            let kind = self.0.get(vendor.len() + 1..vendor.len() + 1 + kind.len())?;
            (!vendor.is_empty() && !name.is_empty() && !version.is_empty())
                .then_some((vendor, kind, name, version))
        };
        TYPES.iter().filter_map(split).min_by_key(|(vendor, ..)| vendor.len())
    }

    /// The version, if the id has the form.
    #[must_use]
    pub fn version(&self) -> Option<VibVersion> {
        self.parts().map(|(.., version)| VibVersion::new(version))
    }
}

impl fmt::Display for VibId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for VibId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
