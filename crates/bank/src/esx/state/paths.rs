//! Paths that may come out of an archive which a host unpacks over its root.

use std::collections::HashSet;

use crate::esx::archive::{ArchiveError, TarKind, TarMember};

/// The members seen so far that lead elsewhere.
pub(super) struct Paths {
    links: HashSet<String>,
}

impl Paths {
    pub(super) fn new() -> Self {
        Self { links: HashSet::new() }
    }

    /// Refuses a member whose path leaves the root, goes through a link of the same archive, or is a device.
    pub(super) fn check(&mut self, member: &TarMember) -> Result<(), ArchiveError> {
        let refuse = |why: &str| {
            let reason = format!("{:?} {why}", shorten(&member.path));
            Err(ArchiveError::Tar { reason })
        };
        if member.path.is_empty() {
            return refuse("has no name");
        }
        if member.path.starts_with('/') {
            return refuse("is an absolute path");
        }
        let parts = member.path.split('/').filter(|part| !matches!(*part, "" | "."));
        let parts: Vec<&str> = parts.collect();
        if parts.contains(&"..") {
            return refuse("has `..` in it, which leads out of the root or hides where it leads");
        }
        let above = (1..parts.len()).filter_map(|count| parts.get(..count));
        if above.into_iter().any(|above| self.links.contains(&above.join("/"))) {
            return refuse("goes through a symbolic link of the same archive");
        }
        match &member.kind {
            TarKind::File | TarKind::Directory => Ok(()),
            TarKind::Symlink(target)
                if !target.starts_with('/') && leaves_root(parts.len().saturating_sub(1), target) =>
            {
                refuse("is a symbolic link that leads out of the root")
            }
            TarKind::Symlink(_) => {
                self.links.insert(parts.join("/"));
                Ok(())
            }
            TarKind::Hardlink(target) if !target.starts_with('/') && !leaves_root(0, target) => Ok(()),
            TarKind::Hardlink(_) => refuse("is a link that leads out of the root"),
            TarKind::Special(_) => refuse("is a device or a pipe"),
        }
    }
}

/// Whether a path that begins `depth` directories below the root climbs above it.
fn leaves_root(depth: usize, path: &str) -> bool {
    let mut depth = depth;
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

fn shorten(path: &str) -> String {
    path.chars().take(120).collect()
}
