//! Bundles for tests: a small good one, and a second writer made from the format's document alone, which signs
//! whatever it is told to.

use std::io::{Cursor, Read};

use ed25519_dalek::{Signer, SigningKey};
use lifeboat_bundle::{
    BundleBuilder, BundleError, PublicKey, ReleaseDraft, Rules, SecretKey, TrustStore, open, open_stream,
};
use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};

pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_random([seed; 32], &format!("test key {seed}")).unwrap()
}

pub(crate) fn trust(seeds: &[u8]) -> TrustStore {
    TrustStore::new(seeds.iter().map(|seed| key(*seed).public()).collect()).unwrap()
}

pub(crate) fn draft() -> ReleaseDraft {
    ReleaseDraft {
        name: "lab-host".to_owned(),
        version: "1.2.3".to_owned(),
        serial: 7,
        created: NOW - 1000,
        expires: Some(NOW + 1000),
        arch: "x86_64".to_owned(),
        cmdline: "console=ttyS0 quiet".to_owned(),
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| step()).collect()
}

pub(crate) fn build(draft: ReleaseDraft, slots: &[(&str, &[u8])], keys: &[&SecretKey]) -> Vec<u8> {
    let mut builder = BundleBuilder::new(draft, Cursor::new(Vec::new())).unwrap();
    for (name, bytes) in slots {
        builder.add_slot(name, *bytes, bytes.len() as u64).unwrap();
    }
    let mut out = Vec::new();
    builder.finish(keys, &mut out).unwrap();
    out
}

pub(crate) const OSREL: &[u8] = b"ID=lifeboat\nVERSION_ID=1.2.3\n";

/// A bundle of some 1,300 bytes with a compressed, a plain and an empty slot, signed by key 1.
pub(crate) fn small() -> Vec<u8> {
    let kernel = noise(90);
    let root = [b'r'; 400];
    build(draft(), &[("kernel", &kernel), ("root", &root), ("osrel", OSREL), ("stub", b"")], &[&key(1)])
}

/// Opens at any position and reads everything: slot names and bytes, or why not.
pub(crate) fn read_all(bytes: &[u8], trust: &TrustStore, rules: &Rules) -> Result<Slots, BundleError> {
    let bundle = open(bytes, trust, rules)?;
    let mut slots = Vec::new();
    for slot in &bundle.manifest().slots {
        slots.push((slot.name.clone(), bundle.slot_bytes(&slot.name, u64::MAX)?));
    }
    Ok(slots)
}

/// The same as a stream.
pub(crate) fn stream_all(bytes: impl Read, trust: &TrustStore, rules: &Rules) -> Result<Slots, BundleError> {
    let mut bundle = open_stream(bytes, trust, rules)?;
    let mut slots = Vec::new();
    while let Some(mut slot) = bundle.next_slot()? {
        let mut whole = Vec::new();
        while let Some(block) = slot.next_block()? {
            whole.extend_from_slice(block);
        }
        slots.push((slot.name().to_owned(), whole));
    }
    Ok(slots)
}

pub(crate) type Slots = Vec<(String, Vec<u8>)>;

/// Signs any manifest with the key of `seed` and puts `blocks` behind it.
pub(crate) fn forge(manifest: &str, seed: u8, blocks: &[u8]) -> Vec<u8> {
    let signer = SigningKey::from_bytes(&[seed; 32]);
    let mut message = b"lifeboat release manifest, signing rules 1\0".to_vec();
    message.extend_from_slice(manifest.as_bytes());
    // A digest is printed as hexadecimal digits; a signature is as long as two of them.
    let bytes = signer.sign(&message).to_bytes();
    let half = |at: usize| Sha256Hex(bytes[at..at + 32].try_into().unwrap());
    let sig = format!("{}{}", half(0), half(32));
    let public = PublicKey::parse(&key(seed).public().to_text()).unwrap();
    let list = format!(
        r#"{{"schema":"lifeboat.signatures/1","signatures":[{{"key_id":"{}","algorithm":"ed25519","sig":"{sig}"}}]}}"#,
        public.id()
    );
    head(manifest.as_bytes(), list.as_bytes(), blocks)
}

/// Header, manifest, list and blocks with a right head digest.
pub(crate) fn head(manifest: &[u8], list: &[u8], blocks: &[u8]) -> Vec<u8> {
    let mut out = b"LFBUNDL1".to_vec();
    out.extend_from_slice(&1_u32.to_le_bytes());
    out.extend_from_slice(&u32::try_from(manifest.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&u32::try_from(list.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&(blocks.len() as u64).to_le_bytes());
    out.extend_from_slice(&[0; 32]);
    out.extend_from_slice(manifest);
    out.extend_from_slice(list);
    let blocks_at = out.len();
    out.extend_from_slice(blocks);
    fix_head(&mut out, blocks_at);
    out
}

/// Writes the digest that fits the head, as one would who alters it on purpose.
pub(crate) fn fix_head(bundle: &mut [u8], blocks_at: usize) {
    let mut hash = Sha256::new();
    hash.update(&bundle[..32]);
    hash.update(&bundle[64..blocks_at]);
    bundle[32..64].copy_from_slice(&hash.finalize());
}

/// Position of the first block of a well-formed bundle.
pub(crate) fn blocks_at(bundle: &[u8]) -> usize {
    let len = |at: usize| u32::from_le_bytes(bundle[at..at + 4].try_into().unwrap()) as usize;
    64 + len(12) + len(16)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256Hex::of(bytes).to_string()
}

/// A manifest with the given slots as JSON.
pub(crate) fn manifest(slots: &str) -> String {
    format!(
        r#"{{"schema":"lifeboat.release/1","spec_version":1,"min_reader":1,"name":"lab-host","version":"1","serial":1,"created":1,"arch":"x86_64","cmdline":"","slots":[{slots}]}}"#
    )
}
