//! Hashes of many blocks: one thread reads, two hash.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use lifeboat_model::Sha256Hex;
use lifeboat_model::io::ReadAt;
use sha2::{Digest, Sha256};

use super::shape::DIGEST;
use super::{BLOCK, VerityError};

/// Blocks of a piece: 1 MiB, whose digests fill two blocks of hashes.
pub(super) const PIECE_BLOCKS: u64 = 256;
/// Threads that hash.
const WORKERS: usize = 2;
/// Pieces that wait for each of them; with the piece's size, the memory that is needed.
const WAITING: usize = 2;
const BLOCK_LEN: usize = 4096;

/// Hash of one block as hash type 1 has it: salt, then data.
pub(super) fn hash_block(salt: &Sha256Hex, block: &[u8]) -> [u8; DIGEST] {
    let mut hasher = Sha256::new();
    hasher.update(salt.0);
    hasher.update(block);
    hasher.finalize().into()
}

fn hash_piece(salted: &Sha256, piece: &[u8]) -> Vec<u8> {
    let mut digests = Vec::with_capacity(piece.len() / BLOCK_LEN * DIGEST);
    for block in piece.chunks(BLOCK_LEN) {
        let mut hasher = salted.clone();
        hasher.update(block);
        digests.extend_from_slice(&hasher.finalize());
    }
    digests
}

struct Worker {
    work: SyncSender<Vec<u8>>,
    done: Receiver<(Vec<u8>, Vec<u8>)>,
}

/// Calls `each(first block, digests)` for all `blocks` blocks from byte `offset` on, in their order, 256 at a time.
/// Bytes from `end` on are taken for zeros and not read.
pub(super) fn hash_blocks(
    disk: &dyn ReadAt,
    offset: u64,
    end: u64,
    blocks: u64,
    salt: &Sha256Hex,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), VerityError>,
) -> Result<(), VerityError> {
    let salted = Sha256::new().chain_update(salt.0);
    thread::scope(|scope| {
        let workers: Vec<Worker> = (0..WORKERS)
            .map(|_| {
                let (work, queue) = sync_channel::<Vec<u8>>(WAITING);
                let (answer, done) = sync_channel(WAITING);
                let salted = salted.clone();
                scope.spawn(move || {
                    for piece in queue {
                        let digests = hash_piece(&salted, &piece);
                        if answer.send((piece, digests)).is_err() {
                            return;
                        }
                    }
                });
                Worker { work, done }
            })
            .collect();
        let mut spare: Vec<Vec<u8>> = Vec::new();
        let (mut sent, mut got) = (0_u64, 0_u64);
        let pieces = blocks.div_ceil(PIECE_BLOCKS);
        let of = |piece: u64| workers.get(usize::try_from(piece).unwrap_or(0) % WORKERS);
        while got < pieces {
            if sent < pieces && sent - got < (WORKERS * WAITING) as u64 {
                let first = sent * PIECE_BLOCKS;
                let len = (blocks - first).min(PIECE_BLOCKS) * BLOCK;
                let mut piece = spare.pop().unwrap_or_default();
                piece.clear();
                piece.resize(usize::try_from(len).unwrap_or(0), 0);
                let at = offset + first * BLOCK;
                let there = usize::try_from(end.saturating_sub(at).min(len)).unwrap_or(0);
                let part = piece.get_mut(..there).unwrap_or_default();
                disk.read_at(at, part).map_err(|source| VerityError::Io {
                    doing: "reading what is hashed",
                    offset: at,
                    source,
                })?;
                if let Some(worker) = of(sent) {
                    // It ends only after this end of the channel.
                    let _ = worker.work.send(piece);
                }
                sent += 1;
            } else {
                if let Some((piece, digests)) = of(got).and_then(|worker| worker.done.recv().ok()) {
                    each(got * PIECE_BLOCKS, &digests)?;
                    spare.push(piece);
                }
                got += 1;
            }
        }
        Ok(())
    })
}
