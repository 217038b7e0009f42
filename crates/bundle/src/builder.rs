//! Making bundles.
//!
//! Owns: the manifest of a release that is being made, and signing it. Promises: the same input gives the same bytes;
//! what is written can be read by this crate; nothing goes to the output before all slots were read in full. Does not:
//! cut and compress (`pack`), find files or make temporary ones (the caller brings the scratch space).

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read, Seek, Write};

use lifeboat_model::{ReleaseRef, ReleaseVersion, Sha256Hex};
use thiserror::Error;

use crate::chunk::{ChunkHash, ChunkIndex, ChunkedRelease, Chunker, PackId, ReleaseParts};
use crate::contents::{Run, delta_runs, full_runs};
use crate::error::BundleError;
use crate::keys::SecretKey;
use crate::manifest::{
    IndexRef, Manifest, ManifestError, READER_VERSION, SCHEMA, SPEC_VERSION, Slot, Verity, slot,
};
use crate::pack::{PackWriter, pack_slot};
use crate::signature::{Signature, encode_signatures, parse_signatures};
use crate::write::write_bundle;

/// Compression level that is a good bargain of build time and size: 7 % smaller than level 3, at 100 MB a second on two
/// cores; what hosts do takes the same time.
pub const DEFAULT_LEVEL: i32 = 9;

