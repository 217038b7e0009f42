//! Finding the chunks of an image that has no index.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;

use lifeboat_model::io::ReadAt;

use super::cut::Chunker;
use super::hash::ChunkHash;

/// Chunks on the way between the thread that cuts and the one that hashes.
const IN_FLIGHT: usize = 16;

/// Cuts `len` bytes from `base` on and hashes on a second thread; the first place of each chunk.
pub(super) fn scan(
    bytes: &dyn ReadAt,
    base: u64,
    len: u64,
    chunker: &Chunker,
) -> io::Result<HashMap<ChunkHash, (u64, u32)>> {
    thread::scope(|scope| {
        let (to_hash, cut) = mpsc::sync_channel::<(u64, Vec<u8>)>(IN_FLIGHT);
        let (give_back, spare) = mpsc::channel::<Vec<u8>>();
        let hasher = scope.spawn(move || {
            let mut chunks = HashMap::new();
            for (at, chunk) in cut {
                let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
                chunks.entry(ChunkHash::of(&chunk)).or_insert((at, len));
                let _ = give_back.send(chunk);
            }
            chunks
        });
        let mut at = 0;
        let cut_all = chunker.cut_all(Part { bytes, at: base, left: len }, |chunk| {
            let mut copy = spare.try_recv().unwrap_or_default();
            copy.clear();
            copy.extend_from_slice(chunk);
            let here = at;
            at += chunk.len() as u64;
            to_hash.send((here, copy)).map_err(|_| io::Error::other("the thread that hashes has ended"))
        });
        drop(to_hash);
        let chunks = match hasher.join() {
            Ok(chunks) => chunks,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        cut_all.map(|()| chunks)
    })
}

/// A part of a disk as a stream.
pub(crate) struct Part<'a> {
    pub(crate) bytes: &'a dyn ReadAt,
    pub(crate) at: u64,
    pub(crate) left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        if let Some(to) = buf.get_mut(..count).filter(|to| !to.is_empty()) {
            self.bytes.read_at(self.at, to)?;
        }
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
