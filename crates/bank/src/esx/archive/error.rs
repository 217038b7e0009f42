//! What can be wrong with an archive.

use std::io;

use thiserror::Error;

/// Why an archive is not whole.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The disk failed.
    #[error("it cannot be read at byte {offset} of the disk")]
    Io {
        /// Where.
        offset: u64,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// The first bytes are those of gzip, but the header is not possible.
    #[error("its gzip header is not possible: {reason}")]
    Header {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The compressed stream is broken.
    #[error("its compressed data breaks after {unpacked} bytes of content")]
    Deflate {
        /// Bytes that came out before.
        unpacked: u64,
    },
    /// The file ends inside.
    #[error("it ends too early, after {unpacked} bytes of content")]
    Cut {
        /// Bytes that came out before.
        unpacked: u64,
    },
    /// The checksum of the content is wrong.
    #[error("the checksum of its content is {found:08x}, and should be {stated:08x}")]
    Crc {
        /// CRC-32 of what came out.
        found: u32,
        /// CRC-32 that the file states.
        stated: u32,
    },
    /// The length of the content is wrong.
    #[error("its content has {found} bytes, and should have {stated} (counted in 32 bits)")]
    Length {
        /// Bytes that came out, cut to 32 bits.
        found: u32,
        /// Bytes that the file states.
        stated: u32,
    },
    /// More content than a module can have.
    #[error("its content is larger than {limit} bytes, which no file of a bank is")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The archive inside is broken.
    #[error("the archive inside is broken: {reason}")]
    Tar {
        /// What does not fit.
        reason: String,
    },
    /// Not compressed, where it has to be.
    #[error("it is not compressed with gzip")]
    NotGzip,
}