/// Why a bundle cannot be made.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The release would be one that no reader accepts.
    #[error("the release cannot be described")]
    Manifest(#[from] ManifestError),
    /// A part of the bundle would be one that no reader accepts.
    #[error("the bundle would not be readable")]
    Form(#[source] BundleError),
    /// A slot's source ended early.
    #[error(
        "slot {slot} was announced with {expected} bytes, but its source ends at {at}; was it changed meanwhile?"
    )]
    SlotCut {
        /// Name of the slot.
        slot: String,
        /// Announced length.
        expected: u64,
        /// Bytes that came.
        at: u64,
    },
    /// A slot's source goes on.
    #[error(
        "slot {slot} was announced with {expected} bytes, but its source is longer; was it changed meanwhile?"
    )]
    SlotLonger {
        /// Name of the slot.
        slot: String,
        /// Announced length.
        expected: u64,
    },
    /// An earlier slot failed.
    #[error("slot {slot} could not be read in full, so the bundle cannot be finished; begin it again")]
    Incomplete {
        /// Name of the slot.
        slot: String,
    },
    /// No key was given.
    #[error("a release must be signed: give at least one secret key")]
    NoKey,
    /// One key was given twice.
    #[error("key {key} is given twice; give each secret key once")]
    KeyTwice {
        /// Its id.
        key: crate::keys::KeyId,
    },
    /// A slot's source failed.
    #[error("reading slot {slot} failed")]
    ReadSlot {
        /// Name of the slot.
        slot: String,
        /// The source's own error.
        #[source]
        source: io::Error,
    },
    /// The compressor failed.
    #[error("compressing a chunk of slot {slot} failed")]
    Compress {
        /// Name of the slot.
        slot: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The scratch space failed.
    #[error("the scratch space for compressed chunks failed; is there room for the whole bundle?")]
    Scratch(#[source] io::Error),
    /// The output failed.
    #[error("writing the bundle failed")]
    Output(#[source] io::Error),
}

/// What a maker says about a release.
#[derive(Debug, Clone)]
pub struct ReleaseDraft {
    /// Product line.
    pub name: String,
    /// Version for people.
    pub version: String,
    /// Must be greater than that of every release of the line before it.
    pub serial: u64,
    /// Unix seconds.
    pub created: u64,
    /// Unix seconds, if it shall not be installed for ever.
    pub expires: Option<u64>,
    /// As `uname -m` says it.
    pub arch: String,
    /// Further options for the kernel.
    pub cmdline: String,
}

/// Collects slots, then writes the bundle.
pub struct BundleBuilder<S> {
    manifest: Manifest,
    indexes: Vec<ChunkIndex>,
    pack: PackWriter<S>,
    chunker: Chunker,
    level: i32,
    /// The slot whose bytes did not all come.
    incomplete: Option<String>,
}

impl<S> fmt::Debug for BundleBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleBuilder")
            .field("manifest", &self.manifest)
            .field("chunker", &self.chunker)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// What a bundle may leave out: chunks that every host with this release has.
#[derive(Debug, Clone)]
pub struct DeltaBase {
    release: ReleaseRef,
    root: HashSet<ChunkHash>,
}

impl DeltaBase {
    /// The chunks of the root image of `release`. What else it holds lies on no host in a form that can be cut again.
    pub fn new(release: &ChunkedRelease) -> Result<Self, BundleError> {
        let root = release.index(slot::ROOT)?.chunks.iter().map(|chunk| chunk.hash).collect();
        Ok(Self { release: release.release().clone(), root })
    }

    /// Which release it is.
    #[must_use]
    pub fn release(&self) -> &ReleaseRef {
        &self.release
    }

    /// The runs of `release` that a host with the base lacks.
    #[must_use]
    pub fn runs(&self, release: &ChunkedRelease) -> Vec<Run> {
        delta_runs(release, |slot, hash| slot != slot::ROOT || !self.root.contains(hash))
    }
}

impl<S: Read + Write + Seek> BundleBuilder<S> {
    /// Begins a bundle. `scratch` is empty and has room for all compressed chunks.
    pub fn new(draft: ReleaseDraft, scratch: S) -> Result<Self, BuildError> {
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            spec_version: SPEC_VERSION,
            min_reader: READER_VERSION,
            name: draft.name,
            version: ReleaseVersion(draft.version),
            serial: draft.serial,
            created: draft.created,
            expires: draft.expires,
            arch: draft.arch,
            cmdline: draft.cmdline,
            slots: Vec::new(),
            packs: Vec::new(),
        };
        manifest.check()?;
        Ok(Self {
            manifest,
            indexes: Vec::new(),
            pack: PackWriter::new(scratch),
            chunker: Chunker::default(),
            level: DEFAULT_LEVEL,
            incomplete: None,
        })
    }

    /// Compression level of zstd, 1 (fast) to 19 (small).
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = level.clamp(1, 19);
        self
    }

    /// How slots that are added from now on are cut. Releases of one line should be cut alike. A chunker that no reader
    /// takes is ignored.
    #[must_use]
    pub fn chunker(mut self, chunker: Chunker) -> Self {
        if chunker.is_possible() {
            self.chunker = chunker;
        }
        self
    }

    /// Reads all `len` bytes of `source` into a slot. Slots keep the order in which they are added. Two threads
    /// compress; memory is some MiB.
    pub fn add_slot(&mut self, name: &str, source: impl Read, len: u64) -> Result<(), BuildError> {
        if let Some(slot) = self.incomplete.clone() {
            return Err(BuildError::Incomplete { slot });
        }
        self.incomplete = Some(name.to_owned());
        let nothing = ChunkIndex { chunker: self.chunker, slot_len: 0, chunks: Vec::new() };
        let placeholder = Slot {
            name: name.to_owned(),
            len: 0,
            sha256: Sha256Hex::of(b""),
            blocks: Vec::new(),
            index: Some(index_ref(&nothing.encode())),
            verity: None,
        };
        self.manifest.slots.push(placeholder);
        // The name is refused before its bytes are read.
        self.manifest.check()?;
        let (chunks, sha256) = pack_slot(name, source, len, self.chunker, self.level, &mut self.pack)?;
        let index = ChunkIndex { chunker: self.chunker, slot_len: len, chunks };
        if let Some(slot) = self.manifest.slots.last_mut() {
            slot.len = len;
            slot.sha256 = sha256;
            slot.index = Some(index_ref(&index.encode()));
        }
        self.indexes.push(index);
        self.incomplete = None;
        Ok(())
    }

    /// Says that the slot added last ends with this hash tree.
    pub fn with_verity(&mut self, verity: Verity) -> Result<(), BuildError> {
        if let Some(slot) = self.manifest.slots.last_mut() {
            slot.verity = Some(verity);
        }
        Ok(self.manifest.check()?)
    }

    /// Signs the release and writes the bundle; the caller makes it durable. Refused after an error of
    /// [`BundleBuilder::add_slot`].
    pub fn finish(self, keys: &[&SecretKey], out: &mut impl Write) -> Result<ReleaseRef, BuildError> {
        self.finish_for(keys, None, out).map(|(release, _)| release)
    }

    /// The same; with a base only what it lacks is written. The release is the same one. Also returns the bytes of the
    /// pack that were written, and all of its bytes.
    pub fn finish_for(
        mut self,
        keys: &[&SecretKey],
        base: Option<&DeltaBase>,
        out: &mut impl Write,
    ) -> Result<(ReleaseRef, Carried), BuildError> {
        if keys.is_empty() {
            return Err(BuildError::NoKey);
        }
        if let Some(slot) = self.incomplete {
            return Err(BuildError::Incomplete { slot });
        }
        self.manifest.packs.extend(self.pack.name());
        let manifest = self.manifest.encode()?;
        let mut signatures: Vec<Signature> = Vec::new();
        for key in keys {
            if signatures.iter().any(|earlier| earlier.key == key.id()) {
                return Err(BuildError::KeyTwice { key: key.id() });
            }
            signatures.push(Signature::make(&manifest, key));
        }
        let signatures = encode_signatures(&signatures).map_err(BuildError::Form)?;
        // What no reader would take must not leave the maker.
        Manifest::parse(&manifest)?;
        parse_signatures(&signatures).map_err(BuildError::Form)?;
        let release = self.manifest.release_ref(Sha256Hex::of(&manifest));
        let indexes: Vec<Vec<u8>> = self.indexes.iter().map(ChunkIndex::encode).collect();
        let chunked = ChunkedRelease::new(self.manifest.clone(), release.clone(), &indexes)
            .map_err(BuildError::Form)?;
        let runs = base.map_or_else(|| full_runs(&self.manifest), |base| base.runs(&chunked));
        let carried = Carried {
            bytes: runs.iter().map(|run| run.len).sum(),
            of: self.manifest.packs.iter().map(|pack| pack.len).sum(),
        };
        let parts = ReleaseParts { manifest, signatures, indexes };
        let mut read = |_: &PackId, offset: u64, buf: &mut [u8]| self.pack.read(offset, buf);
        write_bundle(&parts, base.map(|base| &base.release), &runs, &mut read, out).map_err(|error| {
            match error {
                BundleError::Write { source } => BuildError::Output(source),
                BundleError::ReadPack { source, .. } => BuildError::Scratch(source),
                other => BuildError::Form(other),
            }
        })?;
        Ok((release, carried))
    }
}

/// How much of its packs a bundle carries, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Carried.
    pub bytes: u64,
    /// All of them.
    pub of: u64,
}

fn index_ref(bytes: &[u8]) -> IndexRef {
    IndexRef { sha256: Sha256Hex::of(bytes), len: bytes.len() as u64 }
}
