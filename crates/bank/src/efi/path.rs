//! Device paths (UEFI 2.10 §10.3): where a boot entry's program lies.

use crate::guid::Guid;

/// Longest device path that is read; firmware writes a few hundred bytes.
const LONGEST: usize = 16 * 1024;

/// Why bytes are no device path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No end node, or a node that leaves the bytes.
    #[error("the device path ends inside its node at byte {at}")]
    Truncated {
        /// First byte of the node.
        at: usize,
    },
    /// A node that is shorter than its own header or its type asks for.
    #[error("the device path has a node of impossible length {length} at byte {at}")]
    NodeLength {
        /// First byte of the node.
        at: usize,
        /// Its announced length.
        length: usize,
    },
    /// A file node that is not UTF-16 with a NUL.
    #[error("the device path names its file by bytes that are no UTF-16 text, at byte {at}")]
    FileName {
        /// First byte of the node.
        at: usize,
    },
    /// More bytes than any firmware writes.
    #[error("the device path has {length} bytes; more than {LONGEST} are not read")]
    TooLong {
        /// Length that was offered.
        length: usize,
    },
}

/// A partition of a disk (type 4, subtype 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HardDrive {
    /// Number of the partition, from 1.
    pub number: u32,
    /// First block.
    pub first_lba: u64,
    /// Length in blocks.
    pub blocks: u64,
    /// Unique GUID of the partition; for MBR disks the disk's signature in the first four bytes.
    pub guid: Guid,
    /// 1 = MBR, 2 = GPT.
    pub table: u8,
    /// 0 = none, 1 = MBR signature, 2 = GUID.
    pub signature: u8,
}

impl HardDrive {
    /// A partition of a GPT disk.
    #[must_use]
    pub fn gpt(number: u32, first_lba: u64, blocks: u64, guid: Guid) -> Self {
        Self { number, first_lba, blocks, guid, table: 2, signature: 2 }
    }
}

/// One node of a device path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A partition.
    HardDrive(HardDrive),
    /// A file, with backslashes, from the root of the volume.
    File(String),
    /// Anything else, kept as it is.
    Other {
        /// Type of the node.
        kind: u8,
        /// Subtype of the node.
        subtype: u8,
        /// Bytes behind its four-byte header.
        data: Vec<u8>,
    },
}

/// A device path without its end node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DevicePath(pub Vec<Node>);

impl DevicePath {
    /// The short form that boot entries for files on partitions have: partition, then file.
    #[must_use]
    pub fn file_on(drive: HardDrive, file: &str) -> Self {
        Self(vec![Node::HardDrive(drive), Node::File(file.to_owned())])
    }

    /// Partition and file, if the path names both: file nodes behind the partition are joined.
    #[must_use]
    pub fn target(&self) -> Option<(&HardDrive, String)> {
        let at = self.0.iter().position(|node| matches!(node, Node::HardDrive(_)))?;
        let (Node::HardDrive(drive), rest) = self.0.get(at..)?.split_first()? else { return None };
        let mut file = String::new();
        for node in rest {
            let Node::File(part) = node else { return None };
            if !file.is_empty() && !file.ends_with('\\') && !part.starts_with('\\') {
                file.push('\\');
            }
            file.push_str(part);
        }
        (!file.is_empty()).then_some((drive, file))
    }

    /// Bytes with the end node.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for node in &self.0 {
            match node {
                Node::HardDrive(drive) => {
                    header(&mut out, 4, 1, 38);
                    out.extend_from_slice(&drive.number.to_le_bytes());
                    out.extend_from_slice(&drive.first_lba.to_le_bytes());
                    out.extend_from_slice(&drive.blocks.to_le_bytes());
                    out.extend_from_slice(&drive.guid.0);
                    out.extend_from_slice(&[drive.table, drive.signature]);
                }
                Node::File(text) => {
                    let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
                    header(&mut out, 4, 4, units.len() * 2);
                    out.extend(units.into_iter().flat_map(u16::to_le_bytes));
                }
                Node::Other { kind, subtype, data } => {
                    header(&mut out, *kind, *subtype, data.len());
                    out.extend_from_slice(data);
                }
            }
        }
        header(&mut out, 0x7f, 0xff, 0);
        out
    }

    /// Reads a device path up to the end of its first instance's end node; bytes behind it are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, PathError> {
        if bytes.len() > LONGEST {
            return Err(PathError::TooLong { length: bytes.len() });
        }
        let mut nodes = Vec::new();
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let &[kind, subtype, low, high, ..] = rest else { return Err(PathError::Truncated { at }) };
            let length = usize::from(u16::from_le_bytes([low, high]));
            if length < 4 {
                return Err(PathError::NodeLength { at, length });
            }
            let data = rest.get(4..length).ok_or(PathError::Truncated { at })?;
            if kind == 0x7f {
                return Ok(Self(nodes));
            }
            nodes.push(decode_node(at, kind, subtype, data)?);
            at += length;
        }
    }
}

fn header(out: &mut Vec<u8>, kind: u8, subtype: u8, data: usize) {
    // A node that passes 64 KiB cannot be said; such text never comes from this crate.
    let length = u16::try_from(data + 4).unwrap_or(u16::MAX).to_le_bytes();
    out.extend_from_slice(&[kind, subtype, length[0], length[1]]);
}

fn decode_node(at: usize, kind: u8, subtype: u8, data: &[u8]) -> Result<Node, PathError> {
    match (kind, subtype) {
        (4, 1) => {
            let wrong = PathError::NodeLength { at, length: data.len() + 4 };
            let bytes: &[u8; 38] = data.try_into().map_err(|_| wrong)?;
            let le = |from: usize, len: usize| {
                let field = bytes.get(from..from + len).unwrap_or_default();
                field.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte))
            };
            let mut guid = Guid::NIL;
            guid.0.copy_from_slice(&bytes[20..36]);
            Ok(Node::HardDrive(HardDrive {
                number: u32::try_from(le(0, 4)).unwrap_or(u32::MAX),
                first_lba: le(4, 8),
                blocks: le(12, 8),
                guid,
                table: bytes[36],
                signature: bytes[37],
            }))
        }
        (4, 4) => {
            let units: Vec<u16> =
                data.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            let (Some((0, text)), 0) = (units.split_last(), data.len() % 2) else {
                return Err(PathError::FileName { at });
            };
            let text = String::from_utf16(text).map_err(|_| PathError::FileName { at })?;
            if text.contains('\0') { Err(PathError::FileName { at }) } else { Ok(Node::File(text)) }
        }
        (kind, subtype) => Ok(Node::Other { kind, subtype, data: data.to_vec() }),
    }
}
