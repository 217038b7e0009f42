//! Releases as bytes: the bundle format, its manifest, its signatures, and their verification.
//!
//! Owns: the form of a bundle (`docs/formats/bundle.md`), keys of release makers, the trust of readers.
//! Promises: nothing of a slot is handed out before the signature, the rules and the block's own digest were
//! found good; hostile bytes cost bounded time and memory; no files, clock or randomness (all are arguments).
//! Does not: decide which release a host shall run, write banks, or fetch bundles.

mod block;
mod builder;
mod bundle;
mod chunk;
mod chunks;
mod contents;
mod describe;
mod error;
mod head;
mod keys;
mod manifest;
mod pack;
mod packages;
mod signature;
mod stream;
mod trust;
mod verify;
mod write;

pub use builder::{BuildError, BundleBuilder, Carried, DEFAULT_LEVEL, DeltaBase, ReleaseDraft};
pub use bundle::{Bundle, Progress, SlotReader, open, verify_all};
pub use chunk::{
    Algorithm, Assembly, AssemblyReport, Chunk, ChunkCodec, ChunkHash, ChunkIndex, ChunkedRelease, Chunker,
    FetchPlan, INDEX_MAGIC, INDEX_VERSION, ImageSeed, IndexError, Location, MAX_CHUNK_LEN, MAX_INDEX_LEN,
    MAX_PACK_LEN, Origin, PACK_HEAD, PACK_HEAD_LEN, PackId, PackRef, PackSource, PlanSummary, Range,
    ReleaseParts, ReleaseSeed, Seed, SeedShare, Share, Stored, StoredCheck, open_release,
};
pub use contents::{Run, delta_runs, full_runs};
pub use describe::{
    BlockTotals, ReleaseInfo, SCHEMA as RELEASE_INFO_SCHEMA, SignatureInfo, SlotInfo, inspect,
};
pub use error::BundleError;
pub use head::{FORMAT_VERSION, HEADER_LEN, MAGIC, MAX_CONTENTS_LEN, MAX_MANIFEST_LEN, MAX_SIGNATURES_LEN};
pub use keys::{KeyError, KeyId, PublicKey, SecretKey};
pub use manifest::{
    Block, Codec, IndexRef, MAX_BLOCK_LEN, Manifest, ManifestError, READER_VERSION,
    SCHEMA as MANIFEST_SCHEMA, SCHEMA_1 as MANIFEST_SCHEMA_1, SPEC_VERSION, Slot, Verity, slot,
};
pub use packages::{
    INDEX_NAME, MAX_PACKAGE_BYTES, MAX_PACKAGES, MAX_PACKAGES_INDEX, PACKAGES_SCHEMA, PackageEntry,
    PackageFormat, PackageIndex, PackagesArchive, PackagesError, PackagesReader, RebootRule,
};
pub use signature::{MAX_SIGNATURES, SignatureState, add_signatures};
pub use stream::{BundleStream, StreamSlot, open_stream};
pub use trust::TrustStore;
pub use verify::{Rules, Verified};
pub use write::{ReadPack, write_bundle};
