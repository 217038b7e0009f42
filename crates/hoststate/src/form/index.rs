//! The index of a backup: what it is, of which host and product, and where its sections lie.

use lifeboat_model::Sha256Hex;
use serde::{Deserialize, Serialize};

/// The form of files that is written, and the highest that is read.
pub const FORM: u32 = 1;
/// The schema of the index.
pub const SCHEMA: &str = "lifeboat.host-state/1";

/// What a file was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The state of a host.
    Backup,
    /// What a restore writes.
    Redo,
    /// What was there before a restore wrote.
    Undo,
}

/// What runs on a host: the product whose version made the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Short name, such as `debian` or `xenserver`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Version, as its maker says it.
    pub version: String,
    /// Build, where the maker numbers builds.
    #[serde(default)]
    pub build: Option<String>,
    /// Where this was read.
    pub source: String,
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.version)?;
        match &self.build {
            Some(build) => write!(f, " build {build}"),
            None => Ok(()),
        }
    }
}

/// Which host it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Its name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// `/etc/machine-id`.
    #[serde(default)]
    pub machine_id: Option<String>,
    /// The machine's UUID as the firmware says it, lower case.
    #[serde(default)]
    pub dmi_uuid: Option<String>,
    /// The machine's serial number.
    #[serde(default)]
    pub dmi_serial: Option<String>,
    /// Maker and model.
    #[serde(default)]
    pub dmi_model: Option<String>,
    /// Release of the kernel that ran.
    #[serde(default)]
    pub kernel: Option<String>,
    /// Architecture.
    #[serde(default)]
    pub arch: Option<String>,
}

/// What is known of the boot banks, as the caller read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankFact {
    /// `A` or `B`.
    pub bank: String,
    /// State of the bank, as `lifeboat bank show` says it.
    pub state: String,
    /// The release in it.
    #[serde(default)]
    pub release: Option<String>,
    /// Whether it ran.
    #[serde(default)]
    pub active: bool,
}

/// When and by what a file was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Seconds since 1970.
    pub at: i64,
    /// The same for people, RFC 3339.
    pub time: String,
    /// The program and its version.
    pub by: String,
}

/// Something that is not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path, as text.
    pub path: String,
    /// Why.
    pub why: String,
}

/// Where a section lies, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectionInfo {
    /// Its name.
    pub name: String,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes in the file.
    pub stored: u64,
    /// SHA-256 of these bytes.
    pub sha256: Sha256Hex,
    /// Bytes of the unpacked stream.
    pub unpacked: u64,
    /// Entries.
    pub entries: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of content of its files, holes not counted.
    pub content: u64,
}

/// The index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`SCHEMA`].
    pub schema: String,
    /// What the file was written for.
    pub purpose: Purpose,
    /// The product and version that made the state.
    pub product: Product,
    /// The host.
    pub host: HostFacts,
    /// Its banks; empty on hosts without.
    #[serde(default)]
    pub banks: Vec<BankFact>,
    /// When and by what.
    pub made: Made,
    /// Sections, in the order in which they lie.
    pub sections: Vec<SectionInfo>,
    /// What is not in it, and why.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// How much more was left out than is listed.
    #[serde(default)]
    pub left_out_more: u64,
}

impl Index {
    /// The section of a name.
    pub fn section(&self, name: &str) -> Option<&SectionInfo> {
        self.sections.iter().find(|section| section.name == name)
    }
}
