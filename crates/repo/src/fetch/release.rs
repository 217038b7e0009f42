//! A release by its name.

use std::path::PathBuf;
use std::sync::Arc;

use lifeboat_bundle::{ChunkedRelease, Manifest, ReleaseParts, Rules, TrustStore};

use super::source::RepoSource;
use crate::layout;
use crate::transport::Transport;
use crate::tuf::{Floor, ReleaseEntry, RepoError, TrustedRoot, View, load};

/// A release that a repository vouches for, and its packs.
#[derive(Debug)]
pub struct OpenedRelease {
    /// Which one.
    pub entry: ReleaseEntry,
    /// Manifest, signatures and indexes, byte for byte. The indexes have the digests of the manifest; whether a
    /// trusted maker signed it says [`OpenedRelease::release`].
    pub parts: ReleaseParts,
    /// Its packs, read where they are.
    pub source: RepoSource,
    /// Versions that were seen: for a floor kept elsewhere.
    pub floor: Floor,
}

/// Opens `name` (its newest release) or `name@version`. `scratch` is for whole packs, should the place have no ranges.
pub fn open_release(
    transport: &Arc<dyn Transport>,
    name: &str,
    version: Option<&str>,
    trusted: &TrustedRoot,
    scratch: PathBuf,
) -> Result<OpenedRelease, RepoError> {
    let view = load(transport, trusted)?;
    let entry = view.find(name, version)?;
    view.open(entry, scratch)
}

impl View {
    /// Opens a release of this view.
    pub fn open(&self, entry: ReleaseEntry, scratch: PathBuf) -> Result<OpenedRelease, RepoError> {
        let (manifest_bytes, signatures) = self.fetch_head(&entry)?;
        let what = format!("{}@{}", entry.name, entry.version);
        let manifest =
            Manifest::parse(&manifest_bytes).map_err(|error| RepoError::release(what.clone(), error))?;
        if manifest.name != entry.name
            || *manifest.version.0 != *entry.version
            || manifest.serial != entry.serial
        {
            return Err(RepoError::Altered { place: self.place(), what: format!("the name of {what}") });
        }
        let mut indexes = Vec::new();
        for slot in &manifest.slots {
            let Some(index) = &slot.index else { return Err(RepoError::NoChunks { what }) };
            indexes.push(self.fetch_checked(&layout::index(index.sha256)?, index.sha256, index.len)?);
        }
        let source = RepoSource::new(Arc::clone(&self.transport), &manifest, scratch);
        let parts = ReleaseParts { manifest: manifest_bytes, signatures, indexes };
        Ok(OpenedRelease { entry, parts, source, floor: self.floor() })
    }
}

impl OpenedRelease {
    /// The release behind its makers' signatures and the reader's rules: what an install needs.
    pub fn release(&self, trust: &TrustStore, rules: &Rules) -> Result<ChunkedRelease, RepoError> {
        let mut indexes = self.parts.indexes.iter();
        lifeboat_bundle::open_release(&self.parts.manifest, &self.parts.signatures, trust, rules, |_, _| {
            Ok(indexes.next().cloned().unwrap_or_default())
        })
        .map_err(|error| RepoError::release(format!("{}@{}", self.entry.name, self.entry.version), error))
    }
}
