//! Releases as bytes: the bundle format, its manifest, its signatures, and their verification.
//!
//! Owns: the form of a bundle (`docs/formats/bundle.md`), keys of release makers, the trust of readers.
//! Promises: nothing of a slot is handed out before the signature, the rules and the block's own digest were
//! found good; hostile bytes cost bounded time and memory; no files, clock or randomness (all are arguments).
//! Does not: decide which release a host shall run, write banks, or fetch bundles.

mod block;
mod builder;
mod bundle;
mod describe;
mod error;
mod head;
mod keys;
mod manifest;
mod signature;
mod stream;
mod trust;
mod verify;

pub use builder::{BuildError, BundleBuilder, DEFAULT_LEVEL, ReleaseDraft};
pub use bundle::{Bundle, Progress, SlotReader, open, verify_all};
pub use describe::{
    BlockTotals, ReleaseInfo, SCHEMA as RELEASE_INFO_SCHEMA, SignatureInfo, SlotInfo, inspect,
};
pub use error::BundleError;
pub use head::{FORMAT_VERSION, HEADER_LEN, MAGIC, MAX_MANIFEST_LEN, MAX_SIGNATURES_LEN};
pub use keys::{KeyError, KeyId, PublicKey, SecretKey};
pub use manifest::{
    Block, Codec, MAX_BLOCK_LEN, Manifest, ManifestError, READER_VERSION, SCHEMA as MANIFEST_SCHEMA,
    SPEC_VERSION, Slot, WRITE_BLOCK_LEN, slot,
};
pub use signature::{MAX_SIGNATURES, SignatureState};
pub use stream::{BundleStream, StreamSlot, open_stream};
pub use trust::TrustStore;
pub use verify::{Rules, Verified};
