//! Why a tree could not be made or checked.

use std::io;

use thiserror::Error;

/// Why a tree could not be made or checked. Damage is no error: it is what a check is for.
#[derive(Debug, Error)]
pub enum VerityError {
    /// There is nothing to protect.
    #[error("an empty image cannot be protected by a hash tree")]
    Empty,
    /// The image is longer than anything that can be addressed.
    #[error("an image of {bytes} bytes is too long for a hash tree")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// The tree would leave the device.
    #[error("the hash tree should end at byte {end}, and the volume ends at {size}")]
    Outside {
        /// Where the tree ends.
        end: u64,
        /// Where the volume ends.
        size: u64,
    },
    /// The block asked for is none of the image's.
    #[error("block {block} was asked for; the image has {blocks}")]
    NoBlock {
        /// The block.
        block: u64,
        /// How many there are.
        blocks: u64,
    },
    /// Reading or writing failed.
    #[error("{doing} at byte {offset}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Where.
        offset: u64,
        /// The device's error.
        #[source]
        source: io::Error,
    },
}
