//! What a release says about itself: `lifeboat.release/2`, and `lifeboat.release/1` of older ones.
//!
//! Owns: the manifest's words, its JSON form, and what makes one usable. Promises: after [`Manifest::parse`]
//! every length is in bounds and adds up, every name is short printable text, and no slot is named twice.
//! Does not: know whether anybody signed it (`verify`), or where blocks lie in a file beyond their order.

use lifeboat_model::{ReleaseRef, ReleaseVersion, Sha256Hex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::chunk::{MAX_INDEX_LEN, MAX_PACK_LEN, PACK_HEAD_LEN, PackRef, index_len_is_possible};
use crate::error::BundleError;

/// Name of the manifest's form: slots are cut into chunks, which lie in packs.
pub const SCHEMA: &str = "lifeboat.release/2";
/// The form before it: slots are cut into blocks, which lie in the bundle itself. Read, and not written any more.
pub const SCHEMA_1: &str = "lifeboat.release/1";
/// Version of the signing rules (what is signed, and how) that a writer of this crate follows.
pub const SPEC_VERSION: u32 = 1;
/// What this reader can do; a manifest with a higher `min_reader` is refused.
pub const READER_VERSION: u32 = 2;
/// Longest block that is read, decoded or stored: 4 MiB.
pub const MAX_BLOCK_LEN: u32 = 4 << 20;
const MAX_SLOTS: usize = 64;
const MAX_PACKS: usize = 255;
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 128;
const MAX_CMDLINE: usize = 1024;

/// Names of the slots that Lifeboat knows. Others are carried and verified, but mean nothing to it.
pub mod slot {
    /// Linux kernel (bzImage).
    pub const KERNEL: &str = "kernel";
    /// Initial RAM disk (cpio, compressed or not).
    pub const INITRD: &str = "initrd";
    /// Image of the root volume, byte for byte.
    pub const ROOT: &str = "root";
    /// UEFI stub (PE) into which kernel, initrd and command line are put as sections.
    pub const STUB: &str = "stub";
    /// `os-release` text.
    pub const OSREL: &str = "osrel";
    /// Packages for hosts without banks (`docs/formats/package-release.md`); the only slot of its release.
    pub const PACKAGES: &str = "packages";
}

/// Why a manifest cannot be used.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Not JSON of this form.
    #[error("the manifest is not JSON of the form {SCHEMA}; the release was built by something else")]
    Json(#[source] serde_json::Error),
    /// Another form.
    #[error(
        "the manifest has the form {found:?}, this lifeboat reads {SCHEMA} and {SCHEMA_1}; use a newer lifeboat for it"
    )]
    Schema {
        /// What it says it is.
        found: String,
    },
    /// The writer knew that this reader must not read it.
    #[error(
        "the release needs a reader of version {needed}, this one is {READER_VERSION}; update lifeboat first"
    )]
    NewerReader {
        /// `min_reader` of the manifest.
        needed: u32,
    },
    /// Other signing rules.
    #[error(
        "the release follows signing rules {found}, this lifeboat knows {SPEC_VERSION}; update lifeboat first"
    )]
    SpecVersion {
        /// `spec_version` of the manifest.
        found: u32,
    },
    /// A text has characters or a length that it must not have.
    #[error("{field} {value:?} is not allowed: {rule}")]
    Text {
        /// Which field.
        field: &'static str,
        /// Its value, cut to 100 characters.
        value: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The end of life lies before the birth.
    #[error("the release expires at {expires}, before it was created at {created} (unix seconds)")]
    ExpiresBeforeCreated {
        /// Unix seconds.
        created: u64,
        /// Unix seconds.
        expires: u64,
    },
    /// More slots than any release has.
    #[error("the release has {count} slots, at most {MAX_SLOTS} are possible")]
    TooManySlots {
        /// How many.
        count: usize,
    },
    /// One name, two slots.
    #[error("slot {slot} is in the release twice")]
    DuplicateSlot {
        /// Its name.
        slot: String,
    },
    /// A block length that no writer makes.
    #[error(
        "block {block} of slot {slot} has an impossible length ({len} bytes, stored {stored_len}): {rule}"
    )]
    BlockLength {
        /// Name of the slot.
        slot: String,
        /// Index of the block.
        block: usize,
        /// Decoded length in bytes.
        len: u32,
        /// Stored length in bytes.
        stored_len: u32,
        /// What is allowed.
        rule: &'static str,
    },
    /// The blocks do not add up to the slot.
    #[error("slot {slot} is {len} bytes long, but its blocks add up to {sum}")]
    SlotLength {
        /// Name of the slot.
        slot: String,
        /// Length of the slot.
        len: u64,
        /// Sum of its blocks.
        sum: u64,
    },
    /// A hash tree that cannot lie in its slot.
    #[error("the hash tree of slot {slot} is impossible: {rule}")]
    Verity {
        /// Name of the slot.
        slot: String,
        /// What would be right.
        rule: &'static str,
    },
    /// A slot or a pack that does not fit the form of the manifest.
    #[error("{what} is impossible: {rule}")]
    Chunked {
        /// Which slot or pack.
        what: String,
        /// What would be right.
        rule: &'static str,
    },
    /// An empty slot with the digest of something else.
    #[error("slot {slot} is empty, but its digest is not that of nothing")]
    EmptySlotDigest {
        /// Name of the slot.
        slot: String,
    },
}

