//! Readers of `lifeboat-bundle`.

use std::io::Read;

use ed25519_dalek::{Signer, SigningKey};
use lifeboat_bundle::{
    ChunkIndex, Manifest, PublicKey, Rules, SecretKey, TrustStore, inspect, open, open_stream,
};
use lifeboat_model::Sha256Hex;

const SEED: [u8; 32] = [1; 32];
const NOW: u64 = 1_800_000_000;
/// Most bytes of a slot that are read.
const SLOT: u64 = 1 << 20;

/// What is signed: it can be said again, and says the same.
pub(super) fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        let again = manifest.encode().ok().and_then(|bytes| Manifest::parse(&bytes).ok());
        assert_eq!(again, Some(manifest), "a manifest that was read cannot be said again");
    }
}

/// A list of chunks, alone and against packs of some length.
pub(super) fn index(bytes: &[u8]) {
    for packs in [None, Some(&[1_u64 << 20, 1 << 40][..])] {
        if let Ok(index) = ChunkIndex::parse(bytes, packs) {
            assert_eq!(index.encode(), bytes, "an index has two forms");
            assert!(index.placed().count() <= bytes.len(), "more chunks than bytes");
        }
    }
}

fn trust() -> Option<TrustStore> {
    let key = SecretKey::from_random(SEED, "fuzz").ok()?;
    TrustStore::new(vec![key.public()]).ok()
}

fn rules() -> Rules {
    Rules { allow_expired: true, ..Rules::at(NOW) }
}

/// A bundle as it comes, of both formats: positioned, as a stream, and only looked at.
pub(super) fn whole(bytes: &[u8]) {
    let Some(trust) = trust() else { return };
    let _ = inspect(bytes, None);
    let _ = inspect(bytes, Some(&trust));
    if let Ok(mut stream) = open_stream(bytes, &trust, &rules()) {
        while let Ok(Some(mut slot)) = stream.next_slot() {
            while let Ok(Some(block)) = slot.next_block() {
                assert!(block.len() <= 4 << 20, "a block is longer than the form allows");
            }
        }
    }
    if let Ok(bundle) = open(bytes, &trust, &rules()) {
        for slot in &bundle.manifest().slots {
            let _ = bundle.slot_bytes(&slot.name, SLOT);
            if let Ok(mut reader) = bundle.slot(&slot.name) {
                let mut sink = [0; 512];
                let _ = reader.read(&mut sink);
            }
        }
    }
}

/// A bundle whose manifest somebody signed: `u16` version and `u16` lengths of manifest and of contents, then both,
/// then the rest. The digest of the head is made right too.
pub(super) fn signed(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_at_checked(6) else { return };
    let word = |at: usize| {
        usize::from(u16::from_le_bytes([
            head.get(at).copied().unwrap_or(0),
            head.get(at + 1).copied().unwrap_or(0),
        ]))
    };
    let (manifest, rest) = rest.split_at(word(2).min(rest.len()));
    let (contents, body) = rest.split_at(word(4).min(rest.len()));
    let Some(list) = signatures(manifest) else { return };
    for version in [word(0) as u64, 1, 2] {
        let mut bundle = b"LFBUNDL1".to_vec();
        let version = u32::try_from(version).unwrap_or(1);
        let contents = if version == 1 { &[][..] } else { contents };
        for number in
            [manifest.len(), list.len(), contents.len()].into_iter().fold(vec![version], |mut all, len| {
                all.push(u32::try_from(len).unwrap_or(0));
                all
            })
        {
            bundle.extend_from_slice(&number.to_le_bytes());
        }
        bundle.extend_from_slice(&(body.len() as u64).to_le_bytes());
        let mut covered = bundle.clone();
        for part in [manifest, list.as_bytes(), contents] {
            covered.extend_from_slice(part);
        }
        bundle.extend_from_slice(&Sha256Hex::of(&covered).0);
        for part in [manifest, list.as_bytes(), contents, body] {
            bundle.extend_from_slice(part);
        }
        whole(&bundle);
    }
}

/// The signature list over any manifest.
fn signatures(manifest: &[u8]) -> Option<String> {
    let mut message = b"lifeboat release manifest, signing rules 1\0".to_vec();
    message.extend_from_slice(manifest);
    let bytes = SigningKey::from_bytes(&SEED).sign(&message).to_bytes();
    // A digest is printed as hexadecimal digits; a signature is as long as two of them.
    let (front, back) = bytes.split_at(32);
    let half = |half: &[u8]| Some(Sha256Hex(half.try_into().ok()?).to_string());
    let sig = format!("{}{}", half(front)?, half(back)?);
    let id = SecretKey::from_random(SEED, "fuzz").ok()?.public().id();
    Some(format!(
        r#"{{"schema":"lifeboat.signatures/1","signatures":[{{"key_id":"{id}","algorithm":"ed25519","sig":"{sig}"}}]}}"#
    ))
}

/// Files with keys, and with what is trusted.
pub(super) fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = SecretKey::parse(text);
    if let Ok(key) = PublicKey::parse(text) {
        assert!(PublicKey::parse(&key.to_text()).is_ok(), "a key that was read cannot be said again");
    }
    if let Ok(trust) = TrustStore::parse(text) {
        assert!(TrustStore::parse(&trust.to_text()).is_ok(), "trust that was read cannot be said again");
    }
}
