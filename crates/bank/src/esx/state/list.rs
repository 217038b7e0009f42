//! What a saved state holds.

use lifeboat_model::io::ReadAt;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::paths::Paths;
use crate::esx::archive::{ArchiveError, Gunzip, TarEvent, TarKind, TarMember, TarWalk, read_extents};
use crate::esx::hex::hex;
use crate::fat::Extent;

/// Most bytes that a saved state unpacks to, with the archive inside. A real one has some megabytes.
pub const MAX_STATE: u64 = 256 << 20;
/// Most members that are listed.
const MAX_LISTED: usize = 50_000;

/// In which of the two archives a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateLayer {
    /// In `state.tgz` itself.
    Outer,
    /// In `local.tgz` inside it.
    Local,
}

/// A file of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateEntry {
    /// Where.
    pub layer: StateLayer,
    /// Path, bytes and kind.
    #[serde(flatten)]
    pub member: TarMember,
}

/// A state that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateListing {
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file in hexadecimal digits.
    pub sha256: String,
    /// Files in the order in which they lie there.
    pub entries: Vec<StateEntry>,
}

/// Lists the state that lies in `extents`. Every checksum of both archives is checked, and every path.
pub fn list_state(disk: &dyn ReadAt, extents: &[Extent]) -> Result<StateListing, ArchiveError> {
    let mut reader = StateReader::new();
    read_extents(disk, extents, &mut |bytes| reader.push(bytes))?;
    reader.finish()
}

/// Takes a state in pieces.
pub(super) struct StateReader {
    sha: Sha256,
    bytes: u64,
    gunzip: Gunzip,
    outer: TarWalk,
    content: Content,
}

/// What comes out of the outer archive.
struct Content {
    entries: Vec<StateEntry>,
    outer_paths: Paths,
    local: Option<Local>,
    has_local: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Open,
    Encrypted,
}

/// The archive inside.
struct Local {
    gunzip: Gunzip,
    walk: TarWalk,
    paths: Paths,
}

impl StateReader {
    pub(super) fn new() -> Self {
        Self {
            sha: Sha256::new(),
            bytes: 0,
            gunzip: Gunzip::new(MAX_STATE),
            outer: TarWalk::new(),
            content: Content {
                entries: Vec::new(),
                outer_paths: Paths::new(),
                local: None,
                has_local: Found::Nothing,
            },
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.sha.update(bytes);
        self.bytes += bytes.len() as u64;
        let Self { gunzip, outer, content, .. } = self;
        gunzip.push(bytes, &mut |plain| outer.push(plain, &mut |event| content.take(&event)))
    }

    pub(super) fn finish(self) -> Result<StateListing, ArchiveError> {
        let broken = |reason: &str| Err(ArchiveError::Tar { reason: reason.to_owned() });
        let (_, trailing) = self.gunzip.finish()?;
        if trailing > 0 {
            return broken("bytes follow the end of the compressed file");
        }
        if self.outer.finish()? == 0 {
            return broken("it holds no file");
        }
        if self.content.has_local == Found::Nothing {
            return broken("it holds no local.tgz, so it is not the saved state of a host");
        }
        let sha256 = hex(&self.sha.finalize());
        Ok(StateListing { bytes: self.bytes, sha256, entries: self.content.entries })
    }
}

impl Content {
    fn take(&mut self, event: &TarEvent<'_>) -> Result<(), ArchiveError> {
        match event {
            TarEvent::Member(member) => {
                self.outer_paths.check(member)?;
                let name = member.path.trim_start_matches("./");
                if name == "local.tgz" && member.kind == TarKind::File {
                    self.has_local = Found::Open;
                    self.local = Some(Local {
                        gunzip: Gunzip::new(MAX_STATE),
                        walk: TarWalk::new(),
                        paths: Paths::new(),
                    });
                } else if name == "local.tgz.ve" {
                    // Encrypted with the key of the host's TPM: nobody else reads it.
                    self.has_local = Found::Encrypted;
                }
                list(&mut self.entries, StateLayer::Outer, member)
            }
            TarEvent::Data(bytes) => {
                let Some(local) = &mut self.local else { return Ok(()) };
                let Local { gunzip, walk, paths } = local;
                let entries = &mut self.entries;
                gunzip.push(bytes, &mut |plain| {
                    walk.push(plain, &mut |event| match event {
                        TarEvent::Member(member) => {
                            paths.check(member)?;
                            list(entries, StateLayer::Local, member)
                        }
                        TarEvent::Data(_) | TarEvent::End => Ok(()),
                    })
                })
            }
            TarEvent::End => {
                if let Some(local) = self.local.take() {
                    local.gunzip.finish()?;
                    local.walk.finish()?;
                }
                Ok(())
            }
        }
    }
}

fn list(entries: &mut Vec<StateEntry>, layer: StateLayer, member: &TarMember) -> Result<(), ArchiveError> {
    if entries.len() >= MAX_LISTED {
        return Err(ArchiveError::Tar { reason: format!("it holds more than {MAX_LISTED} files") });
    }
    entries.push(StateEntry { layer, member: member.clone() });
    Ok(())
}
