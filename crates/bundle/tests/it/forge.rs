//! Bundles for tests: small good ones of both formats, and a second writer of format 1, made from the format's document
//! alone, which signs whatever it is told to. (The program itself writes format 2 only.)

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

/// Format 1: a bundle of some 1,300 bytes with a compressed, a plain and an empty slot, signed by key 1.
pub(crate) fn small() -> Vec<u8> {
    let kernel = noise(90);
    let root = [b'r'; 400];
    build_blocks(&[("kernel", &kernel), ("root", &root), ("osrel", OSREL), ("stub", b"")], &[1])
}

/// Format 2: the same slots.
pub(crate) fn small_chunked() -> Vec<u8> {
    let kernel = noise(90);
    let root = [b'r'; 400];
    build(draft(), &[("kernel", &kernel), ("root", &root), ("osrel", OSREL), ("stub", b"")], &[&key(1)])
}

/// A bundle of format 1 with blocks of 1 MiB, signed by the keys of `seeds`.
pub(crate) fn build_blocks(slots: &[(&str, &[u8])], seeds: &[u8]) -> Vec<u8> {
    let ReleaseDraft { name, version, serial, created, expires, arch, cmdline } = draft();
    let (mut body, mut described) = (Vec::new(), Vec::new());
    for (name, bytes) in slots {
        let mut blocks = Vec::new();
        for block in bytes.chunks(1 << 20) {
            let packed = zstd::bulk::compress(block, 3).unwrap();
            let (codec, stored) =
                if packed.len() < block.len() { ("zstd", packed.as_slice()) } else { ("none", block) };
            body.extend_from_slice(stored);
            blocks.push(format!(
                r#"{{"len":{},"stored_len":{},"codec":"{codec}","sha256":"{}"}}"#,
                block.len(),
                stored.len(),
                sha256(stored)
            ));
        }
        let (len, digest, blocks) = (bytes.len(), sha256(bytes), blocks.join(","));
        described.push(format!(r#"{{"name":"{name}","len":{len},"sha256":"{digest}","blocks":[{blocks}]}}"#));
    }
    let (expires, slots) = (expires.unwrap(), described.join(","));
    let manifest = format!(
        r#"{{"schema":"lifeboat.release/1","spec_version":1,"min_reader":1,"name":"{name}","version":"{version}","serial":{serial},"created":{created},"expires":{expires},"arch":"{arch}","cmdline":"{cmdline}","slots":[{slots}]}}"#
    );
    head(manifest.as_bytes(), signatures(&manifest, seeds).as_bytes(), &body)
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
    head(manifest.as_bytes(), signatures(manifest, &[seed]).as_bytes(), blocks)
}

/// The signature list over any manifest.
pub(crate) fn signatures(manifest: &str, seeds: &[u8]) -> String {
    let mut message = b"lifeboat release manifest, signing rules 1\0".to_vec();
    message.extend_from_slice(manifest.as_bytes());
    let mut list = Vec::new();
    for seed in seeds {
        // A digest is printed as hexadecimal digits; a signature is as long as two of them.
        let bytes = SigningKey::from_bytes(&[*seed; 32]).sign(&message).to_bytes();
        let half = |at: usize| Sha256Hex(bytes[at..at + 32].try_into().unwrap());
        let sig = format!("{}{}", half(0), half(32));
        let public = PublicKey::parse(&key(*seed).public().to_text()).unwrap();
        list.push(format!(r#"{{"key_id":"{}","algorithm":"ed25519","sig":"{sig}"}}"#, public.id()));
    }
    format!(r#"{{"schema":"lifeboat.signatures/1","signatures":[{}]}}"#, list.join(","))
}

/// Format 2 of any manifest, signed by key 1, with this list of contents and these bytes behind it.
pub(crate) fn forge_chunked(manifest: &str, contents: &str, body: &[u8]) -> Vec<u8> {
    let list = signatures(manifest, &[1]);
    let mut out = b"LFBUNDL1".to_vec();
    let lens = [manifest.len(), list.len(), contents.len()];
    for number in [2].into_iter().chain(lens.iter().map(|len| u32::try_from(*len).unwrap())) {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(body.len() as u64).to_le_bytes());
    out.extend_from_slice(&[0; 32]);
    for part in [manifest, &list, contents] {
        out.extend_from_slice(part.as_bytes());
    }
    let body_at = out.len();
    out.extend_from_slice(body);
    fix_head(&mut out, body_at);
    out
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

/// Position of the first block or index of a well-formed bundle.
pub(crate) fn blocks_at(bundle: &[u8]) -> usize {
    let len = |at: usize| u32::from_le_bytes(bundle[at..at + 4].try_into().unwrap()) as usize;
    64 + len(12) + len(16) + len(20)
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

/// A bundle of format 2 with this index and this pack as its only slot, `root`.
pub(crate) fn one_chunked(index: &lifeboat_bundle::ChunkIndex, pack: &[u8], whole: &[u8]) -> Vec<u8> {
    let bytes = index.encode();
    let slot = format!(
        r#"{{"name":"root","len":{},"sha256":"{}","index":{{"sha256":"{}","len":{}}}}}"#,
        whole.len(),
        sha256(whole),
        sha256(&bytes),
        bytes.len()
    );
    let manifest = manifest(&slot)
        .replace("lifeboat.release/1", "lifeboat.release/2")
        .replace(r#""min_reader":1"#, r#""min_reader":2"#);
    let packs = format!(r#","packs":[{{"sha256":"{}","len":{}}}]}}"#, sha256(pack), pack.len());
    let manifest = format!("{}{packs}", manifest.strip_suffix('}').unwrap());
    let contents = format!(r#"{{"schema":"lifeboat.contents/1","runs":[[0,0,{}]]}}"#, pack.len());
    forge_chunked(&manifest, &contents, &[&bytes, pack].concat())
}
