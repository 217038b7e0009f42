//! One file, folder or other thing of a host's tree.

use crate::path::RelPath;

/// Owner, mode and time of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits, with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content: seconds since 1970.
    pub seconds: i64,
    /// And nanoseconds, below 1,000,000,000.
    pub nanos: u32,
}

/// An extended attribute: also ACLs, labels and capabilities are such.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Its name, such as `system.posix_acl_access`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder of the section.
    Directory,
    /// A folder that leads to what the section has, and belongs to another one: made where it is missing, else left alone.
    OnTheWay,
    /// A file.
    File {
        /// Bytes, holes counted.
        len: u64,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: Vec<u8>,
    },
    /// A further name of a file.
    HardLink {
        /// The first name, which came before in the section.
        first: RelPath,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

impl Kind {
    /// A word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Directory | Self::OnTheWay => "folder",
            Self::File { .. } => "file",
            Self::Link { .. } => "symbolic link",
            Self::HardLink { .. } => "hard link",
            Self::Fifo => "named pipe",
            Self::CharDevice { .. } => "character device",
            Self::BlockDevice { .. } => "block device",
        }
    }

    /// Whether things can lie in it.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Directory | Self::OnTheWay)
    }

    /// Whether it is a device node.
    pub fn is_device(&self) -> bool {
        matches!(self, Self::CharDevice { .. } | Self::BlockDevice { .. })
    }
}

/// One thing of a host's tree, without a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: RelPath,
    /// What.
    pub kind: Kind,
    /// Owner, mode, time.
    pub meta: Meta,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
}
