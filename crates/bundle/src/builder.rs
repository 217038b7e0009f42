//! Making bundles.
//!
//! Owns: cutting slots into blocks, compressing them, writing and signing the bundle. Promises: the same input
//! gives the same bytes; what is written can be read by this crate; nothing goes to the output before all slots
//! were read in full. Does not: find files or make temporary ones (the caller brings the scratch space).

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use lifeboat_model::{ReleaseRef, ReleaseVersion, Sha256Hex};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zstd::bulk::Compressor;

use crate::error::BundleError;
use crate::head::{encode_head, read_up_to};
use crate::keys::SecretKey;
use crate::manifest::{
    Block, Codec, Manifest, ManifestError, READER_VERSION, SCHEMA, SPEC_VERSION, Slot, WRITE_BLOCK_LEN,
};
use crate::signature::{Signature, encode_signatures, parse_signatures};

/// Compression level that is a good bargain of build time and size.
pub const DEFAULT_LEVEL: i32 = 3;

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
    #[error("compressing a block of slot {slot} failed")]
    Compress {
        /// Name of the slot.
        slot: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The scratch space failed.
    #[error("the scratch space for compressed blocks failed; is there room for the whole bundle?")]
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
    scratch: S,
    stored: u64,
    compressor: Option<Compressor<'static>>,
    level: i32,
    /// The slot whose bytes did not all come.
    incomplete: Option<String>,
}

impl<S> fmt::Debug for BundleBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleBuilder")
            .field("manifest", &self.manifest)
            .field("stored", &self.stored)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

impl<S: Read + Write + Seek> BundleBuilder<S> {
    /// Begins a bundle. `scratch` is empty and has room for all compressed blocks.
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
        };
        manifest.check()?;
        Ok(Self { manifest, scratch, stored: 0, compressor: None, level: DEFAULT_LEVEL, incomplete: None })
    }

    /// Compression level of zstd, 1 (fast) to 19 (small).
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = level.clamp(1, 19);
        self.compressor = None;
        self
    }

    /// Reads all `len` bytes of `source` into a slot. Slots keep the order in which they are added.
    pub fn add_slot(&mut self, name: &str, mut source: impl Read, len: u64) -> Result<(), BuildError> {
        if let Some(slot) = self.incomplete.clone() {
            return Err(BuildError::Incomplete { slot });
        }
        self.incomplete = Some(name.to_owned());
        let placeholder =
            Slot { name: name.to_owned(), len: 0, sha256: Sha256Hex::of(b""), blocks: Vec::new() };
        self.manifest.slots.push(placeholder);
        // The name is refused before its bytes are read.
        self.manifest.check()?;
        let mut whole = Sha256::new();
        let mut blocks = Vec::new();
        let mut buf = vec![0; WRITE_BLOCK_LEN as usize];
        let mut done = 0_u64;
        while done < len {
            let want = usize::try_from(len - done).unwrap_or(usize::MAX).min(buf.len());
            let part = buf.get_mut(..want).unwrap_or_default();
            let got = read_up_to(&mut source, part);
            let got = got.map_err(|source| BuildError::ReadSlot { slot: name.to_owned(), source })?;
            done += got as u64;
            if got < want {
                return Err(BuildError::SlotCut { slot: name.to_owned(), expected: len, at: done });
            }
            whole.update(&*part);
            blocks.push(self.write_block(name, part)?);
        }
        let more = read_up_to(&mut source, &mut [0]);
        if more.map_err(|source| BuildError::ReadSlot { slot: name.to_owned(), source })? > 0 {
            return Err(BuildError::SlotLonger { slot: name.to_owned(), expected: len });
        }
        if let Some(slot) = self.manifest.slots.last_mut() {
            slot.len = len;
            slot.sha256 = Sha256Hex(whole.finalize().into());
            slot.blocks = blocks;
        }
        self.incomplete = None;
        Ok(())
    }

    fn write_block(&mut self, slot: &str, bytes: &[u8]) -> Result<Block, BuildError> {
        let failed = |source| BuildError::Compress { slot: slot.to_owned(), source };
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(self.level).map_err(failed)?),
        };
        let packed = compressor.compress(bytes).map_err(failed)?;
        let (codec, stored) =
            if packed.len() < bytes.len() { (Codec::Zstd, packed.as_slice()) } else { (Codec::None, bytes) };
        self.scratch.write_all(stored).map_err(BuildError::Scratch)?;
        self.stored += stored.len() as u64;
        let short = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (len, stored_len) = (short(bytes.len()), short(stored.len()));
        Ok(Block { len, stored_len, codec, sha256: Sha256Hex::of(stored) })
    }

    /// Signs the release and writes the bundle; the caller makes it durable. Refused after an error of
    /// [`BundleBuilder::add_slot`].
    pub fn finish(mut self, keys: &[&SecretKey], out: &mut impl Write) -> Result<ReleaseRef, BuildError> {
        if keys.is_empty() {
            return Err(BuildError::NoKey);
        }
        if let Some(slot) = self.incomplete {
            return Err(BuildError::Incomplete { slot });
        }
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
        let head =
            encode_head(&manifest, &signatures, self.manifest.stored_len()).map_err(BuildError::Form)?;
        out.write_all(&head).map_err(BuildError::Output)?;
        self.copy_blocks(out)?;
        Ok(self.manifest.release_ref(Sha256Hex::of(&manifest)))
    }

    fn copy_blocks(&mut self, out: &mut impl Write) -> Result<(), BuildError> {
        self.scratch.seek(SeekFrom::Start(0)).map_err(BuildError::Scratch)?;
        let mut buf = vec![0; WRITE_BLOCK_LEN as usize];
        let mut left = self.stored;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            let part = buf.get_mut(..want).unwrap_or_default();
            self.scratch.read_exact(part).map_err(BuildError::Scratch)?;
            out.write_all(part).map_err(BuildError::Output)?;
            left -= want as u64;
        }
        out.flush().map_err(BuildError::Output)
    }
}
