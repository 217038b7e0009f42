//! Why a bundle is refused.
//!
//! Owns: one enum for everything that reading can meet. Promises: every text says what is wrong, where, and
//! what to do. Does not: describe failures of building (`BuildError`) or of key texts (`KeyError`).

use std::io;

use lifeboat_model::Sha256Hex;
use thiserror::Error;

use crate::chunk::{IndexError, PackId};
use crate::keys::KeyId;
use crate::manifest::ManifestError;

/// Why a bundle is refused. Nothing of it may be installed.
#[derive(Debug, Error)]
pub enum BundleError {
    /// The first bytes are not the magic of a bundle.
    #[error(
        "not a lifeboat bundle: the file does not begin with LFBUNDL1; \
         give a file that `lifeboat release build` made"
    )]
    NotABundle,

    /// The bundle ends before its own lengths say.
    #[error(
        "the bundle is cut: it ends at byte {at} within {within}, but {expected} bytes were expected; \
         fetch it again"
    )]
    Cut {
        /// Byte position at which the source ended.
        at: u64,
        /// Total length that was expected, as far as it is known.
        expected: u64,
        /// Which part of the bundle the end lies in.
        within: String,
    },

    /// Bytes follow the last block.
    #[error("the bundle ends at byte {end}, but more bytes follow it; it was altered, fetch it again")]
    TrailingBytes {
        /// Position after the last block.
        end: u64,
    },

    /// Header, manifest and signature list do not have the digest that the header names.
    #[error(
        "the head of the bundle is damaged: SHA-256 {found} where {expected} was written; fetch it again"
    )]
    HeadAltered {
        /// Digest in the header.
        expected: Sha256Hex,
        /// Digest of what is there.
        found: Sha256Hex,
    },

    /// Stored bytes of a block do not have the signed digest.
    #[error(
        "the bundle is altered or damaged: block {block} of slot {slot} (at byte {at}) has SHA-256 {found} \
         where {expected} was signed; fetch it again"
    )]
    BlockAltered {
        /// Name of the slot.
        slot: String,
        /// Index of the block in the slot.
        block: usize,
        /// Position of the stored block in the bundle.
        at: u64,
        /// Signed digest.
        expected: Sha256Hex,
        /// Digest of what is there.
        found: Sha256Hex,
    },

    /// A block with the signed digest does not decode to the signed length.
    #[error(
        "block {block} of slot {slot} does not decode to the {len} bytes that were signed; \
         the release was built wrongly, ask its maker for another one"
    )]
    BlockUndecodable {
        /// Name of the slot.
        slot: String,
        /// Index of the block in the slot.
        block: usize,
        /// Signed length of the decoded block in bytes.
        len: u64,
        /// What the decoder said, if it said anything.
        #[source]
        source: Option<io::Error>,
    },

    /// All blocks of a slot are as signed, and yet the whole is not.
    #[error(
        "slot {slot} has SHA-256 {found} as a whole where {expected} was signed; \
         the release was built wrongly, ask its maker for another one"
    )]
    SlotAltered {
        /// Name of the slot.
        slot: String,
        /// Signed digest.
        expected: Sha256Hex,
        /// Digest of the decoded slot.
        found: Sha256Hex,
    },

    /// The signature list is empty.
    #[error("the bundle is not signed; sign it with `lifeboat release build --key` or get a signed one")]
    Unsigned,

    /// No signature is by a key that is trusted here.
    #[error(
        "no signature of the bundle is by a trusted key: it is signed by {}, trusted are {}; \
         if the signer is the right one, add its public key to the trusted keys",
        list(found),
        list(trusted)
    )]
    UnknownKey {
        /// Keys that the bundle says it is signed with.
        found: Vec<KeyId>,
        /// Keys that are trusted.
        trusted: Vec<KeyId>,
    },

    /// A signature names a trusted key, but is not of that key over this manifest.
    #[error(
        "the signature by key {key} does not fit the manifest: the bundle was altered after signing; \
         fetch it again from its maker"
    )]
    BadSignature {
        /// The key that the signature names.
        key: KeyId,
    },

    /// Fewer trusted keys signed than are asked for.
    #[error("{good} trusted key(s) signed the bundle, {needed} are needed; have it signed by another key")]
    TooFewSignatures {
        /// Distinct trusted keys with a good signature.
        good: usize,
        /// Threshold of the trust store.
        needed: usize,
    },

    /// The list of signatures has a form that no writer makes.
    #[error("the list of signatures is malformed: {what}; fetch the bundle again")]
    MalformedSignatures {
        /// What is wrong with it.
        what: String,
    },

    /// The release is not to be installed any more.
    #[error(
        "release {name} {version} expired at {expires} (unix seconds), {} ago; get a newer release, \
         or allow expired ones explicitly (and check this machine's clock)",
        ago(*now, *expires)
    )]
    Expired {
        /// Product line.
        name: String,
        /// Version for people.
        version: String,
        /// End of life in unix seconds.
        expires: u64,
        /// The time of the check in unix seconds.
        now: u64,
    },

    /// The release is older than the host allows.
    #[error(
        "release {name} {version} has serial {serial}, but {floor} is the lowest that may be installed: \
         it is older than what already ran here; choose a newer release"
    )]
    TooOld {
        /// Product line.
        name: String,
        /// Version for people.
        version: String,
        /// Serial of the release.
        serial: u64,
        /// Lowest serial that may be installed.
        floor: u64,
    },

    /// The release belongs to another product line.
    #[error(
        "the release is of product line {found:?}, but {expected:?} is expected; \
         choose a release of the right line"
    )]
    WrongLine {
        /// Line of the release.
        found: String,
        /// Line of the host or pool.
        expected: String,
    },

    /// The release is for another kind of processor.
    #[error("the release is for {found}, but {expected} is expected; choose a release for the right machine")]
    WrongArch {
        /// Architecture of the release.
        found: String,
        /// Architecture of the host.
        expected: String,
    },

    /// The container has a version that this reader does not know.
    #[error(
        "the bundle has format version {found}, this lifeboat reads version {known}; \
         use a newer lifeboat for it"
    )]
    UnsupportedFormat {
        /// Version in the header.
        found: u32,
        /// Version that is read here.
        known: u32,
    },

    /// A length is beyond every bound.
    #[error(
        "the bundle has {len} bytes of {what}, a reader takes at most {max}; it is damaged or was built wrongly"
    )]
    AbsurdLength {
        /// Of what.
        what: &'static str,
        /// The claim.
        len: u64,
        /// The bound.
        max: u64,
    },

    /// Reserved bytes of the header are not zero.
    #[error("reserved bytes of the header are not zero; the bundle is damaged or of a newer kind")]
    ReservedNotZero,

    /// The signed lengths of the blocks do not add up to what the header says.
    #[error(
        "the header claims {header} bytes of blocks, the signed manifest {manifest}; \
         the bundle was altered, fetch it again"
    )]
    LengthsDisagree {
        /// Claim of the header.
        header: u64,
        /// Sum of the manifest.
        manifest: u64,
    },

    /// The manifest is not one that can be used.
    #[error("the manifest of the release cannot be used")]
    Manifest(#[from] ManifestError),

    /// A slot that the caller needs is not in the release.
    #[error("the release has no slot {slot:?} (it has {present}); build it with one")]
    MissingSlot {
        /// The slot that was asked for.
        slot: String,
        /// The slots that are there.
        present: String,
    },

    /// A slot that is needed in memory as a whole is longer than the caller takes.
    #[error(
        "slot {slot} has {len} bytes, at most {max} are taken for it; build the release with a smaller one"
    )]
    SlotTooLong {
        /// Name of the slot.
        slot: String,
        /// Its signed length.
        len: u64,
        /// The caller's bound.
        max: u64,
    },

    /// A release of format 1 where chunks are needed.
    #[error("the release is not cut into chunks (format 1); build it again with this lifeboat")]
    NotChunked,

    /// A bundle of format 2 that comes as a stream of slots.
    #[error("a bundle of chunks (format 2) is not read slot by slot from a stream; keep it in a file first")]
    NeedsPositions,

    /// Container and manifest are of different formats.
    #[error(
        "the container and the manifest in it are of different formats; it was built wrongly, fetch it again"
    )]
    FormsDisagree,

    /// The list of what a bundle carries has a form that no writer makes.
    #[error("the bundle's list of contents is malformed: {what}; fetch the bundle again")]
    Contents {
        /// What is wrong with it.
        what: String,
    },

    /// A pack begins with something else.
    #[error(
        "pack {pack} of the bundle does not begin with LFPACK01; it is altered or damaged, fetch the bundle again"
    )]
    NotAPack {
        /// Its number in the manifest.
        pack: u8,
    },

    /// An index does not have the signed digest.
    #[error(
        "the index of slot {slot} has SHA-256 {found} where {expected} was signed; it is altered or damaged, fetch it \
         again"
    )]
    IndexAltered {
        /// Name of the slot.
        slot: String,
        /// Signed digest.
        expected: Sha256Hex,
        /// Digest of what is there.
        found: Sha256Hex,
    },

    /// An index has the signed digest and cannot be used.
    #[error("the index of slot {slot} cannot be used")]
    Index {
        /// Name of the slot.
        slot: String,
        /// Why not.
        #[source]
        source: IndexError,
    },

    /// An index could not be had.
    #[error("reading the index of slot {slot}")]
    ReadIndex {
        /// Name of the slot.
        slot: String,
        /// The source's own error.
        #[source]
        source: io::Error,
    },

    /// Stored bytes of a chunk are not those that were signed.
    #[error(
        "chunk {chunk} of slot {slot} (at byte {at} of its pack) is not what was signed: it is altered or damaged; \
         fetch it again"
    )]
    ChunkAltered {
        /// Name of the slot.
        slot: String,
        /// Number of the chunk in the slot.
        chunk: usize,
        /// First stored byte in its pack.
        at: u64,
    },

    /// A chunk with the signed bytes does not become what the index says.
    #[error(
        "chunk {chunk} of slot {slot} does not become what its index says; the release was built wrongly, ask its \
         maker for another one"
    )]
    ChunkWrong {
        /// Name of the slot.
        slot: String,
        /// Number of the chunk in the slot.
        chunk: usize,
    },

    /// The bundle carries only what its base lacks, and the base is not here.
    #[error(
        "{chunks} chunks of slot {slot} ({bytes} bytes) are neither carried nor here: this bundle is only the \
         difference to another release; give that release as a seed, or the whole bundle"
    )]
    NotCarried {
        /// Name of the slot.
        slot: String,
        /// How many chunks.
        chunks: u64,
        /// Their bytes.
        bytes: u64,
    },

    /// A pack could not be read.
    #[error("reading {len} bytes at byte {at} of pack {pack}")]
    ReadPack {
        /// The pack.
        pack: PackId,
        /// First byte.
        at: u64,
        /// Length of the read.
        len: u64,
        /// The source's own error.
        #[source]
        source: io::Error,
    },

    /// The bundle to be written failed.
    #[error("writing the bundle")]
    Write {
        /// The output's own error.
        #[source]
        source: io::Error,
    },

    /// A stream was read on after an error.
    #[error("the stream already failed and cannot be read on; open the bundle again")]
    StreamBroken,

    /// The source failed.
    #[error("reading {len} bytes at byte {at} of the bundle failed")]
    Read {
        /// Position in the bundle.
        at: u64,
        /// Length of the read.
        len: u64,
        /// The source's own error.
        #[source]
        source: io::Error,
    },
}

impl From<BundleError> for io::Error {
    /// A failing source keeps its kind; everything else is [`io::ErrorKind::InvalidData`].
    fn from(error: BundleError) -> Self {
        let kind = if let BundleError::Read { source, .. }
        | BundleError::ReadPack { source, .. }
        | BundleError::ReadIndex { source, .. } = &error
        {
            source.kind()
        } else {
            io::ErrorKind::InvalidData
        };
        Self::new(kind, error)
    }
}

fn list(keys: &[KeyId]) -> String {
    if keys.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    for (index, key) in keys.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&key.to_string());
    }
    text
}

fn ago(now: u64, then: u64) -> lifeboat_model::Millis {
    lifeboat_model::Millis::from_secs(now.saturating_sub(then).min(u64::MAX / 1000))
}
