//! What `release show` prints: `lifeboat.release-info/1`.
//!
//! Owns: a plain description of a bundle's head. Promises: it says of every signature what it is worth here, and
//! never claims that blocks were verified. Does not: give access to blocks; an untrusted bundle can be described.

use std::io::Read;

use lifeboat_model::{ReleaseRef, Sha256Hex};
use serde::Serialize;

use crate::error::BundleError;
use crate::head::Head;
use crate::keys::KeyId;
use crate::manifest::{Manifest, Slot};
use crate::signature::SignatureState;
use crate::trust::TrustStore;
use crate::verify::Verified;

/// Name of the form of [`ReleaseInfo`].
pub const SCHEMA: &str = "lifeboat.release-info/1";

/// A bundle in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseInfo {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Identity of the release.
    pub release: ReleaseRef,
    /// Unix seconds.
    pub created: u64,
    /// Unix seconds.
    pub expires: Option<u64>,
    /// As `uname -m` says it.
    pub arch: String,
    /// Further options for the kernel.
    pub cmdline: String,
    /// The parts.
    pub slots: Vec<SlotInfo>,
    /// Sums over all parts.
    pub totals: BlockTotals,
    /// Who signed. Empty when made from a verified bundle without a look at the list.
    pub signatures: Vec<SignatureInfo>,
}

/// A slot in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SlotInfo {
    /// Its name.
    pub name: String,
    /// SHA-256 of the whole decoded slot.
    pub sha256: Sha256Hex,
    /// Its sums.
    pub totals: BlockTotals,
}

/// Sums over blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlockTotals {
    /// Decoded length in bytes.
    pub len: u64,
    /// Length in the bundle in bytes.
    pub stored_len: u64,
    /// Number of blocks.
    pub blocks: u64,
}

/// A signature in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureInfo {
    /// The key that it names.
    pub key_id: KeyId,
    /// What it is worth here.
    pub state: SignatureState,
    /// Comment of the trusted key, if it is one.
    pub comment: Option<String>,
}

/// Describes a bundle whoever signed it. Reads the head only; **nothing is vouched for** unless a signature in
/// the answer is [`SignatureState::Good`]. Without `trust` every key is unknown.
pub fn inspect(mut source: impl Read, trust: Option<&TrustStore>) -> Result<ReleaseInfo, BundleError> {
    let head = Head::read(&mut source)?;
    let manifest = Manifest::parse(&head.manifest)?;
    let release = manifest.release_ref(Sha256Hex::of(&head.manifest));
    let mut info = info(&manifest, release);
    for signature in &head.signatures {
        let state = trust.map_or(SignatureState::UnknownKey, |trust| signature.state(&head.manifest, trust));
        let known = trust.and_then(|trust| trust.keys().iter().find(|key| key.id() == signature.key));
        let comment = known.map(|key| key.comment().to_owned());
        info.signatures.push(SignatureInfo { key_id: signature.key, state, comment });
    }
    Ok(info)
}

impl<T> Verified<T> {
    /// The release in words, without its signatures (they were good, or this would not exist).
    pub fn describe(&self) -> ReleaseInfo {
        info(&self.manifest, self.release.clone())
    }
}

fn info(manifest: &Manifest, release: ReleaseRef) -> ReleaseInfo {
    let slots: Vec<SlotInfo> = manifest.slots.iter().map(slot_info).collect();
    let sum = |part: fn(&BlockTotals) -> u64| slots.iter().map(|slot| part(&slot.totals)).sum();
    let totals = BlockTotals {
        len: sum(|totals| totals.len),
        stored_len: sum(|totals| totals.stored_len),
        blocks: sum(|totals| totals.blocks),
    };
    ReleaseInfo {
        schema: SCHEMA,
        release,
        created: manifest.created,
        expires: manifest.expires,
        arch: manifest.arch.clone(),
        cmdline: manifest.cmdline.clone(),
        totals,
        slots,
        signatures: Vec::new(),
    }
}

fn slot_info(slot: &Slot) -> SlotInfo {
    let totals =
        BlockTotals { len: slot.len, stored_len: slot.stored_len(), blocks: slot.blocks.len() as u64 };
    SlotInfo { name: slot.name.clone(), sha256: slot.sha256, totals }
}
