//! Making a tree.

use lifeboat_model::Sha256Hex;
use lifeboat_model::io::{ReadAt, WriteAt};

use super::hash::{hash_block, hash_blocks};
use super::shape::{FAN, Shape};
use super::superblock::encode_superblock;
use super::{BLOCK, Verity, VerityError};

/// Bytes of superblock and tree for an image of `data_len` bytes.
pub fn tree_bytes(data_len: u64) -> Result<u64, VerityError> {
    Ok(Shape::of(data_len.div_ceil(BLOCK))?.bytes)
}

/// Makes superblock and tree of the first `data_len` bytes of `data` and writes them to the front of `sink`, which has
/// [`tree_bytes`]. The last block is filled with zeros. The tree is said to lie right behind the data. `progress` gets
/// bytes done and bytes in all.
pub fn build_tree(
    data: &dyn ReadAt,
    data_len: u64,
    salt: Sha256Hex,
    sink: &mut dyn WriteAt,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verity, VerityError> {
    let data_blocks = data_len.div_ceil(BLOCK);
    let shape = Shape::of(data_blocks)?;
    if sink.size() < shape.bytes {
        return Err(VerityError::Outside { end: shape.bytes, size: sink.size() });
    }
    let Some(lowest) = shape.levels.first() else {
        let mut block = vec![0_u8; usize::try_from(BLOCK).unwrap_or(4096)];
        let len = usize::try_from(data_len).unwrap_or(0).min(block.len());
        let part = block.get_mut(..len).unwrap_or_default();
        data.read_at(0, part).map_err(|source| VerityError::Io {
            doing: "reading what is hashed",
            offset: 0,
            source,
        })?;
        return finish(data_blocks, salt, hash_block(&salt, &block), sink);
    };
    progress(0, data_len);
    hash_blocks(data, 0, data_len, data_blocks, &salt, |first, digests| {
        // 256 digests are two whole blocks; only the last piece ends in the middle of one.
        write(sink, lowest.at + first / FAN * BLOCK, digests)?;
        progress(((first + digests.len() as u64 / 32) * BLOCK).min(data_len), data_len);
        Ok(())
    })?;
    for (below, level) in shape.levels.iter().zip(shape.levels.iter().skip(1)) {
        // A 128th of the level below: 2 MiB for an image of 32 GiB.
        let mut digests = Vec::new();
        let end = below.at + below.blocks * BLOCK;
        hash_blocks(&*sink, below.at, end, below.blocks, &salt, |_, part| {
            digests.extend_from_slice(part);
            Ok(())
        })?;
        write(sink, level.at, &digests)?;
    }
    let top = shape.levels.last().map_or(BLOCK, |level| level.at);
    let mut block = vec![0_u8; usize::try_from(BLOCK).unwrap_or(4096)];
    sink.read_at(top, &mut block).map_err(|source| VerityError::Io {
        doing: "reading the top of the tree",
        offset: top,
        source,
    })?;
    finish(data_blocks, salt, hash_block(&salt, &block), sink)
}

fn finish(
    data_blocks: u64,
    salt: Sha256Hex,
    root: [u8; 32],
    sink: &mut dyn WriteAt,
) -> Result<Verity, VerityError> {
    let verity = Verity { data_blocks, hash_offset: data_blocks * BLOCK, salt, root: Sha256Hex(root) };
    write(sink, 0, &encode_superblock(&verity))?;
    Ok(verity)
}

/// Writes digests, with zeros up to the end of their last block.
fn write(sink: &mut dyn WriteAt, at: u64, bytes: &[u8]) -> Result<(), VerityError> {
    let mut whole = bytes.to_vec();
    whole.resize(bytes.len().next_multiple_of(4096), 0);
    sink.write_at(at, &whole).map_err(|source| VerityError::Io {
        doing: "writing the hash tree",
        offset: at,
        source,
    })
}
