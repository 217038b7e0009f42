//! Cutting slots, compressing chunks on two threads, filling a pack.
//!
//! Owns: [`PackWriter`] and [`pack_slot`]. Promises: the same bytes and settings give the same pack and the same index,
//! however the threads run; equal chunks are stored once, zeros not at all; memory is some MiB. Does not: sign.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use lifeboat_model::Sha256Hex;
use sha2::{Digest, Sha256};
use zstd::bulk::Compressor;

use crate::builder::BuildError;
use crate::chunk::{
    Chunk, ChunkCodec, ChunkHash, Chunker, Location, PACK_HEAD, PACK_HEAD_LEN, PackId, PackRef, Stored,
    StoredCheck,
};

/// Threads that compress.
const WORKERS: usize = 2;
/// Chunks on their way to each of them.
const IN_FLIGHT: usize = 8;

/// A pack that is being filled.
pub(crate) struct PackWriter<S> {
    out: S,
    len: u64,
    hash: Sha256,
    known: HashMap<ChunkHash, Location>,
    /// Where `out` stands was changed by a reader.
    moved: bool,
}

impl<S: Read + Write + Seek> PackWriter<S> {
    pub(crate) fn new(out: S) -> Self {
        Self { out, len: 0, hash: Sha256::new(), known: HashMap::new(), moved: false }
    }

    /// Name and length of what was written; nothing if there was nothing to write.
    pub(crate) fn name(&self) -> Option<PackRef> {
        let sha256 = PackId(Sha256Hex(self.hash.clone().finalize().into()));
        (self.len > 0).then_some(PackRef { sha256, len: self.len })
    }

    pub(crate) fn read(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.moved = true;
        self.out.seek(SeekFrom::Start(offset))?;
        self.out.read_exact(buf)
    }

    fn add(&mut self, packed: &Packed) -> io::Result<Chunk> {
        let Packed { hash, len, codec, stored, .. } = packed;
        let Some(codec) = *codec else {
            return Ok(Chunk { hash: *hash, len: *len, stored: Stored::Zeros });
        };
        if let Some(at) = self.known.get(hash) {
            return Ok(Chunk { hash: *hash, len: *len, stored: Stored::At(*at) });
        }
        if self.moved {
            self.out.seek(SeekFrom::Start(self.len))?;
            self.moved = false;
        }
        if self.len == 0 {
            self.out.write_all(&PACK_HEAD)?;
            self.hash.update(PACK_HEAD);
            self.len = PACK_HEAD_LEN;
        }
        self.out.write_all(stored)?;
        self.hash.update(stored);
        let stored_len = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        let check = StoredCheck::of(stored);
        let at = Location { pack: 0, offset: self.len, len: stored_len, codec, check };
        self.len += stored.len() as u64;
        self.known.insert(*hash, at);
        Ok(Chunk { hash: *hash, len: *len, stored: Stored::At(at) })
    }
}

/// A chunk on its way through a worker.
struct Packed {
    hash: ChunkHash,
    len: u32,
    /// None: zeros.
    codec: Option<ChunkCodec>,
    stored: Vec<u8>,
    /// The buffer of the chunk's own bytes, to be filled again.
    bytes: Vec<u8>,
}

/// Cuts all `len` bytes of `source` and adds them to the pack; the chunks in order and the digest of the whole.
pub(crate) fn pack_slot<S: Read + Write + Seek>(
    name: &str,
    mut source: impl Read,
    len: u64,
    chunker: Chunker,
    level: i32,
    pack: &mut PackWriter<S>,
) -> Result<(Vec<Chunk>, Sha256Hex), BuildError> {
    let read_failed = |source| BuildError::ReadSlot { slot: name.to_owned(), source };
    let mut whole = Sha256::new();
    let mut chunks = Vec::new();
    let mut at = 0_u64;
    thread::scope(|scope| {
        let mut lanes = Vec::new();
        for _ in 0..WORKERS {
            let (give, taken) = sync_channel::<(Vec<u8>, Vec<u8>)>(IN_FLIGHT);
            let (done, made) = channel::<io::Result<Packed>>();
            scope.spawn(move || compress(&taken, &done, level));
            lanes.push((give, made));
        }
        let mut filler = Filler { name, lanes: &lanes, waiting: VecDeque::new(), spare: Vec::new(), next: 0 };
        chunker
            .cut_all((&mut source).take(len), |chunk| -> Result<(), Failed> {
                at += chunk.len() as u64;
                whole.update(chunk);
                filler.push(chunk, pack, &mut chunks).map_err(Failed::Build)
            })
            .map_err(|failed| match failed {
                Failed::Read(source) => read_failed(source),
                Failed::Build(error) => error,
            })?;
        filler.drain(pack, &mut chunks)
    })?;
    if at < len {
        return Err(BuildError::SlotCut { slot: name.to_owned(), expected: len, at });
    }
    if crate::head::read_up_to(&mut source, &mut [0]).map_err(read_failed)? > 0 {
        return Err(BuildError::SlotLonger { slot: name.to_owned(), expected: len });
    }
    Ok((chunks, Sha256Hex(whole.finalize().into())))
}

