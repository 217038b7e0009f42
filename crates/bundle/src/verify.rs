//! The gate: signature, then rules, then lengths; only behind it are blocks read.
//!
//! Owns: [`Rules`] and the typestate [`Verified`], which nothing outside this crate can make. Promises: the
//! manifest is not even parsed before a trusted key's signature over its bytes was found good. Does not: read
//! blocks (`bundle`, `stream`).

use lifeboat_model::{ReleaseRef, Sha256Hex};

use crate::error::BundleError;
use crate::head::Head;
use crate::manifest::Manifest;
use crate::signature::{Signature, SignatureState};
use crate::trust::TrustStore;

/// What a reader asks of a release besides a good signature.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The time, in unix seconds.
    pub now: u64,
    /// Lowest serial that may be installed (protection against roll-back), if there is one.
    pub min_serial: Option<u64>,
    /// Product line that the host or pool runs, if it is known.
    pub expected_name: Option<String>,
    /// Architecture of the host as `uname -m` says it, if it is known.
    pub expected_arch: Option<String>,
    /// Take a release whose end of life has passed. A person's explicit decision.
    pub allow_expired: bool,
}

impl Rules {
    /// Nothing but the expiry is asked.
    #[must_use]
    pub fn at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    fn check(&self, manifest: &Manifest) -> Result<(), BundleError> {
        if let Some(expected) = &self.expected_name
            && *expected != manifest.name
        {
            return Err(BundleError::WrongLine { found: manifest.name.clone(), expected: expected.clone() });
        }
        if let Some(expected) = &self.expected_arch
            && *expected != manifest.arch
        {
            return Err(BundleError::WrongArch { found: manifest.arch.clone(), expected: expected.clone() });
        }
        if let Some(floor) = self.min_serial
            && manifest.serial < floor
        {
            return Err(BundleError::TooOld {
                name: manifest.name.clone(),
                version: manifest.version.0.clone(),
                serial: manifest.serial,
                floor,
            });
        }
        if let Some(expires) = manifest.expires
            && self.now >= expires
            && !self.allow_expired
        {
            return Err(BundleError::Expired {
                name: manifest.name.clone(),
                version: manifest.version.0.clone(),
                expires,
                now: self.now,
            });
        }
        Ok(())
    }
}

/// A `T` whose release was signed by trusted keys and fits the rules. Its blocks are verified as they are read.
#[derive(Debug)]
pub struct Verified<T> {
    pub(crate) inner: T,
    pub(crate) manifest: Manifest,
    pub(crate) release: ReleaseRef,
    pub(crate) blocks_at: u64,
}

impl<T> Verified<T> {
    /// What the release says about itself; signed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its identity.
    pub fn release(&self) -> &ReleaseRef {
        &self.release
    }

    /// Fails with the first of `names` that is not a slot of the release.
    pub fn require_slots(&self, names: &[&str]) -> Result<(), BundleError> {
        names.iter().try_for_each(|name| self.manifest.require_slot(name))
    }
}

/// Signature, form, rules and lengths of a head.
pub(crate) fn check_head<T>(
    head: &Head,
    trust: &TrustStore,
    rules: &Rules,
    inner: T,
) -> Result<Verified<T>, BundleError> {
    let manifest = check_signed(&head.manifest, &head.signatures, trust, rules)?;
    if manifest.is_chunked() != head.contents.is_some() {
        return Err(BundleError::FormsDisagree);
    }
    let stored = match &head.contents {
        None => manifest.stored_len(),
        Some(contents) => {
            contents.check(&manifest)?;
            manifest.index_len().saturating_add(contents.len())
        }
    };
    if stored != head.blocks_len {
        return Err(BundleError::LengthsDisagree { header: head.blocks_len, manifest: stored });
    }
    let release = manifest.release_ref(Sha256Hex::of(&head.manifest));
    Ok(Verified { inner, manifest, release, blocks_at: head.blocks_at })
}

/// Signatures, form and rules of a manifest, in this order.
pub(crate) fn check_signed(
    manifest: &[u8],
    signatures: &[Signature],
    trust: &TrustStore,
    rules: &Rules,
) -> Result<Manifest, BundleError> {
    check_signatures(manifest, signatures, trust)?;
    let manifest = Manifest::parse(manifest)?;
    rules.check(&manifest)?;
    Ok(manifest)
}

fn check_signatures(
    manifest: &[u8],
    signatures: &[Signature],
    trust: &TrustStore,
) -> Result<(), BundleError> {
    if signatures.is_empty() {
        return Err(BundleError::Unsigned);
    }
    let mut good = 0;
    for signature in signatures {
        match signature.state(manifest, trust) {
            // Each key stands in the list at most once, so this counts distinct keys.
            SignatureState::Good => good += 1,
            // A maker may sign with a new key beside the old one before readers know it.
            SignatureState::UnknownKey => {}
            SignatureState::Bad => return Err(BundleError::BadSignature { key: signature.key }),
        }
    }
    if good == 0 {
        let found = signatures.iter().map(|signature| signature.key).collect();
        return Err(BundleError::UnknownKey { found, trusted: trust.ids() });
    }
    if good < trust.threshold() {
        return Err(BundleError::TooFewSignatures { good, needed: trust.threshold() });
    }
    Ok(())
}
