//! `/lifeboat/bank.json` on a boot volume: what this bank holds.
//!
//! Owns: that file's form. Promises: with it alone a bank can be verified and a lost bank record be rebuilt. Does
//! not: say how good the bank is (that is the record's word), nor carry a signature.

use lifeboat_model::io::ReadAt;
use lifeboat_model::{Bank, ReleaseRef, Sha256Hex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fat::FatVolume;
use crate::layout::Partition;
use crate::verity::Verity;

/// Path on the boot volume.
pub const MANIFEST_PATH: &str = "lifeboat/bank.json";
/// Path of the unified kernel image on the boot volume: the removable-media path of UEFI 2.10, section 3.5.1.1.
pub const UKI_PATH: &str = "EFI/BOOT/BOOTX64.EFI";
/// Longest manifest that is read.
pub const MANIFEST_LIMIT: u64 = 64 << 10;
/// The form written here.
const SCHEMA: u32 = 1;

/// What a bank holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankManifest {
    /// Version of this form: 1.
    pub schema: u32,
    /// The bank that this was written for.
    pub bank: Bank,
    /// The release in it.
    pub release: ReleaseRef,
    /// Counter of installs on this disk at the time.
    pub updated: u32,
    /// Digest of the unified kernel image.
    pub boot_sha256: Sha256Hex,
    /// Bytes of the unified kernel image.
    pub boot_len: u64,
    /// Digest of the root image.
    pub root_sha256: Sha256Hex,
    /// Bytes of the root image.
    pub root_len: u64,
    /// Hash tree at the end of the root image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
}

/// Why a manifest could not be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not the JSON of a manifest.
    #[error("reading the bank's manifest /{MANIFEST_PATH}")]
    Parse {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer Lifeboat.
    #[error("the bank's manifest has schema {found}; this program knows {SCHEMA}: use a newer Lifeboat")]
    Newer {
        /// Its schema.
        found: u32,
    },
    /// The manifest of the other bank.
    #[error("the manifest in bank {found_in} was written for bank {says}")]
    WrongBank {
        /// Where it lies.
        found_in: Bank,
        /// What it says.
        says: Bank,
    },
}

/// The bytes of a manifest.
pub fn encode_manifest(manifest: &BankManifest) -> Result<Vec<u8>, ManifestError> {
    let mut bytes = serde_json::to_vec_pretty(manifest).map_err(|source| ManifestError::Parse { source })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The manifest of the schema that this program knows, whatever else newer writers add to it.
pub fn parse_manifest(bytes: &[u8], found_in: Bank) -> Result<BankManifest, ManifestError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let parse = |source| ManifestError::Parse { source };
    let head: Head = serde_json::from_slice(bytes).map_err(parse)?;
    if head.schema != SCHEMA {
        return Err(ManifestError::Newer { found: head.schema });
    }
    let manifest: BankManifest = serde_json::from_slice(bytes).map_err(parse)?;
    if manifest.bank != found_in {
        return Err(ManifestError::WrongBank { found_in, says: manifest.bank });
    }
    Ok(manifest)
}

/// The manifest on a boot volume; none if it cannot be read or is not this bank's. For showing: who must know why asks
/// [`crate::install::verify_bank`].
#[must_use]
pub fn read_manifest(disk: &dyn ReadAt, boot: Partition, bank: Bank) -> Option<BankManifest> {
    let volume = FatVolume::open(disk, boot.offset(), boot.bytes()).ok()?;
    let bytes = volume.read_file(MANIFEST_PATH, MANIFEST_LIMIT).ok()?;
    parse_manifest(&bytes, bank).ok()
}

impl BankManifest {
    /// A manifest of the schema written here.
    #[must_use]
    pub fn new(
        bank: Bank,
        release: ReleaseRef,
        updated: u32,
        boot: (Sha256Hex, u64),
        root: (Sha256Hex, u64),
        verity: Option<Verity>,
    ) -> Self {
        Self {
            schema: SCHEMA,
            bank,
            release,
            updated,
            boot_sha256: boot.0,
            boot_len: boot.1,
            root_sha256: root.0,
            root_len: root.1,
            verity,
        }
    }
}
