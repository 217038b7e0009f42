//! Checking an image, or one block of it, against a root hash.

use lifeboat_model::Sha256Hex;
use lifeboat_model::io::ReadAt;
use serde::Serialize;

use super::hash::{hash_block, hash_blocks};
use super::shape::{DIGEST, FAN, Level, Shape};
use super::superblock::encode_superblock;
use super::{BLOCK, Verity, VerityError};

/// Most blocks that are named one by one.
const NAMED: usize = 64;

/// What does not fit the root hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Damage {
    /// Blocks of data that the kernel would refuse, the first 64 by number.
    pub data: Vec<u64>,
    /// How many there are in all.
    pub data_count: u64,
    /// Blocks of hashes that are wrong, the first 64, counted from the superblock. What lies below one cannot be
    /// checked, and is refused too.
    pub tree: Vec<u64>,
    /// How many there are in all.
    pub tree_count: u64,
    /// The superblock is another one. The kernel does not read it; `veritysetup` does.
    pub superblock: bool,
}

impl Damage {
    /// Whether everything fits the root hash.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// For people: which blocks are damaged.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        let list = |blocks: &[u64]| {
            let mut text: Vec<String> = blocks.iter().take(8).map(u64::to_string).collect();
            if blocks.len() > 8 {
                text.push("…".to_owned());
            }
            text.join(", ")
        };
        if self.data_count > 0 {
            words.push(format!("{} blocks of data ({})", self.data_count, list(&self.data)));
        }
        if self.tree_count > 0 {
            words.push(format!("{} blocks of hashes ({})", self.tree_count, list(&self.tree)));
        }
        if self.superblock {
            words.push("the superblock of the tree".to_owned());
        }
        words.join(", ")
    }
}

/// Checks superblock, tree and data of the image at byte `offset` of `disk`: from the root hash down, trusting nothing
/// else. Damage is counted and the check goes on to the end; `progress` gets bytes done and bytes in all.
pub fn check_image(
    disk: &dyn ReadAt,
    offset: u64,
    verity: &Verity,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Damage, VerityError> {
    let shape = place(disk, offset, verity)?;
    let tree = offset + verity.hash_offset;
    let mut damage = Damage::default();
    let mut block = [0_u8; 4096];
    read(disk, tree, &mut block)?;
    damage.superblock = block.as_slice() != encode_superblock(verity).as_slice();
    let mut above: Option<Level> = None;
    for level in shape.levels.iter().rev() {
        let at = tree + level.at;
        let end = at + level.blocks * BLOCK;
        hash_blocks(disk, at, end, level.blocks, &verity.salt, |first, digests| {
            each_wrong(disk, tree, above, &verity.root, first, digests, &mut |block| {
                damage.tree_count += 1;
                if damage.tree.len() < NAMED {
                    damage.tree.push(level.at / BLOCK + block);
                }
            })
        })?;
        above = Some(*level);
    }
    let total = verity.data_bytes();
    progress(0, total);
    hash_blocks(disk, offset, offset + total, verity.data_blocks, &verity.salt, |first, digests| {
        progress((first + (digests.len() / DIGEST) as u64) * BLOCK, total);
        each_wrong(disk, tree, above, &verity.root, first, digests, &mut |block| {
            damage.data_count += 1;
            if damage.data.len() < NAMED {
                damage.data.push(block);
            }
        })
    })?;
    Ok(damage)
}

/// Whether block `block` of the data fits the root hash: the way the kernel checks it, along one path of the tree.
pub fn check_block(disk: &dyn ReadAt, offset: u64, verity: &Verity, block: u64) -> Result<bool, VerityError> {
    let shape = place(disk, offset, verity)?;
    if block >= verity.data_blocks {
        return Err(VerityError::NoBlock { block, blocks: verity.data_blocks });
    }
    let tree = offset + verity.hash_offset;
    let mut wanted = verity.root.0;
    let mut bytes = [0_u8; 4096];
    for (height, level) in shape.levels.iter().enumerate().rev() {
        // Blocks of data below one digest of this level.
        let below = (0..height).fold(1_u64, |product, _| product.saturating_mul(FAN));
        let index = block / below;
        read(disk, tree + level.at + index / FAN * BLOCK, &mut bytes)?;
        if hash_block(&verity.salt, &bytes) != wanted {
            return Ok(false);
        }
        let at = usize::try_from(index % FAN).unwrap_or(0) * DIGEST;
        wanted = bytes.get(at..at + DIGEST).and_then(|part| part.try_into().ok()).unwrap_or_default();
    }
    read(disk, offset + block * BLOCK, &mut bytes)?;
    Ok(hash_block(&verity.salt, &bytes) == wanted)
}

fn place(disk: &dyn ReadAt, offset: u64, verity: &Verity) -> Result<Shape, VerityError> {
    let shape = Shape::of(verity.data_blocks)?;
    let end = offset.saturating_add(verity.end()?);
    if end > disk.size() || verity.check().is_err() {
        return Err(VerityError::Outside { end, size: disk.size() });
    }
    Ok(shape)
}

/// Compares digests of the blocks from `first` on with what the level above (or the root hash) says of them.
fn each_wrong(
    disk: &dyn ReadAt,
    tree: u64,
    above: Option<Level>,
    root: &Sha256Hex,
    first: u64,
    digests: &[u8],
    wrong: &mut dyn FnMut(u64),
) -> Result<(), VerityError> {
    let expected = match above {
        None => root.0.to_vec(),
        Some(level) => {
            let mut expected = vec![0_u8; digests.len()];
            // 256 digests begin at a block.
            read(disk, tree + level.at + first * DIGEST as u64, &mut expected)?;
            expected
        }
    };
    for ((block, got), wanted) in
        (first..).zip(digests.chunks_exact(DIGEST)).zip(expected.chunks_exact(DIGEST))
    {
        if got != wanted {
            wrong(block);
        }
    }
    Ok(())
}

fn read(disk: &dyn ReadAt, offset: u64, bytes: &mut [u8]) -> Result<(), VerityError> {
    disk.read_at(offset, bytes).map_err(|source| VerityError::Io {
        doing: "reading the hash tree",
        offset,
        source,
    })
}
