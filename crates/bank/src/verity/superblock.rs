//! The superblock, so that `veritysetup` can open what we made. The kernel does not read it.

use lifeboat_model::Sha256Hex;

use super::{BLOCK, Verity};
use crate::bytes::put;

/// A UUID for the tree, decided by its salt (version 4 by form), so that the same release has the same bytes.
#[must_use]
pub fn uuid_of(salt: &Sha256Hex) -> [u8; 16] {
    let mut text = b"lifeboat verity uuid ".to_vec();
    text.extend_from_slice(&salt.0);
    let digest = Sha256Hex::of(&text).0;
    let mut uuid = [0_u8; 16];
    for (to, from) in uuid.iter_mut().zip(digest) {
        *to = from;
    }
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// The block that stands before the tree: superblock version 1, hash type 1, zeros behind it.
#[must_use]
pub fn encode_superblock(verity: &Verity) -> Vec<u8> {
    let mut block = vec![0_u8; usize::try_from(BLOCK).unwrap_or(4096)];
    let size = u32::try_from(BLOCK).unwrap_or(4096).to_le_bytes();
    put(&mut block, 0, b"verity\0\0");
    put(&mut block, 8, &1_u32.to_le_bytes());
    put(&mut block, 12, &1_u32.to_le_bytes());
    put(&mut block, 16, &uuid_of(&verity.salt));
    put(&mut block, 32, b"sha256");
    put(&mut block, 64, &size);
    put(&mut block, 68, &size);
    put(&mut block, 72, &verity.data_blocks.to_le_bytes());
    put(&mut block, 80, &32_u16.to_le_bytes());
    put(&mut block, 88, &verity.salt.0);
    block
}
