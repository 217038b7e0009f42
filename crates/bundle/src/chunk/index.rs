//! The chunk index of a slot: what the slot is made of, and where each chunk lies.
//!
//! Owns: its binary form. Promises: after [`ChunkIndex::parse`] the lengths add up to the slot, every chunk lies inside
//! its pack, and memory is bounded by the bytes that really came. Does not: know who vouches for it; the manifest
//! names its SHA-256.

use thiserror::Error;

use super::cut::{Algorithm, Chunker, MAX_CHUNK_LEN};
use super::hash::{ChunkHash, StoredCheck};
use super::pack::{MAX_PACK_LEN, PACK_HEAD_LEN};

/// The first eight bytes of an index.
pub const INDEX_MAGIC: [u8; 8] = *b"LFINDEX1";
/// Version of its form.
pub const INDEX_VERSION: u32 = 1;
/// Bytes before the first entry.
pub(crate) const INDEX_HEAD_LEN: usize = 64;
/// Bytes of an entry.
pub(crate) const INDEX_ENTRY_LEN: usize = 64;
/// Longest index that is read: 64 MiB, a million chunks.
pub const MAX_INDEX_LEN: u64 = 64 << 20;

/// Why bytes are not an index.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IndexError {
    /// Not the magic.
    #[error("it does not begin with LFINDEX1")]
    NotAnIndex,
    /// Another version or chunker.
    #[error("its {what} is {found}, which this lifeboat does not know; use a newer lifeboat for it")]
    Unknown {
        /// Version, chunker or codec.
        what: &'static str,
        /// What it says.
        found: u32,
    },
    /// Another length than the number of its entries.
    #[error("it has {found} bytes where its {chunks} chunks take {wanted}")]
    Length {
        /// Bytes that are there.
        found: u64,
        /// Entries by its head.
        chunks: u32,
        /// Bytes that they take.
        wanted: u64,
    },
    /// Parameters that no chunker has, or reserved bytes that are not zero.
    #[error("its head is impossible: {rule}")]
    Head {
        /// What would be right.
        rule: &'static str,
    },
    /// An entry that no writer makes.
    #[error("its chunk {chunk} is impossible: {rule}")]
    Chunk {
        /// Number of the entry.
        chunk: usize,
        /// What would be right.
        rule: &'static str,
    },
    /// The chunks do not add up to the slot.
    #[error("its chunks add up to {sum} bytes and its slot has {len}")]
    Sum {
        /// Length of the slot.
        len: u64,
        /// Sum of the chunks.
        sum: u64,
    },
}

/// How a chunk's stored bytes become its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkCodec {
    /// They are the same. On disk: 0.
    Plain,
    /// One zstd frame (RFC 8878). On disk: 1.
    Zstd,
}

/// Where a chunk's stored bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Location {
    /// Number of the pack in the manifest's list.
    pub pack: u8,
    /// First byte in the pack.
    pub offset: u64,
    /// Stored length in bytes, 1 to [`MAX_CHUNK_LEN`].
    pub len: u32,
    /// How they are decoded.
    pub codec: ChunkCodec,
    /// Asked before they are.
    pub check: StoredCheck,
}

impl Location {
    /// The byte after the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        // Offsets have 48 bits.
        self.offset.saturating_add(self.len.into())
    }
}

/// What a chunk is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Nothing but zeros; takes no room in a pack. On disk: codec 255.
    Zeros,
    /// Bytes of a pack.
    At(Location),
}

/// A piece of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// BLAKE3 of its bytes.
    pub hash: ChunkHash,
    /// Length in bytes, 1 to [`MAX_CHUNK_LEN`].
    pub len: u32,
    /// What it is made from.
    pub stored: Stored,
}

/// What a slot is made of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkIndex {
    /// How it was cut.
    pub chunker: Chunker,
    /// Length of the slot in bytes.
    pub slot_len: u64,
    /// Its pieces; equal ones stand here as often as they are in the slot.
    pub chunks: Vec<Chunk>,
}

impl ChunkIndex {
    /// Each chunk with its first byte in the slot.
    pub fn placed(&self) -> impl Iterator<Item = (u64, &Chunk)> {
        self.chunks.iter().scan(0_u64, |at, chunk| {
            let here = *at;
            *at = at.saturating_add(chunk.len.into());
            Some((here, chunk))
        })
    }

