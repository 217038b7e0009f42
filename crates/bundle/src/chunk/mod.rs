//! Releases cut by content (format 2): chunks, their index, packs, seeds, and the engine that makes images of them.
//!
//! Owns: everything between "these bytes are signed" and "this image is written and read back". Promises: only what a
//! host lacks is read from packs; everything is checked against what was signed; memory is bounded. Does not: fetch
//! (a [`PackSource`] does), know disks (an `ImageTarget` does), or sign.

mod assemble;
mod cut;
mod decode;
mod hash;
mod index;
mod pack;
mod plan;
mod release;
mod scan;
mod seed;

pub(crate) use assemble::check_carried;
pub use assemble::{Assembly, AssemblyReport};
pub use cut::{Algorithm, Chunker, MAX_CHUNK_LEN};
pub use hash::{ChunkHash, StoredCheck};
pub use index::{
    Chunk, ChunkCodec, ChunkIndex, INDEX_MAGIC, INDEX_VERSION, IndexError, Location, MAX_INDEX_LEN, Stored,
};
pub use pack::{MAX_PACK_LEN, PACK_HEAD, PACK_HEAD_LEN, PackId, PackRef, PackSource};
pub(crate) use plan::GAP;
pub use plan::{FetchPlan, Origin, PlanSummary, Range, SeedShare, Share};
pub(crate) use release::{ChunkReader, index_len_is_possible};
pub use release::{ChunkedRelease, ReleaseParts, open_release};
pub use seed::{ImageSeed, ReleaseSeed, Seed};
