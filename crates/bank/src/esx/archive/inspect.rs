//! Looking through one file of a bank.

use lifeboat_model::io::ReadAt;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::ArchiveError;
use super::gunzip::Gunzip;
use super::tar::{Flavour, TarWalk};
use crate::esx::hex::hex;
use crate::fat::Extent;

/// Most content of one file that is unpacked. The largest module of a real release has some 500 MB.
pub const MAX_UNPACKED: u64 = 2 << 30;
const CHUNK: usize = 256 << 10;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// gzip of the kernel's tar.
    GzipVisorTar,
    /// gzip of a plain tar.
    GzipTar,
    /// gzip of something else, for example a kernel, or of nothing.
    Gzip,
    /// Not compressed: the loader takes it with a warning.
    Plain,
}

/// A file that was looked through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspected {
    /// What it holds.
    pub form: Form,
    /// Bytes of content.
    pub unpacked: u64,
    /// Members of its archive.
    pub members: usize,
    /// Bytes behind the end of the compressed stream.
    pub trailing: u64,
    /// SHA-256 of the file as it lies there, in hexadecimal digits.
    pub sha256: String,
}

/// Gives the bytes of `extents` in order, in pieces.
pub fn read_extents(
    disk: &dyn ReadAt,
    extents: &[Extent],
    sink: &mut dyn FnMut(&[u8]) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut buffer = vec![0_u8; CHUNK];
    for extent in extents {
        let mut done = 0;
        while done < extent.len {
            let now = usize::try_from(extent.len - done).unwrap_or(CHUNK).min(CHUNK);
            let part = buffer.get_mut(..now).unwrap_or_default();
            let offset = extent.offset + done;
            disk.read_at(offset, part).map_err(|source| ArchiveError::Io { offset, source })?;
            sink(part)?;
            done += now as u64;
        }
    }
    Ok(())
}

/// Looks through the file that lies in `extents`: gzip header, data, length and checksum as the loader does, and the
/// archive inside. The hash of a damaged file is not given; its fault is.
pub fn inspect(disk: &dyn ReadAt, extents: &[Extent]) -> Result<Inspected, ArchiveError> {
    let mut sha = Sha256::new();
    let mut gunzip = Gunzip::new(MAX_UNPACKED);
    let mut walk = TarWalk::new();
    let mut begin = Vec::new();
    let mut plain = None;
    let mut len = 0;
    read_extents(disk, extents, &mut |bytes| {
        sha.update(bytes);
        len += bytes.len() as u64;
        if plain.is_none() {
            begin.extend(bytes.iter().take(2 - begin.len().min(2)));
            plain = (begin.len() == 2).then(|| begin != [0x1f, 0x8b]);
            if plain == Some(false) && bytes.len() < 2 {
                // The mark came in two pieces; extents are sectors, so only a file of one byte comes here.
                gunzip.push(begin.get(..1).unwrap_or_default(), &mut |_| Ok(()))?;
            }
        }
        if plain == Some(false) {
            gunzip.push(bytes, &mut |content| walk.push(content, &mut |_| Ok(())))?;
        }
        Ok(())
    })?;
    let sha256 = hex(&sha.finalize());
    if plain != Some(false) {
        return Ok(Inspected { form: Form::Plain, unpacked: len, members: 0, trailing: 0, sha256 });
    }
    let (unpacked, trailing) = gunzip.finish()?;
    let members = walk.finish()?;
    let form = match walk.flavour() {
        Flavour::Visor => Form::GzipVisorTar,
        Flavour::Plain => Form::GzipTar,
        Flavour::Unknown | Flavour::Other => Form::Gzip,
    };
    Ok(Inspected { form, unpacked, members, trailing, sha256 })
}