    /// The only byte form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(INDEX_HEAD_LEN + self.chunks.len() * INDEX_ENTRY_LEN);
        let Chunker { algorithm, min, avg, max } = self.chunker;
        out.extend_from_slice(&INDEX_MAGIC);
        let count = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        for number in [INDEX_VERSION, algorithm.code(), min, avg, max, count] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.slot_len.to_le_bytes());
        out.resize(INDEX_HEAD_LEN, 0);
        for chunk in &self.chunks {
            let (check, stored_len, place) = match chunk.stored {
                Stored::Zeros => (StoredCheck::NONE, 0, 255 << 56),
                Stored::At(at) => {
                    let codec: u64 = match at.codec {
                        ChunkCodec::Plain => 0,
                        ChunkCodec::Zstd => 1,
                    };
                    (at.check, at.len, codec << 56 | u64::from(at.pack) << 48 | at.offset & MAX_PACK_LEN)
                }
            };
            out.extend_from_slice(&chunk.hash.0);
            out.extend_from_slice(&check.0);
            out.extend_from_slice(&chunk.len.to_le_bytes());
            out.extend_from_slice(&stored_len.to_le_bytes());
            out.extend_from_slice(&place.to_le_bytes());
        }
        out
    }

    /// Reads and checks it. `packs` are the lengths of the release's packs in the manifest's order; without them (an
    /// index that only tells what an installed image is made of) places are not compared with anything.
    pub fn parse(bytes: &[u8], packs: Option<&[u64]>) -> Result<Self, IndexError> {
        let Some((head, entries)) = bytes.split_at_checked(INDEX_HEAD_LEN) else {
            return Err(IndexError::NotAnIndex);
        };
        if !head.starts_with(&INDEX_MAGIC) {
            return Err(IndexError::NotAnIndex);
        }
        let version = u32_at(head, 8);
        if version != INDEX_VERSION {
            return Err(IndexError::Unknown { what: "version", found: version });
        }
        let algorithm = u32_at(head, 12);
        let algorithm =
            Algorithm::of_code(algorithm).ok_or(IndexError::Unknown { what: "chunker", found: algorithm })?;
        let chunker =
            Chunker { algorithm, min: u32_at(head, 16), avg: u32_at(head, 20), max: u32_at(head, 24) };
        if !chunker.is_possible() {
            return Err(IndexError::Head { rule: "min <= avg <= max <= 1 MiB, and avg a power of two" });
        }
        if head.get(40..).unwrap_or_default().iter().any(|byte| *byte != 0) {
            return Err(IndexError::Head { rule: "bytes 40 to 63 must be zero" });
        }
        let count = u32_at(head, 28);
        let wanted = u64::from(count) * INDEX_ENTRY_LEN as u64;
        if entries.len() as u64 != wanted {
            let (head, found) = (INDEX_HEAD_LEN as u64, bytes.len() as u64);
            return Err(IndexError::Length { found, chunks: count, wanted: wanted + head });
        }
        let slot_len = u64_at(head, 32);
        let mut chunks = Vec::with_capacity(entries.len() / INDEX_ENTRY_LEN);
        let mut sum = 0_u64;
        for (number, entry) in entries.chunks_exact(INDEX_ENTRY_LEN).enumerate() {
            let chunk = parse_entry(entry, packs).map_err(|wrong| match wrong {
                Wrong::Rule(rule) => IndexError::Chunk { chunk: number, rule },
                Wrong::Codec(found) => IndexError::Unknown { what: "codec", found },
            })?;
            sum = sum.saturating_add(chunk.len.into());
            chunks.push(chunk);
        }
        if sum != slot_len {
            return Err(IndexError::Sum { len: slot_len, sum });
        }
        Ok(Self { chunker, slot_len, chunks })
    }
}

enum Wrong {
    Rule(&'static str),
    Codec(u32),
}

fn parse_entry(entry: &[u8], packs: Option<&[u64]>) -> Result<Chunk, Wrong> {
    let hash = ChunkHash(entry.first_chunk::<32>().copied().unwrap_or_default());
    let check = entry.get(32..48).and_then(|bytes| bytes.first_chunk::<16>());
    let check = StoredCheck(check.copied().unwrap_or_default());
    let (len, stored_len, place) = (u32_at(entry, 48), u32_at(entry, 52), u64_at(entry, 56));
    if !(1..=MAX_CHUNK_LEN).contains(&len) {
        return Err(Wrong::Rule("a chunk has 1 byte to 1 MiB"));
    }
    let [.., pack, codec] = place.to_le_bytes();
    let offset = place & MAX_PACK_LEN;
    let codec = match codec {
        0 => ChunkCodec::Plain,
        1 => ChunkCodec::Zstd,
        255 if stored_len == 0 && check == StoredCheck::NONE && place == 255 << 56 => {
            return Ok(Chunk { hash, len, stored: Stored::Zeros });
        }
        255 => return Err(Wrong::Rule("zeros have no stored bytes")),
        other => return Err(Wrong::Codec(other.into())),
    };
    if !(1..=MAX_CHUNK_LEN).contains(&stored_len) {
        return Err(Wrong::Rule("stored bytes are 1 byte to 1 MiB"));
    }
    if codec == ChunkCodec::Plain && stored_len != len {
        return Err(Wrong::Rule("a plain chunk is stored with its own length"));
    }
    let at = Location { pack, offset, len: stored_len, codec, check };
    if offset < PACK_HEAD_LEN {
        return Err(Wrong::Rule("it must lie behind the head of its pack"));
    }
    if let Some(packs) = packs {
        match packs.get(usize::from(pack)) {
            None => return Err(Wrong::Rule("its pack must be one of the release's packs")),
            Some(pack_len) if at.end() > *pack_len => return Err(Wrong::Rule("it must lie inside its pack")),
            Some(_) => {}
        }
    }
    Ok(Chunk { hash, len, stored: Stored::At(at) })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    u32::from_le_bytes(four.copied().unwrap_or_default())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    u64::from_le_bytes(eight.copied().unwrap_or_default())
}
