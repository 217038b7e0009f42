//! The index of a package release: `lifeboat.packages/1`.
//!
//! Owns: its words, its JSON form and its bounds. Promises: after [`PackageIndex::parse`] every file name is a plain
//! one, no package is named twice, and every sum fits. Does not: read packages.

use std::collections::BTreeSet;

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};

use super::error::PackagesError;
use super::header::{BLOCK, padded};

/// Name of the index's form.
pub const PACKAGES_SCHEMA: &str = "lifeboat.packages/1";
/// Name of the index in the archive.
pub const INDEX_NAME: &str = "index.json";
/// Most packages of one release, and most names of its list of removals.
pub const MAX_PACKAGES: usize = 10_000;
/// Longest index, in bytes.
pub const MAX_PACKAGES_INDEX: u64 = 4 << 20;
/// Longest package, in bytes.
pub const MAX_PACKAGE_BYTES: u64 = 4 << 30;
/// Longest file name: what a header of the archive has room for.
const MAX_FILE: usize = 100;
const MAX_NAME: usize = 128;
const MAX_VERSION: usize = 128;
const MAX_ARCH: usize = 32;

/// Which package manager takes the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageFormat {
    /// Debian's dpkg.
    Deb,
    /// rpm.
    Rpm,
}

impl PackageFormat {
    /// How file names end, and what people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Rpm => "rpm",
        }
    }
}

/// When a host has to be rebooted for the release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebootRule {
    /// In any case.
    #[default]
    Always,
    /// If something that runs was replaced. A roll reboots each host all the same: it judges a host by its next boot.
    IfNeeded,
}

impl RebootRule {
    /// The word that people read.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::IfNeeded => "if-needed",
        }
    }
}

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageEntry {
    /// Name of its file, without a folder.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Its version, with epoch and release where there are any.
    pub version: String,
    /// Its architecture as the package manager calls it.
    pub arch: String,
    /// Bytes of its file.
    pub size: u64,
    /// SHA-256 of its file.
    pub sha256: Sha256Hex,
}

/// What a package release is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageIndex {
    /// [`PACKAGES_SCHEMA`].
    pub schema: String,
    /// The package manager.
    pub format: PackageFormat,
    /// When a reboot is due.
    pub reboot: RebootRule,
    /// By file name.
    pub packages: Vec<PackageEntry>,
    /// Packages that are removed, by name.
    pub remove: Vec<String>,
}

impl PackageIndex {
    /// An index of these packages; puts them in order and checks them.
    pub fn new(
        format: PackageFormat,
        reboot: RebootRule,
        mut packages: Vec<PackageEntry>,
        mut remove: Vec<String>,
    ) -> Result<Self, PackagesError> {
        packages.sort_by(|one, two| one.file.cmp(&two.file));
        remove.sort();
        let index = Self { schema: PACKAGES_SCHEMA.to_owned(), format, reboot, packages, remove };
        index.check()?;
        Ok(index)
    }

    /// The JSON form: fields in the order of this struct, no spaces.
    pub fn encode(&self) -> Result<Vec<u8>, PackagesError> {
        serde_json::to_vec(self).map_err(PackagesError::Json)
    }

    /// Reads and checks the JSON form.
    pub fn parse(bytes: &[u8]) -> Result<Self, PackagesError> {
        /// Asked before the rest, so that a newer form is named as such and not called damaged.
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let form: Form = serde_json::from_slice(bytes).map_err(PackagesError::Json)?;
        if form.schema != PACKAGES_SCHEMA {
            return Err(PackagesError::Schema { found: shown(&form.schema) });
        }
        let index: Self = serde_json::from_slice(bytes).map_err(PackagesError::Json)?;
        index.check()?;
        if index.encode()? != bytes {
            return Err(PackagesError::NotCanonical);
        }
        Ok(index)
    }

    /// Whether every text, order and sum is possible.
    pub fn check(&self) -> Result<(), PackagesError> {
        let impossible = |what: String, rule| Err(PackagesError::List { what, rule });
        if self.packages.is_empty() {
            return impossible("it is empty".to_owned(), "a release has at least one package");
        }
        if self.packages.len() > MAX_PACKAGES || self.remove.len() > MAX_PACKAGES {
            let what = format!("{} packages, {} removals", self.packages.len(), self.remove.len());
            return impossible(what, "at most 10,000 of each are possible");
        }
        let mut names = BTreeSet::new();
        let mut before = "";
        for package in &self.packages {
            check_package(self.format, package)?;
            if package.file.as_str() <= before {
                return impossible(package.file.clone(), "file names must rise, and none comes twice");
            }
            before = &package.file;
            if !names.insert((package.name.as_str(), package.arch.as_str())) {
                return impossible(package.name.clone(), "one package must not be there in two versions");
            }
        }
        let mut before = "";
        for name in &self.remove {
            check_text("name", name, MAX_NAME, NAME_RULE, is_name)?;
            if name.as_str() <= before {
                return impossible(name.clone(), "names of removals must rise, and none comes twice");
            }
            before = name;
            if names.iter().any(|(known, _)| known == name) {
                return impossible(name.clone(), "a package cannot be installed and removed at once");
            }
        }
        Ok(())
    }

    /// Bytes of all packages.
    #[must_use]
    pub fn package_bytes(&self) -> u64 {
        self.packages.iter().fold(0, |sum, package| sum.saturating_add(package.size))
    }

    /// Bytes of the archive that begins with an index of this length.
    #[must_use]
    pub(super) fn archive_len(&self, index_len: u64) -> u64 {
        let files = self.packages.iter().map(|package| package.size);
        let entry = |len: u64| BLOCK.saturating_add(padded(len));
        // 10,001 entries of at most 4 GiB: far below 2^64.
        files.fold(entry(index_len), |sum, len| sum.saturating_add(entry(len))).saturating_add(2 * BLOCK)
    }
}

const NAME_RULE: &str = "1 to 128 letters, digits and + . _ - are, beginning with a letter or digit";

fn check_package(format: PackageFormat, package: &PackageEntry) -> Result<(), PackagesError> {
    let PackageEntry { file, name, version, arch, size, sha256: _ } = package;
    check_text("name", name, MAX_NAME, NAME_RULE, is_name)?;
    check_text("version", version, MAX_VERSION, "1 to 128 letters, digits and + . _ - ~ : ^ are", |byte| {
        is_name(byte) || b"~:^".contains(&byte)
    })?;
    check_text("architecture", arch, MAX_ARCH, "1 to 32 letters, digits and _ - are", |byte| {
        byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
    })?;
    check_text(
        "file",
        file,
        MAX_FILE,
        "a name of at most 100 letters, digits and + . _ - ~ : ^ % without a folder is",
        |byte| is_name(byte) || b"~:^%".contains(&byte),
    )?;
    let ends = file.rsplit_once('.').is_some_and(|(_, end)| end == format.word());
    if !ends {
        let rule = "files of a release end with .deb, or all with .rpm";
        return Err(PackagesError::Text { field: "file", value: shown(file), rule });
    }
    if *size == 0 || *size > MAX_PACKAGE_BYTES {
        return Err(PackagesError::List { what: file.clone(), rule: "a package has 1 byte to 4 GiB" });
    }
    Ok(())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+._-".contains(&byte)
}

fn check_text(
    field: &'static str,
    value: &str,
    most: usize,
    rule: &'static str,
    allowed: impl Fn(u8) -> bool,
) -> Result<(), PackagesError> {
    let begins = value.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if begins && value.len() <= most && value.bytes().all(allowed) {
        return Ok(());
    }
    Err(PackagesError::Text { field, value: shown(value), rule })
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}
