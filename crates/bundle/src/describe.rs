//! What `release show` prints: `lifeboat.release-info/1`.
//!
//! Owns: a plain description of a bundle's head. Promises: it says of every signature what it is worth here, and
//! never claims that blocks were verified. Does not: give access to blocks; an untrusted bundle can be described.

use std::io::Read;

use lifeboat_model::{ReleaseRef, Sha256Hex};
use serde::Serialize;

use crate::bundle::Bundle;
use crate::chunk::{ChunkIndex, Stored};
use crate::error::BundleError;
use crate::head::Head;
use crate::keys::KeyId;
use crate::manifest::{Manifest, Slot};
use crate::packages::PackageIndex;
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
    /// `1`: blocks; `2`: chunks.
    pub format: u32,
    /// The release that must be on a host, if the bundle carries only what it lacks.
    pub base: Option<ReleaseRef>,
    /// As `uname -m` says it.
    pub arch: String,
    /// Further options for the kernel.
    pub cmdline: String,
    /// The parts.
    pub slots: Vec<SlotInfo>,
    /// Sums over all parts.
    pub totals: BlockTotals,
    /// What a package release is made of, if whoever asks has read its slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packages: Option<PackageIndex>,
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

/// Sums over blocks or chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BlockTotals {
    /// Decoded length in bytes.
    pub len: u64,
    /// Length in the bundle or in its packs in bytes; of a slot cut into chunks the index tells it.
    pub stored_len: u64,
    /// Number of blocks or chunks.
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
    let indexes = manifest.is_chunked().then(|| read_indexes(&mut source, &manifest)).transpose()?;
    let mut info = info(&manifest, release, indexes.as_deref());
    info.base = head.contents.and_then(|contents| contents.base);
    for signature in &head.signatures {
        let state = trust.map_or(SignatureState::UnknownKey, |trust| signature.state(&head.manifest, trust));
        let known = trust.and_then(|trust| trust.keys().iter().find(|key| key.id() == signature.key));
        let comment = known.map(|key| key.comment().to_owned());
        info.signatures.push(SignatureInfo { key_id: signature.key, state, comment });
    }
    Ok(info)
}

impl<R> Verified<Bundle<R>> {
    /// The release in words, without its signatures (they were good, or this would not exist).
    pub fn describe(&self) -> ReleaseInfo {
        let indexes: Option<Vec<BlockTotals>> =
            self.chunked().map(|release| release.slots().map(|(_, index)| index_totals(index)).collect());
        let mut info = info(&self.manifest, self.release.clone(), indexes.as_deref());
        info.base = self.base().cloned();
        info
    }
}

/// The indexes follow the head. They are hearsay here as all the rest is; a digest that fits is asked all the same.
fn read_indexes(source: &mut impl Read, manifest: &Manifest) -> Result<Vec<BlockTotals>, BundleError> {
    let packs: Vec<u64> = manifest.packs.iter().map(|pack| pack.len).collect();
    let mut totals = Vec::new();
    for slot in &manifest.slots {
        let (name, Some(named)) = (slot.name.clone(), &slot.index) else {
            return Err(BundleError::NotChunked);
        };
        let mut bytes = Vec::new();
        if let Err(source) = source.take(named.len).read_to_end(&mut bytes) {
            return Err(BundleError::ReadIndex { slot: name, source });
        }
        let found = Sha256Hex::of(&bytes);
        if found != named.sha256 {
            return Err(BundleError::IndexAltered { slot: name, expected: named.sha256, found });
        }
        let index = ChunkIndex::parse(&bytes, Some(&packs))
            .map_err(|source| BundleError::Index { slot: name, source })?;
        totals.push(index_totals(&index));
    }
    Ok(totals)
}

fn index_totals(index: &ChunkIndex) -> BlockTotals {
    let stored = index.chunks.iter().map(|chunk| match chunk.stored {
        Stored::Zeros => 0,
        Stored::At(at) => u64::from(at.len),
    });
    BlockTotals { len: index.slot_len, stored_len: stored.sum(), blocks: index.chunks.len() as u64 }
}

fn info(manifest: &Manifest, release: ReleaseRef, indexes: Option<&[BlockTotals]>) -> ReleaseInfo {
    let told = |number: usize| indexes.and_then(|indexes| indexes.get(number)).copied();
    let slots = manifest.slots.iter().enumerate();
    let slots: Vec<SlotInfo> = slots.map(|(number, slot)| slot_info(slot, told(number))).collect();
    let sum = |part: fn(&BlockTotals) -> u64| slots.iter().map(|slot| part(&slot.totals)).sum();
    let totals = BlockTotals {
        len: sum(|totals| totals.len),
        // What a bundle really takes: equal chunks lie in a pack once.
        stored_len: if manifest.is_chunked() {
            manifest.packs.iter().map(|pack| pack.len).sum()
        } else {
            sum(|totals| totals.stored_len)
        },
        blocks: sum(|totals| totals.blocks),
    };
    ReleaseInfo {
        schema: SCHEMA,
        release,
        created: manifest.created,
        expires: manifest.expires,
        format: if manifest.is_chunked() { 2 } else { 1 },
        base: None,
        arch: manifest.arch.clone(),
        cmdline: manifest.cmdline.clone(),
        totals,
        slots,
        packages: None,
        signatures: Vec::new(),
    }
}

fn slot_info(slot: &Slot, told: Option<BlockTotals>) -> SlotInfo {
    let totals = told.unwrap_or_else(|| BlockTotals {
        len: slot.len,
        stored_len: slot.stored_len(),
        blocks: slot.blocks.len() as u64,
    });
    SlotInfo { name: slot.name.clone(), sha256: slot.sha256, totals }
}
