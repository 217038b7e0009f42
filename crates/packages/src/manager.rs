//! What a package manager is asked, whichever it is.
//!
//! Owns: the trait [`Manager`] and its words. Promises: asking changes nothing; a step given twice is done once, because
//! each step looks first what is left of it. Does not: run steps; [`crate::apply`] does.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use lifeboat_model::Finding;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::conffiles::Conffile;
use crate::error::{PackageError, at};
use crate::plan::{Change, Step, WayBack};

/// Which package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ManagerKind {
    /// dpkg, with or without apt.
    Dpkg,
    /// rpm, with or without dnf or yum.
    Rpm,
}

/// One package in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Its version.
    pub version: String,
    /// Whether it is whole: installed and configured.
    pub whole: bool,
    /// Its state as the database says it.
    pub state: String,
}

/// Something between two states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// Code of the finding.
    pub code: String,
    /// The package, or the database.
    pub subject: String,
    /// What was seen.
    pub evidence: String,
}

/// A package file and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageFile {
    /// The file.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Size of the file.
    pub bytes: u64,
    /// Paths it brings, with their sizes.
    pub files: Vec<(String, u64)>,
    /// Its configuration files.
    pub conffiles: Vec<String>,
    /// Names it needs before it is unpacked.
    pub pre_depends: Vec<String>,
}

impl PackageFile {
    /// Whether it brings a kernel, and hence will have an initial RAM disk made.
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.files.iter().any(|(path, _)| path.starts_with("/boot/vmlinu") || path.ends_with("/vmlinuz"))
    }
}

/// A package manager.
pub(crate) trait Manager: std::fmt::Debug {
    /// Which.
    fn kind(&self) -> ManagerKind;
    /// The folder of its database.
    fn database(&self) -> &Path;
    /// How its package files end.
    fn ending(&self) -> &'static str;
    /// All installed packages, broken ones included.
    fn installed(&self) -> Result<Vec<Installed>, PackageError>;
    /// Looks into a package file.
    fn inspect(&self, path: &Path) -> Result<PackageFile, PackageError>;
    /// What is between two states.
    fn audit(&self) -> Result<Vec<Defect>, PackageError>;
    /// Whether `files` can be installed as they are, and by which steps.
    fn order(&self, files: &[PackageFile]) -> Result<(Vec<Step>, Vec<Finding>), PackageError>;
    /// Steps to the old versions in `folder`.
    fn order_back(&self, changes: &[Change], folder: &Path) -> Result<Vec<Step>, PackageError>;
    /// Steps that end what somebody else left.
    fn mend(&self, folder: &Path) -> Result<Vec<Step>, PackageError>;
    /// The call for what is left of `step`; none when nothing is.
    fn command(
        &self,
        step: &Step,
        folder: &Path,
        changes: &[Change],
    ) -> Result<Option<Command>, PackageError>;
    /// Whether the installed version of a package can be kept.
    fn way_back(
        &self,
        name: &str,
        arch: &str,
        version: &str,
        folders: &[PathBuf],
    ) -> Result<WayBack, PackageError>;
    /// Rebuilds the package of the installed version in `folder`.
    fn rebuild(&self, name: &str, arch: &str, folder: &Path) -> Result<PathBuf, PackageError>;
    /// Configuration files of `file` that were changed on this host.
    fn changed_conffiles(&self, file: &PackageFile) -> Result<Vec<Conffile>, PackageError>;
    /// Endings of copies that the package manager leaves beside a configuration file.
    fn leftover_endings(&self) -> &'static [&'static str];
    /// Installed paths of a package.
    fn paths_of(&self, name: &str, arch: &str) -> Result<Vec<String>, PackageError>;
    /// Whether versions of this package live side by side, as rpm's kernels do.
    fn is_beside(&self, name: &str) -> bool;
    /// Compares two versions as the package manager does.
    fn is_newer(&self, version: &str, than: &str) -> Result<bool, PackageError>;
}

/// SHA-256 and size of a file.
pub(crate) fn fingerprint(path: &Path) -> Result<(String, u64), PackageError> {
    let mut file = File::open(path).map_err(at("opening", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let got = file.read(&mut buffer).map_err(at("reading", path))?;
        let Some(part) = buffer.get(..got).filter(|part| !part.is_empty()) else { break };
        hasher.update(part);
        bytes += got as u64;
    }
    Ok((hex(&hasher.finalize()), bytes))
}

/// Hexadecimal digits of bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
