//! Writing a bundle of format 2.
//!
//! Owns: the order of its parts. Promises: the same parts and runs give the same bytes, whoever writes them. Does not:
//! sign, or check what it is given beyond its lengths; whoever reads the bundle does.

use std::io::{self, Write};

use lifeboat_model::ReleaseRef;

use crate::chunk::{PackId, ReleaseParts};
use crate::contents::{Contents, Run};
use crate::error::BundleError;
use crate::head::encode_head;
use crate::manifest::Manifest;

/// Bytes that are copied at once.
const PIECE: u64 = 1 << 20;

/// Reads a range of a pack: its name, the first byte, the bytes to be filled.
pub type ReadPack<'a> = dyn FnMut(&PackId, u64, &mut [u8]) -> io::Result<()> + 'a;

/// Writes the bundle that carries `runs` of a release's packs; `read` gives them. `base` is named if they are not all.
pub fn write_bundle(
    parts: &ReleaseParts,
    base: Option<&ReleaseRef>,
    runs: &[Run],
    read: &mut ReadPack<'_>,
    out: &mut dyn Write,
) -> Result<(), BundleError> {
    let manifest = Manifest::parse(&parts.manifest)?;
    let contents = Contents::new(base.cloned(), runs.to_vec());
    contents.check(&manifest)?;
    let body_len = manifest.index_len().saturating_add(contents.len());
    let head = encode_head(&parts.manifest, &parts.signatures, &contents.encode()?, body_len)?;
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(|source| BundleError::Write { source });
    put(&head)?;
    parts.indexes.iter().try_for_each(|index| put(index))?;
    let mut buf = Vec::new();
    for run in runs {
        let Some(pack) = manifest.packs.get(usize::from(run.pack)) else { continue };
        let mut at = run.offset;
        while at < run.end() {
            let len = (run.end() - at).min(PIECE);
            buf.resize(usize::try_from(len).unwrap_or(0), 0);
            read(&pack.sha256, at, &mut buf).map_err(|source| BundleError::ReadPack {
                pack: pack.sha256,
                at,
                len,
                source,
            })?;
            put(&buf)?;
            at += len;
        }
    }
    out.flush().map_err(|source| BundleError::Write { source })
}
