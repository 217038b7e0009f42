//! A release goes into a repository.

use std::io;

use lifeboat_bundle::{Manifest, PackId, PackSource, ReleaseParts};
use lifeboat_model::Sha256Hex;
use lifeboat_model::io::ReadAt;
use serde::Serialize;
use tough::TargetName;

use super::publish::{Outcome, Owner, Step};
use crate::layout;
use crate::transport::{Body, Key, PutMode};
use crate::tuf::{ReleaseEntry, RepoError, target_ref};

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// The release.
    pub release: ReleaseEntry,
    /// Whether readers see it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Bytes that were uploaded of packs and indexes.
    pub uploaded: u64,
    /// Bytes that were there already.
    pub kept: u64,
}

/// A pack as something to upload.
struct PackReader<'a> {
    source: &'a dyn PackSource,
    pack: PackId,
    len: u64,
}

impl ReadAt for PackReader<'_> {
    fn size(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.source.read_at(&self.pack, offset, buf)
    }
}

impl Owner<'_> {
    /// Uploads what is missing of a release and publishes it. `source` must hold the whole packs, and their bytes must
    /// have been verified (they are named by their digest, which directories do not check).
    pub fn push(
        &self,
        parts: &ReleaseParts,
        source: &dyn PackSource,
        step: &mut dyn FnMut(Step<'_>),
    ) -> Result<Pushed, RepoError> {
        let manifest =
            Manifest::parse(&parts.manifest).map_err(|error| RepoError::release("to push", error))?;
        let mut entry = ReleaseEntry {
            name: manifest.name.clone(),
            version: manifest.version.0.clone(),
            serial: manifest.serial,
            digest: Sha256Hex::of(&parts.manifest),
            published: self.now,
            manifest_len: parts.manifest.len() as u64,
            signatures: Some((Sha256Hex::of(&parts.signatures), parts.signatures.len() as u64)),
        };
        for there in self.view.releases().iter().filter(|there| there.name == entry.name) {
            if there.digest == entry.digest {
                if there.signatures == entry.signatures {
                    let outcome = Outcome::Unchanged;
                    return Ok(Pushed { release: there.clone(), outcome, uploaded: 0, kept: 0 });
                }
                entry.published = there.published;
            } else if there.serial == entry.serial || there.version == entry.version {
                let what = format!("{}@{} (serial {})", there.name, there.version, there.serial);
                return Err(RepoError::Conflict { place: self.view.place(), what });
            }
        }
        // Names are checked before anything is uploaded.
        let names = [
            layout::manifest_target(&entry.name, entry.serial),
            layout::signatures_target(&entry.name, entry.serial),
        ];
        let (mut uploaded, mut kept) = (0, 0);
        let mut put = |key: &Key, body: &Body<'_>| -> Result<(), RepoError> {
            if self.transport().stat(key)? == Some(body.len()) {
                step(Step::Kept { key, len: body.len() });
                kept += body.len();
                return Ok(());
            }
            step(Step::Put { key, len: body.len() });
            self.transport().put(key, body, PutMode::Replace)?;
            uploaded += body.len();
            Ok(())
        };
        let mut keys: Vec<(Key, u64)> = Vec::new();
        for pack in &manifest.packs {
            let reader = PackReader { source, pack: pack.sha256, len: pack.len };
            let key = layout::pack(pack.sha256.0)?;
            put(&key, &Body::part(&reader, 0, pack.len, pack.sha256.0))?;
            keys.push((key, pack.len));
        }
        for index in &parts.indexes {
            let key = layout::index(Sha256Hex::of(index))?;
            put(&key, &Body::bytes(index))?;
            keys.push((key, index.len() as u64));
        }
        let mut targets = self.next_targets()?;
        for (name, bytes) in names.iter().zip([&parts.manifest, &parts.signatures]) {
            let key = layout::target(name, Sha256Hex::of(bytes))?;
            put(&key, &Body::bytes(bytes))?;
            keys.push((key, bytes.len() as u64));
            let told = (bytes == &parts.manifest).then_some(&entry);
            let target_name =
                TargetName::new(name.as_str()).map_err(|error| RepoError::Write(Box::new(error)))?;
            targets.targets.insert(target_name, target_ref(bytes, told)?);
        }
        // A prune that ran meanwhile may have removed what was there when we looked.
        for (key, len) in &keys {
            if self.transport().stat(key)? != Some(*len) {
                return Err(RepoError::Raced { place: self.view.place() });
            }
        }
        let outcome = self.publish(targets, step)?;
        Ok(Pushed { release: entry, outcome, uploaded, kept })
    }
}