/// How the bytes of a block are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// As they are.
    None,
    /// One zstd frame (RFC 8878).
    Zstd,
}

/// One block of a slot. Blocks of all slots follow each other in the bundle in the manifest's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Decoded length in bytes, 1 to [`MAX_BLOCK_LEN`].
    pub len: u32,
    /// Length in the bundle in bytes, 1 to [`MAX_BLOCK_LEN`]; equal to `len` when stored as it is.
    pub stored_len: u32,
    /// How it is stored.
    pub codec: Codec,
    /// SHA-256 of the stored bytes.
    pub sha256: Sha256Hex,
}

/// One part of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// See [`slot`]: lower-case letters, digits and `. _ -`, at most 64.
    pub name: String,
    /// Decoded length in bytes.
    pub len: u64,
    /// SHA-256 of the whole decoded slot.
    pub sha256: Sha256Hex,
    /// Its blocks in order; in form 1 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What it is made of; in form 2 always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexRef>,
    /// Hash tree that the slot ends with, so that the kernel can check it while it runs; see [`Verity`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
}

/// The chunk index of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRef {
    /// SHA-256 of its bytes.
    pub sha256: Sha256Hex,
    /// Their number.
    pub len: u64,
}

/// A dm-verity hash tree inside a slot: where it lies, and the root hash that vouches for the data before it. Blocks
/// of 4096 bytes, hash type 1 (`docs/formats/verity.md`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verity {
    /// `sha256`; no other is known.
    pub algorithm: String,
    /// Blocks of data, from byte 0 of the slot.
    pub data_blocks: u64,
    /// Where the superblock of the tree lies in the slot, in bytes; a multiple of 4096, right behind the data.
    pub hash_offset: u64,
    /// Salt of every hash.
    pub salt: Sha256Hex,
    /// Hash of the top of the tree.
    pub root: Sha256Hex,
}

impl Slot {
    /// Bytes that its blocks take in the bundle.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        // At most 16 MiB of manifest / 60 bytes of JSON blocks of 4 MiB: far below 2^64.
        self.blocks.iter().map(|block| u64::from(block.stored_len)).sum()
    }
}

/// What a release is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] or [`SCHEMA_1`].
    pub schema: String,
    /// [`SPEC_VERSION`].
    pub spec_version: u32,
    /// Lowest [`READER_VERSION`] that may read it.
    pub min_reader: u32,
    /// Product line: letters, digits and `. _ -`, at most 64.
    pub name: String,
    /// Version for people, printable ASCII without spaces, at most 128.
    pub version: ReleaseVersion,
    /// Only grows within a line.
    pub serial: u64,
    /// Unix seconds.
    pub created: u64,
    /// From this second on the release must not be installed any more; unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// As `uname -m` says it, for example `x86_64`.
    pub arch: String,
    /// Further options for the kernel, at most 1024 bytes of printable ASCII, none of them `root=` or `lifeboat.*`.
    pub cmdline: String,
    /// The parts.
    pub slots: Vec<Slot>,
    /// Where chunks lie; an index tells a pack by its number here. In form 2 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PackRef>,
}

