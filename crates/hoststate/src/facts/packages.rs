//! Installed packages, for information: a person sees what the host had.

use serde::{Deserialize, Serialize};

use crate::root::{Root, RootError};

/// One installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// What the package manager says of it, such as `install ok installed` or `hold ok installed`.
    pub state: String,
}

/// Reads the database of dpkg, which is text. The database of rpm is read by its program: the caller hands that list over.
pub fn read_packages(root: &Root) -> Result<Vec<Package>, RootError> {
    let Some(bytes) = root.read("var/lib/dpkg/status", 256 << 20)? else { return Ok(Vec::new()) };
    let text = String::from_utf8_lossy(&bytes);
    let mut packages: Vec<Package> = text.split("\n\n").filter_map(package).collect();
    packages.sort();
    Ok(packages)
}

fn package(stanza: &str) -> Option<Package> {
    let field = |key: &str| {
        stanza
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    Some(Package {
        name: field("Package")?,
        version: field("Version").unwrap_or_default(),
        arch: field("Architecture").unwrap_or_default(),
        state: field("Status").unwrap_or_default(),
    })
}
