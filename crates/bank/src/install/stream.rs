//! Moving bytes in pieces of at most 1 MiB, hashed on a second thread while the first waits for the disk.

use std::sync::mpsc;

use lifeboat_model::Sha256Hex;
use lifeboat_model::io::ReadAt;
use sha2::{Digest, Sha256};

use crate::fat::{Extent, FatPiece};

/// Bytes of a piece.
pub(super) const PIECE: usize = 1 << 20;
/// Pieces on the way between the two threads; with [`PIECE`] the memory that a stream needs.
const IN_FLIGHT: usize = 4;

/// Calls `fill(at, piece)` for each piece of `total` bytes in order and returns the digest of what it left in them.
/// The length of a piece is that of the bytes it stands for; its capacity may be larger.
pub(super) fn hashed<E>(
    total: u64,
    mut fill: impl FnMut(u64, &mut Vec<u8>) -> Result<(), E>,
) -> Result<Sha256Hex, E> {
    std::thread::scope(|scope| {
        let (to_hash, filled) = mpsc::sync_channel::<Vec<u8>>(IN_FLIGHT);
        let (give_back, spare) = mpsc::channel::<Vec<u8>>();
        let hasher = scope.spawn(move || {
            let mut hasher = Sha256::new();
            for piece in filled {
                hasher.update(&piece);
                // The other side has ended early when nobody takes it back.
                let _ = give_back.send(piece);
            }
            hasher.finalize()
        });
        let mut at = 0;
        while at < total {
            let len = (total - at).min(PIECE as u64);
            let mut piece = spare.try_recv().unwrap_or_default();
            piece.resize(usize::try_from(len).unwrap_or(PIECE), 0);
            fill(at, &mut piece)?;
            at += len;
            if to_hash.send(piece).is_err() {
                break;
            }
        }
        drop(to_hash);
        match hasher.join() {
            Ok(digest) => Ok(Sha256Hex(digest.into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Digest of these runs of the disk, one after the other.
pub(super) fn hash_extents(disk: &dyn ReadAt, extents: &[Extent]) -> std::io::Result<Sha256Hex> {
    let total = extents.iter().map(|extent| extent.len).sum();
    let mut runs = extents.iter().copied();
    let mut run = runs.next();
    hashed(total, |_, piece| {
        let mut rest = piece.as_mut_slice();
        while let (Some(now), false) = (run, rest.is_empty()) {
            let len = now.len.min(rest.len() as u64);
            let (part, after) = rest.split_at_mut(usize::try_from(len).unwrap_or(0));
            disk.read_at(now.offset, part)?;
            rest = after;
            let left = Extent { offset: now.offset + len, len: now.len - len };
            run = if left.len == 0 { runs.next() } else { Some(left) };
        }
        Ok(())
    })
}

/// Calls `each(offset on the volume, bytes)` for the bytes of a piece of a FAT volume, zeros included.
pub(super) fn piece_bytes<E>(
    piece: &FatPiece<'_>,
    mut each: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let len = usize::try_from(piece.len).unwrap_or(usize::MAX);
    let mut padded = Vec::new();
    let mut at = 0;
    while at < len {
        let count = (len - at).min(PIECE);
        let there = piece.data.get(at..).unwrap_or(&[]);
        if let Some(whole) = there.get(..count) {
            each(piece.offset + at as u64, whole)?;
        } else {
            padded.clear();
            padded.extend_from_slice(there);
            padded.resize(count, 0);
            each(piece.offset + at as u64, &padded)?;
        }
        at += count;
    }
    Ok(())
}
