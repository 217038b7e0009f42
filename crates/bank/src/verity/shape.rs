//! Where the levels of a tree lie.

use super::{BLOCK, VerityError};

/// Digests in a block of hashes.
pub(super) const FAN: u64 = BLOCK / DIGEST as u64;
/// Bytes of a digest.
pub(super) const DIGEST: usize = 32;

/// One level of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// First byte, counted from the superblock.
    pub(super) at: u64,
    /// Blocks of hashes.
    pub(super) blocks: u64,
}

/// The levels of a tree, the lowest (hashes of data) first. The highest lies first on the disk, behind the superblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) levels: Vec<Level>,
    /// Superblock and tree.
    pub(super) bytes: u64,
}

impl Shape {
    /// The shape for so many blocks of data. One block needs no tree: the root hash is its hash.
    pub(super) fn of(data_blocks: u64) -> Result<Self, VerityError> {
        if data_blocks == 0 {
            return Err(VerityError::Empty);
        }
        // So that every sum below stays far from the end of 64 bits.
        if data_blocks > 1 << 50 {
            return Err(VerityError::TooLong { bytes: data_blocks.saturating_mul(BLOCK) });
        }
        let mut counts = Vec::new();
        let mut below = data_blocks;
        while below > 1 {
            below = below.div_ceil(FAN);
            counts.push(below);
        }
        let mut at = BLOCK;
        let mut levels = Vec::new();
        for blocks in counts.into_iter().rev() {
            levels.push(Level { at, blocks });
            at += blocks * BLOCK;
        }
        levels.reverse();
        Ok(Self { levels, bytes: at })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_levels_lie_top_first_and_one_block_needs_none() {
        assert_eq!(Shape::of(1).unwrap(), Shape { levels: vec![], bytes: 4096 });
        assert_eq!(Shape::of(128).unwrap().levels, [Level { at: 4096, blocks: 1 }]);
        let two = [Level { at: 8192, blocks: 2 }, Level { at: 4096, blocks: 1 }];
        assert_eq!(Shape::of(129).unwrap(), Shape { levels: two.to_vec(), bytes: 4 * 4096 });
        assert!(Shape::of(0).is_err() && Shape::of(u64::MAX).is_err());
    }
}