enum Failed {
    Read(io::Error),
    Build(BuildError),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

type Lane = (SyncSender<(Vec<u8>, Vec<u8>)>, Receiver<io::Result<Packed>>);

/// Hands chunks to the workers in turn, and takes them back in the same order.
struct Filler<'a> {
    name: &'a str,
    lanes: &'a [Lane],
    /// Lanes that owe a chunk, oldest first.
    waiting: VecDeque<usize>,
    spare: Vec<(Vec<u8>, Vec<u8>)>,
    next: usize,
}

impl Filler<'_> {
    fn push<S: Read + Write + Seek>(
        &mut self,
        chunk: &[u8],
        pack: &mut PackWriter<S>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), BuildError> {
        if self.waiting.len() >= WORKERS * IN_FLIGHT {
            self.take(pack, chunks)?;
        }
        let (mut bytes, stored) = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(chunk);
        let lane = self.next % self.lanes.len().max(1);
        self.next += 1;
        if let Some((give, _)) = self.lanes.get(lane) {
            give.send((bytes, stored))
                .map_err(|_| self.compressing(io::Error::other("a thread ended early")))?;
            self.waiting.push_back(lane);
        }
        Ok(())
    }

    fn take<S: Read + Write + Seek>(
        &mut self,
        pack: &mut PackWriter<S>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), BuildError> {
        let Some((_, made)) = self.waiting.pop_front().and_then(|lane| self.lanes.get(lane)) else {
            return Ok(());
        };
        let packed = made.recv().map_err(|_| self.compressing(io::Error::other("a thread ended early")))?;
        let packed = packed.map_err(|source| self.compressing(source))?;
        chunks.push(pack.add(&packed).map_err(BuildError::Scratch)?);
        self.spare.push((packed.bytes, packed.stored));
        Ok(())
    }

    fn drain<S: Read + Write + Seek>(
        &mut self,
        pack: &mut PackWriter<S>,
        chunks: &mut Vec<Chunk>,
    ) -> Result<(), BuildError> {
        while !self.waiting.is_empty() {
            self.take(pack, chunks)?;
        }
        Ok(())
    }

    fn compressing(&self, source: io::Error) -> BuildError {
        BuildError::Compress { slot: self.name.to_owned(), source }
    }
}

/// A thread that compresses.
fn compress(
    taken: &Receiver<(Vec<u8>, Vec<u8>)>,
    done: &std::sync::mpsc::Sender<io::Result<Packed>>,
    level: i32,
) {
    let mut compressor = None;
    for (bytes, stored) in taken {
        if done.send(compress_one(bytes, stored, level, &mut compressor)).is_err() {
            return;
        }
    }
}

fn compress_one(
    bytes: Vec<u8>,
    mut stored: Vec<u8>,
    level: i32,
    compressor: &mut Option<Compressor<'static>>,
) -> io::Result<Packed> {
    let hash = ChunkHash::of(&bytes);
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    stored.clear();
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(Packed { hash, len, codec: None, stored, bytes });
    }
    let compressor = match compressor {
        Some(compressor) => compressor,
        none => none.insert(Compressor::new(level)?),
    };
    stored.resize(zstd::zstd_safe::compress_bound(bytes.len()), 0);
    let packed = compressor.compress_to_buffer(bytes.as_slice(), stored.as_mut_slice())?;
    stored.truncate(packed);
    let mut codec = ChunkCodec::Zstd;
    if packed >= bytes.len() {
        codec = ChunkCodec::Plain;
        stored.clear();
        stored.extend_from_slice(&bytes);
    }
    Ok(Packed { hash, len, codec: Some(codec), stored, bytes })
}
