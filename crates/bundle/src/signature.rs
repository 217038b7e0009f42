//! The list of signatures over a manifest: `lifeboat.signatures/1`.
//!
//! Owns: what exactly is signed, and the list's only byte form. Promises: [`parse_signatures`] accepts nothing
//! that [`encode_signatures`] would not write, so that no byte of the list can change unnoticed in meaning.
//! Does not: decide whose signatures count (`verify`).

use serde::{Deserialize, Serialize};

use crate::error::BundleError;
use crate::keys::{KeyId, PublicKey, SecretKey, from_hex, to_hex};
use crate::trust::TrustStore;

/// Most signatures in one bundle.
pub const MAX_SIGNATURES: usize = 32;
const SCHEMA: &str = "lifeboat.signatures/1";
const ALGORITHM: &str = "ed25519";
/// Put before the manifest when signing: a signature for a release can never be taken for one of something else.
const DOMAIN: &[u8] = b"lifeboat release manifest, signing rules 1\0";

/// One signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) key: KeyId,
    pub(crate) bytes: [u8; 64],
}

/// What a signature turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureState {
    /// By a trusted key, over this manifest.
    Good,
    /// By a key that is not trusted here; nothing can be said about it.
    UnknownKey,
    /// Names a trusted key, but is not of that key over this manifest.
    Bad,
}

impl Signature {
    pub(crate) fn make(manifest: &[u8], key: &SecretKey) -> Self {
        Self { key: key.id(), bytes: key.sign(&message(manifest)) }
    }

    /// Tries every trusted key with the id, since 64 bits of digest do not prove a key.
    pub(crate) fn state(&self, manifest: &[u8], trust: &TrustStore) -> SignatureState {
        let mut named = trust.keys().iter().filter(|key| key.id() == self.key).peekable();
        if named.peek().is_none() {
            return SignatureState::UnknownKey;
        }
        let message = message(manifest);
        let good = |key: &PublicKey| key.verifies(&message, self.bytes);
        if named.any(good) { SignatureState::Good } else { SignatureState::Bad }
    }
}

fn message(manifest: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + manifest.len());
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(manifest);
    message
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListForm {
    schema: String,
    signatures: Vec<SignatureForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureForm {
    key_id: String,
    algorithm: String,
    sig: String,
}

pub(crate) fn encode_signatures(signatures: &[Signature]) -> Result<Vec<u8>, BundleError> {
    let form = ListForm {
        schema: SCHEMA.to_owned(),
        signatures: signatures
            .iter()
            .map(|signature| SignatureForm {
                key_id: signature.key.to_string(),
                algorithm: ALGORITHM.to_owned(),
                sig: to_hex(&signature.bytes),
            })
            .collect(),
    };
    serde_json::to_vec(&form).map_err(|error| malformed(&error.to_string()))
}

/// A signature list with further signatures over the same manifest; a key that has signed already is left out.
pub fn add_signatures(manifest: &[u8], list: &[u8], keys: &[&SecretKey]) -> Result<Vec<u8>, BundleError> {
    let mut signatures = parse_signatures(list)?;
    for key in keys {
        if signatures.iter().all(|there| there.key != key.id()) {
            signatures.push(Signature::make(manifest, key));
        }
    }
    if signatures.len() > MAX_SIGNATURES {
        return Err(malformed(&format!("more than {MAX_SIGNATURES} signatures")));
    }
    encode_signatures(&signatures)
}

pub(crate) fn parse_signatures(bytes: &[u8]) -> Result<Vec<Signature>, BundleError> {
    let form: ListForm = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
    if form.schema != SCHEMA {
        return Err(malformed(&format!("its form is not {SCHEMA}")));
    }
    if form.signatures.len() > MAX_SIGNATURES {
        return Err(malformed(&format!("more than {MAX_SIGNATURES} signatures")));
    }
    let mut signatures: Vec<Signature> = Vec::new();
    for (index, form) in form.signatures.iter().enumerate() {
        if form.algorithm != ALGORITHM {
            return Err(malformed(&format!("signature {index} is not of algorithm {ALGORITHM}")));
        }
        let key = from_hex(&form.key_id).map_err(|_| malformed(&format!("key_id of signature {index}")))?;
        let bytes = from_hex(&form.sig).map_err(|_| malformed(&format!("sig of signature {index}")))?;
        let key = KeyId(key);
        if signatures.iter().any(|earlier| earlier.key == key) {
            return Err(malformed(&format!("key {key} signed twice")));
        }
        signatures.push(Signature { key, bytes });
    }
    if encode_signatures(&signatures)? != bytes {
        return Err(malformed("it is not in its canonical form"));
    }
    Ok(signatures)
}

fn malformed(what: &str) -> BundleError {
    BundleError::MalformedSignatures { what: what.to_owned() }
}
