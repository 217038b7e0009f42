//! Numbers and limits of the stream of entries.

/// First bytes of a file.
pub(super) const MAGIC: &[u8; 8] = b"LFHOSTST";
/// Bytes before the first section.
pub(super) const PREAMBLE: u64 = 64;
/// Longest index.
pub(super) const INDEX_LIMIT: u64 = 16 << 20;
/// Most sections of a file.
pub(super) const SECTION_LIMIT: usize = 64;
/// Most entries of a section.
pub(super) const ENTRY_LIMIT: u64 = 1_000_000;
/// Longest document.
pub(super) const DOCUMENT_LIMIT: u64 = 64 << 20;
/// Longest piece of a file's content.
pub(crate) const PIECE_LIMIT: usize = 1 << 20;
/// Largest file: larger ones are named, not carried.
pub(super) const FILE_LIMIT: u64 = 1 << 30;
/// Most extended attributes of an entry.
pub(super) const XATTR_LIMIT: usize = 256;
/// Longest value of one: the kernel's limit.
pub(super) const XATTR_VALUE_LIMIT: usize = 1 << 16;
/// Longest target of a link: the kernel's limit.
pub(super) const TARGET_LIMIT: u64 = 4095;
/// Largest window that a reader gives the decompressor, as a power of two.
pub(super) const WINDOW_LOG: u32 = 23;

/// Kinds of records.
pub(super) mod kind {
    /// End of the section.
    pub(in super::super) const END: u8 = 0;
    /// A folder.
    pub(in super::super) const DIRECTORY: u8 = 1;
    /// A file.
    pub(in super::super) const FILE: u8 = 2;
    /// A symbolic link.
    pub(in super::super) const LINK: u8 = 3;
    /// A hard link.
    pub(in super::super) const HARD_LINK: u8 = 4;
    /// A named pipe.
    pub(in super::super) const FIFO: u8 = 5;
    /// A character device.
    pub(in super::super) const CHAR_DEVICE: u8 = 6;
    /// A block device.
    pub(in super::super) const BLOCK_DEVICE: u8 = 7;
    /// A folder on the way.
    pub(in super::super) const ON_THE_WAY: u8 = 8;
    /// A document.
    pub(in super::super) const DOCUMENT: u8 = 16;
}
