//! The head of a bundle: header, manifest bytes, signature list.
//!
//! Owns: the fixed header and the bounds of what follows it. Promises: no length is believed before it was
//! compared with its bound; accidental damage anywhere in the head is found before anything in it is parsed.
//! Does not: trust any of it (`verify`).

use std::io::{self, Read};

use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};

use crate::contents::Contents;
use crate::error::BundleError;
use crate::signature::{Signature, parse_signatures};

/// The first eight bytes of a bundle.
pub const MAGIC: [u8; 8] = *b"LFBUNDL1";
/// Version of the container that is written: chunks. Version 1 (blocks) is read, too.
pub const FORMAT_VERSION: u32 = 2;
/// Bytes before the manifest.
pub const HEADER_LEN: u64 = 64;
/// Longest manifest that is read: 16 MiB.
pub const MAX_MANIFEST_LEN: u32 = 16 << 20;
/// Longest list of signatures that is read: 16 KiB.
pub const MAX_SIGNATURES_LEN: u32 = 16 << 10;
/// Longest list of contents that is read: 4 MiB.
pub const MAX_CONTENTS_LEN: u32 = 4 << 20;
/// Longest total of blocks that is believed: 2^50 bytes.
const MAX_BLOCKS_LEN: u64 = 1 << 50;

/// Header, manifest and signatures; well-formed, not yet trusted.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) manifest: Vec<u8>,
    pub(crate) signatures: Vec<Signature>,
    /// The same as bytes.
    pub(crate) signature_bytes: Vec<u8>,
    /// What it carries; in format 2 only.
    pub(crate) contents: Option<Contents>,
    /// Position of the first block, or of the first index.
    pub(crate) blocks_at: u64,
    /// Stored length of all blocks.
    pub(crate) blocks_len: u64,
}

impl Head {
    /// Position after the last block.
    pub(crate) fn end(&self) -> u64 {
        // Both parts are bounded: 16 MiB and 2^50.
        self.blocks_at.saturating_add(self.blocks_len)
    }

    /// Reads exactly the head and leaves `source` at the first block.
    pub(crate) fn read(source: &mut impl Read) -> Result<Self, BundleError> {
        let mut header = [0_u8; 64];
        let got = read_up_to(source, &mut header);
        let got = got.map_err(|source| BundleError::Read { at: 0, len: HEADER_LEN, source })?;
        let there = header.get(..got).unwrap_or_default();
        if !there.starts_with(&MAGIC) {
            // A few bytes of the magic and nothing more are a cut bundle, unless there are none at all.
            return Err(if got > 0 && got < MAGIC.len() && MAGIC.starts_with(there) {
                cut(got as u64, HEADER_LEN, "the header")
            } else {
                BundleError::NotABundle
            });
        }
        if got < header.len() {
            return Err(cut(got as u64, HEADER_LEN, "the header"));
        }
        let fields = Fields::parse(&header)?;
        let contents_at = HEADER_LEN + u64::from(fields.manifest_len) + u64::from(fields.signatures_len);
        let contents_len = fields.contents_len.unwrap_or(0);
        let blocks_at = contents_at + u64::from(contents_len);
        let expected = blocks_at.saturating_add(fields.blocks_len);

        let manifest = read_part(source, fields.manifest_len, HEADER_LEN, expected, "the manifest")?;
        let signatures_at = HEADER_LEN + u64::from(fields.manifest_len);
        let signatures = read_part(source, fields.signatures_len, signatures_at, expected, "the signatures")?;
        let contents = read_part(source, contents_len, contents_at, expected, "the list of contents")?;
        let found = digest(&header, &[&manifest, &signatures, &contents]);
        if found != fields.digest {
            return Err(BundleError::HeadAltered { expected: fields.digest, found });
        }
        let signature_bytes = signatures;
        let signatures = parse_signatures(&signature_bytes)?;
        let contents = fields.contents_len.map(|_| Contents::parse(&contents)).transpose()?;
        let blocks_len = fields.blocks_len;
        Ok(Self { manifest, signatures, signature_bytes, contents, blocks_at, blocks_len })
    }
}

