//! Image profiles, and the names that payloads have in a boot bank.
//!
//! Owns: [`Profile`], and the rule of boot names. Promises: the map from payload to boot file in a profile is data
//! and is never recomputed; the rule only tells where a map departs from it. Does not: know what a host has.

use serde::Serialize;
use thiserror::Error;

use crate::level::Level;
use crate::limits::Limits;
use crate::vibid::VibId;
use crate::xml::{self, Element, XmlError};

/// Names that do not follow the rule.
const FIXED: [&str; 3] = ["jumpstrt.gz", "useropts.gz", "features.gz"];

/// What is wrong with a profile.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// Not a document that can be read.
    #[error("reading the image profile")]
    Xml(#[from] XmlError),
    /// No name.
    #[error("the image profile has no <{element}>")]
    Missing {
        /// Name of the element.
        element: &'static str,
    },
}

/// A payload of a profile's VIB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BootFile {
    /// Name of the payload.
    pub payload: String,
    /// Name of the file in the bank.
    pub file: String,
}

/// A VIB of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProfileVib {
    /// Its id.
    pub id: VibId,
    /// Its payloads; empty when the profile has no map.
    pub payloads: Vec<BootFile>,
}

/// An image profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// Name, may hold any text.
    pub name: String,
    /// Who made it.
    pub creator: String,
    /// Id of this edition.
    pub id: String,
    /// As found.
    pub created: String,
    /// As found.
    pub modified: String,
    /// The level that it claims.
    pub level: Option<Level>,
    /// VIBs, in their order.
    pub vibs: Vec<ProfileVib>,
    /// Ids of bulletins.
    pub bulletins: Vec<String>,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, ProfileError> {
        let root = xml::parse(bytes, "imageprofile", limits)?;
        if root.text_of("name").is_empty() {
            return Err(ProfileError::Missing { element: "name" });
        }
        let vibs = root.child("viblist").into_iter().flat_map(|list| list.all("vib"));
        let vibs: Vec<ProfileVib> = vibs.filter_map(vib).collect();
        let bulletins = root.child("bulletinlist").into_iter().flat_map(|list| list.all("bulletin-id"));
        Ok(Self {
            name: root.text_of("name").to_owned(),
            creator: root.text_of("creator").to_owned(),
            id: root.text_of("profileID").to_owned(),
            created: root.text_of("creationtime").to_owned(),
            modified: root.text_of("modifiedtime").to_owned(),
            level: root.text_of("acceptancelevel").parse().ok(),
            vibs,
            bulletins: bulletins.map(|element| element.text.clone()).collect(),
        })
    }

    /// Boot files whose names are not as the rule would make them.
    pub fn departures(&self) -> impl Iterator<Item = &BootFile> {
        self.vibs.iter().flat_map(|vib| &vib.payloads).filter(|boot| !follows_rule(&boot.payload, &boot.file))
    }
}

fn vib(element: &Element) -> Option<ProfileVib> {
    let id = element.text_of("vib-id");
    let payloads = element.child("payloads").into_iter().flat_map(|list| list.all("payload"));
    let payloads = payloads.map(|payload| BootFile {
        payload: payload.attribute("payload-name").unwrap_or_default().to_owned(),
        file: payload.text.clone(),
    });
    (!id.is_empty()).then(|| ProfileVib { id: VibId::new(id), payloads: payloads.collect() })
}

/// The part of a boot file's name in front of the dot: lower case, every character outside `a-z 0-9 _ .` an
/// underscore, the first eight.
#[must_use]
pub fn boot_stem(payload: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '.' { c } else { '_' };
    payload.chars().map(|c| plain(c.to_ascii_lowercase())).take(8).collect()
}

/// Whether a map entry is as the rule would make it, with any counter. For a report only.
#[must_use]
pub fn follows_rule(payload: &str, file: &str) -> bool {
    if FIXED.contains(&file) {
        return true;
    }
    let Some((stem, kind)) = file.rsplit_once('.') else { return false };
    let mut kind = kind.chars();
    let letter = kind.next().is_some_and(|c| c.is_ascii_lowercase());
    let counter = kind.clone().count() == 2 && kind.all(|c| c.is_ascii_alphanumeric());
    letter && counter && stem == boot_stem(payload)
}