impl Manifest {
    /// Reads and checks the JSON form. Unknown fields of newer writers are skipped (they are signed, too).
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        /// Asked before the rest, so that a newer form is named as such and not called damaged.
        #[derive(Deserialize)]
        struct Form {
            schema: String,
            spec_version: u32,
            min_reader: u32,
        }
        let form: Form = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if form.schema != SCHEMA && form.schema != SCHEMA_1 {
            return Err(ManifestError::Schema { found: shown(&form.schema) });
        }
        if form.min_reader > READER_VERSION {
            return Err(ManifestError::NewerReader { needed: form.min_reader });
        }
        if form.spec_version != SPEC_VERSION {
            return Err(ManifestError::SpecVersion { found: form.spec_version });
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The canonical JSON form: fields in the order of this struct, no spaces.
    pub fn encode(&self) -> Result<Vec<u8>, ManifestError> {
        serde_json::to_vec(self).map_err(ManifestError::Json)
    }

    /// Whether every text, length and sum is possible.
    pub fn check(&self) -> Result<(), ManifestError> {
        check_texts(self)?;
        if let Some(expires) = self.expires
            && expires < self.created
        {
            return Err(ManifestError::ExpiresBeforeCreated { created: self.created, expires });
        }
        if self.slots.len() > MAX_SLOTS {
            return Err(ManifestError::TooManySlots { count: self.slots.len() });
        }
        for (index, slot) in self.slots.iter().enumerate() {
            if self.slots.iter().take(index).any(|earlier| earlier.name == slot.name) {
                return Err(ManifestError::DuplicateSlot { slot: slot.name.clone() });
            }
            if self.is_chunked() {
                check_chunked(slot)?;
            } else {
                check_blocks(slot)?;
            }
            check_verity(slot)?;
        }
        check_packs(self)
    }

    /// Whether it is of form 2: cut into chunks.
    #[must_use]
    pub fn is_chunked(&self) -> bool {
        self.schema == SCHEMA
    }

    /// Bytes of all indexes.
    #[must_use]
    pub fn index_len(&self) -> u64 {
        let lens = self.slots.iter().filter_map(|slot| slot.index.as_ref());
        lens.fold(0, |sum, index| sum.saturating_add(index.len))
    }

    pub(crate) fn missing(&self, slot: &str) -> BundleError {
        let present: Vec<&str> = self.slots.iter().map(|slot| slot.name.as_str()).collect();
        BundleError::MissingSlot { slot: slot.to_owned(), present: present.join(", ") }
    }

    /// Refuses a release without the slot of this name.
    pub fn require_slot(&self, name: &str) -> Result<(), BundleError> {
        self.slot(name).map(|_| ()).ok_or_else(|| self.missing(name))
    }

    /// Whether it is for hosts without banks.
    #[must_use]
    pub fn is_packages(&self) -> bool {
        self.slot(slot::PACKAGES).is_some()
    }

    /// The slot of this name.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }

    /// Bytes that all blocks take in the bundle.
    #[must_use]
    pub fn stored_len(&self) -> u64 {
        self.slots.iter().map(Slot::stored_len).sum()
    }

    /// Bytes of all slots, decoded.
    #[must_use]
    pub fn decoded_len(&self) -> u64 {
        self.slots.iter().map(|slot| slot.len).sum()
    }

    pub(crate) fn release_ref(&self, digest: Sha256Hex) -> ReleaseRef {
        ReleaseRef { name: self.name.clone(), version: self.version.clone(), serial: self.serial, digest }
    }
}

fn check_texts(manifest: &Manifest) -> Result<(), ManifestError> {
    let wrong = |field, value: &str, rule| Err(ManifestError::Text { field, value: shown(value), rule });
    let word = |text: &str| {
        !text.is_empty()
            && text.len() <= MAX_NAME
            && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
    };
    if !word(&manifest.name) {
        return wrong("name", &manifest.name, "1 to 64 letters, digits and . _ -");
    }
    if !word(&manifest.arch) {
        return wrong("arch", &manifest.arch, "1 to 64 letters, digits and . _ -");
    }
    let version = &manifest.version.0;
    if version.is_empty() || version.len() > MAX_VERSION || !version.bytes().all(|c| c.is_ascii_graphic()) {
        return wrong("version", version, "1 to 128 printable ASCII characters without spaces");
    }
    let cmdline = &manifest.cmdline;
    if cmdline.len() > MAX_CMDLINE || !cmdline.bytes().all(|c| c == b' ' || c.is_ascii_graphic()) {
        return wrong("cmdline", cmdline, "at most 1024 printable ASCII characters");
    }
    // The last one of two equal options wins in Linux: a release must not be able to name another bank.
    let reserved = |option: &str| option.starts_with("root=") || option.starts_with("lifeboat.");
    if cmdline.split([' ', '"']).any(reserved) {
        return wrong("cmdline", cmdline, "root= and lifeboat.* are set per bank, not by the release");
    }
    for slot in &manifest.slots {
        if !word(&slot.name) || slot.name.bytes().any(|c| c.is_ascii_uppercase()) {
            return wrong("slot name", &slot.name, "1 to 64 lower-case letters, digits and . _ -");
        }
    }
    Ok(())
}

fn check_chunked(slot: &Slot) -> Result<(), ManifestError> {
    let wrong = |rule| Err(ManifestError::Chunked { what: format!("slot {}", slot.name), rule });
    match &slot.index {
        None => wrong("it must have an index"),
        Some(index) if !index_len_is_possible(index.len) => wrong("its index must have 64 bytes to 64 MiB"),
        Some(_) if !slot.blocks.is_empty() => wrong("it has chunks, and so no blocks"),
        Some(_) if slot.len == 0 && slot.sha256 != Sha256Hex::of(b"") => {
            Err(ManifestError::EmptySlotDigest { slot: slot.name.clone() })
        }
        Some(_) => Ok(()),
    }
}

fn check_packs(manifest: &Manifest) -> Result<(), ManifestError> {
    let wrong = |what: String, rule| Err(ManifestError::Chunked { what, rule });
    let packs = &manifest.packs;
    if !manifest.is_chunked() && !packs.is_empty() {
        return wrong("a pack".to_owned(), "only form 2 has packs");
    }
    if packs.len() > MAX_PACKS {
        return wrong(format!("a release of {} packs", packs.len()), "at most 255 are possible");
    }
    for (number, pack) in packs.iter().enumerate() {
        let what = || format!("pack {number}");
        if !(PACK_HEAD_LEN..=MAX_PACK_LEN).contains(&pack.len) {
            return wrong(what(), "a pack has 16 bytes to 2^48");
        }
        if packs.iter().take(number).any(|earlier| earlier.sha256 == pack.sha256) {
            return wrong(what(), "no pack is named twice");
        }
    }
    if manifest.index_len() > MAX_INDEX_LEN {
        return wrong("the sum of all indexes".to_owned(), "it must be at most 64 MiB");
    }
    Ok(())
}

fn check_blocks(slot: &Slot) -> Result<(), ManifestError> {
    if slot.index.is_some() {
        let what = format!("slot {}", slot.name);
        return Err(ManifestError::Chunked { what, rule: "it has blocks, and so no index" });
    }
    let mut sum = 0_u64;
    for (index, block) in slot.blocks.iter().enumerate() {
        let lens = 1..=MAX_BLOCK_LEN;
        let rule = if !lens.contains(&block.len) || !lens.contains(&block.stored_len) {
            Some("both must be 1 byte to 4 MiB")
        } else if block.codec == Codec::None && block.len != block.stored_len {
            Some("both must be equal when the block is stored as it is")
        } else {
            None
        };
        if let Some(rule) = rule {
            let (len, stored_len) = (block.len, block.stored_len);
            return Err(ManifestError::BlockLength {
                slot: slot.name.clone(),
                block: index,
                len,
                stored_len,
                rule,
            });
        }
        sum = sum.saturating_add(u64::from(block.len));
    }
    if sum != slot.len {
        return Err(ManifestError::SlotLength { slot: slot.name.clone(), len: slot.len, sum });
    }
    if slot.len == 0 && slot.sha256 != Sha256Hex::of(b"") {
        return Err(ManifestError::EmptySlotDigest { slot: slot.name.clone() });
    }
    Ok(())
}

/// Whether a hash tree can lie where it is said to.
fn check_verity(slot: &Slot) -> Result<(), ManifestError> {
    let Some(verity) = &slot.verity else { return Ok(()) };
    let rule = if verity.algorithm != "sha256" {
        "its algorithm must be sha256"
    } else if verity.data_blocks == 0 || verity.data_blocks.checked_mul(4096) != Some(verity.hash_offset) {
        "it must lie right behind at least one block of data"
    } else if verity.hash_offset.checked_add(4096).is_none_or(|end| end > slot.len) {
        "it must lie inside the slot"
    } else {
        return Ok(());
    };
    Err(ManifestError::Verity { slot: slot.name.clone(), rule })
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}