/// The bytes of header, manifest, signatures and contents. Fails when a part is longer than a reader accepts.
pub(crate) fn encode_head(
    manifest: &[u8],
    signatures: &[u8],
    contents: &[u8],
    body_len: u64,
) -> Result<Vec<u8>, BundleError> {
    let manifest_len = bounded("manifest", manifest.len() as u64, u64::from(MAX_MANIFEST_LEN))?;
    let signatures_len = bounded("signatures", signatures.len() as u64, u64::from(MAX_SIGNATURES_LEN))?;
    let contents_len = bounded("contents", contents.len() as u64, u64::from(MAX_CONTENTS_LEN))?;
    let mut head = Vec::with_capacity(manifest.len() + signatures.len() + contents.len() + 64);
    head.extend_from_slice(&MAGIC);
    for number in [FORMAT_VERSION, manifest_len, signatures_len, contents_len] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.extend_from_slice(&body_len.to_le_bytes());
    let digest = digest(&head, &[manifest, signatures, contents]);
    head.extend_from_slice(&digest.0);
    for part in [manifest, signatures, contents] {
        head.extend_from_slice(part);
    }
    Ok(head)
}

fn bounded(what: &'static str, len: u64, max: u64) -> Result<u32, BundleError> {
    u32::try_from(len).ok().filter(|_| len <= max).ok_or(BundleError::AbsurdLength { what, len, max })
}

/// Fields of the header after magic and version.
struct Fields {
    manifest_len: u32,
    signatures_len: u32,
    /// In format 2.
    contents_len: Option<u32>,
    blocks_len: u64,
    digest: Sha256Hex,
}

impl Fields {
    fn parse(header: &[u8; 64]) -> Result<Self, BundleError> {
        let version = u32_at(header, 8);
        if version != 1 && version != FORMAT_VERSION {
            return Err(BundleError::UnsupportedFormat { found: version, known: FORMAT_VERSION });
        }
        let manifest_len = u32_at(header, 12);
        let signatures_len = u32_at(header, 16);
        let contents_len = match (version, u32_at(header, 20)) {
            (1, 0) => None,
            (1, _) => return Err(BundleError::ReservedNotZero),
            (_, len) => Some(len),
        };
        let blocks_len = u64::from(u32_at(header, 24)) | u64::from(u32_at(header, 28)) << 32;
        let mut digest = [0; 32];
        digest.copy_from_slice(header.last_chunk::<32>().unwrap_or(&[0; 32]));
        let fields =
            Self { manifest_len, signatures_len, contents_len, blocks_len, digest: Sha256Hex(digest) };
        let absurd = |what, len, max| {
            if len > max { Err(BundleError::AbsurdLength { what, len, max }) } else { Ok(()) }
        };
        absurd("manifest", manifest_len.into(), MAX_MANIFEST_LEN.into())?;
        absurd("signatures", signatures_len.into(), MAX_SIGNATURES_LEN.into())?;
        absurd("contents", contents_len.unwrap_or(0).into(), MAX_CONTENTS_LEN.into())?;
        absurd("blocks", blocks_len, MAX_BLOCKS_LEN)?;
        Ok(fields)
    }
}

fn u32_at(header: &[u8; 64], at: usize) -> u32 {
    let bytes = header.get(at..).and_then(|rest| rest.first_chunk::<4>());
    u32::from_le_bytes(bytes.copied().unwrap_or_default())
}

/// SHA-256 over the header's first 32 bytes and the parts behind it.
fn digest(header: &[u8], parts: &[&[u8]]) -> Sha256Hex {
    let mut hash = Sha256::new();
    hash.update(header.get(..32).unwrap_or(header));
    for part in parts {
        hash.update(part);
    }
    Sha256Hex(hash.finalize().into())
}

fn read_part(
    source: &mut impl Read,
    len: u32,
    at: u64,
    expected: u64,
    within: &str,
) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    // `take` grows the buffer only as bytes really come: a claimed length costs nothing.
    let got = source.take(len.into()).read_to_end(&mut bytes);
    got.map_err(|source| BundleError::Read { at, len: len.into(), source })?;
    if bytes.len() as u64 != u64::from(len) {
        return Err(cut(at.saturating_add(bytes.len() as u64), expected, within));
    }
    Ok(bytes)
}

/// Fills `buf` as far as `source` reaches; the number of bytes read.
pub(crate) fn read_up_to(source: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buf.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

pub(crate) fn cut(at: u64, expected: u64, within: &str) -> BundleError {
    BundleError::Cut { at, expected, within: within.to_owned() }
}
