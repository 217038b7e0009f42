//! Initial RAM file systems: the "new ASCII" cpio form that Linux unpacks at boot.
//!
//! Owns: the bytes of the archive (kernel documentation, `driver-api/early-userspace/buffer-format`). Promises:
//! the same entries give the same bytes, since times, owners and inode numbers are fixed; a parent directory is
//! written before what lies in it. Does not: compress, read files, or follow links.

use std::collections::BTreeMap;

/// One thing in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Directory,
    File { mode: u32, data: Vec<u8> },
    Link { target: String },
    Character { major: u32, minor: u32 },
}

/// An archive in the making; paths are relative, without a leading slash, and sorted when written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpio {
    entries: BTreeMap<String, Entry>,
}

impl Cpio {
    /// An archive with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory and its parents.
    pub fn directory(&mut self, path: &str) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Directory);
    }

    /// Adds a file with the permission bits `mode` (for example `0o755`), and its parent directories.
    pub fn file(&mut self, path: &str, mode: u32, data: Vec<u8>) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::File { mode, data });
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Link { target: target.to_owned() });
    }

    /// Adds a character device, so that the first process has a console before anything is mounted.
    pub fn character(&mut self, path: &str, major: u32, minor: u32) {
        self.parents(path);
        self.entries.insert(path.to_owned(), Entry::Character { major, minor });
    }

    fn parents(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            if let Some(parent) = path.get(..at) {
                self.entries.entry(parent.to_owned()).or_insert(Entry::Directory);
            }
        }
    }

    /// The archive as bytes, with its trailer, padded to 512 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, (path, entry)) in (1_u32..).zip(&self.entries) {
            let (mode, data, device): (u32, &[u8], (u32, u32)) = match entry {
                Entry::Directory => (0o040_755, &[], (0, 0)),
                Entry::File { mode, data } => (0o100_000 | mode, data, (0, 0)),
                Entry::Link { target } => (0o120_777, target.as_bytes(), (0, 0)),
                Entry::Character { major, minor } => (0o020_600, &[], (*major, *minor)),
            };
            push(&mut out, number, mode, path, data, device);
        }
        push(&mut out, 0, 0, "TRAILER!!!", &[], (0, 0));
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

/// Writes one header, its name and its data, each padded to four bytes.
fn push(out: &mut Vec<u8>, inode: u32, mode: u32, path: &str, data: &[u8], device: (u32, u32)) {
    // A file of four GiB or more has no form in this archive; nothing in a lab is near it.
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
    // inode, mode, uid, gid, links, mtime, size, device of the file (2), device it stands for (2), name, check
    let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08X}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_the_same_entries_give_the_same_bytes() {
        let mut one = Cpio::new();
        one.file("lib/modules/a.ko", 0o644, vec![1, 2, 3]);
        one.character("dev/console", 5, 1);
        let mut two = Cpio::new();
        two.character("dev/console", 5, 1);
        two.file("lib/modules/a.ko", 0o644, vec![1, 2, 3]);
        assert_eq!(one.encode(), two.encode());
        let text = String::from_utf8_lossy(&one.encode()).into_owned();
        let at = |needle: &str| text.find(needle);
        assert!(at("lib\0") < at("lib/modules\0") && at("lib/modules\0") < at("lib/modules/a.ko\0"));
        assert!(text.contains("TRAILER!!!"));
        assert_eq!(one.encode().len() % 512, 0);
    }
}
