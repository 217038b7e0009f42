//! Content of files, with their holes, from a root into a backup.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use lifeboat_model::Sha256Hex;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::{Root, RootError};
use crate::form::{Entry, Kind, SectionWriter};

/// Up to this size a file is read whole before it is written, so that one that changes meanwhile is read again.
const SMALL: u64 = 4 << 20;
/// Bytes that are read at once.
const PIECE: usize = 1 << 18;

/// Writes a file's entry and content as they are at one moment. Gives the digest, and the entry as it was written.
pub(crate) fn capture_file(
    root: &Root,
    entry: &Entry,
    out: &mut SectionWriter,
) -> Result<(Entry, Sha256Hex), RootError> {
    for _ in 0..5 {
        let file = root.open_file(&entry.path)?;
        let metadata = file.metadata().map_err(root.io_error("looking at", &entry.path))?;
        if !metadata.is_file() {
            break;
        }
        let now = Entry {
            kind: Kind::File { len: metadata.len() },
            meta: crate::form::Meta {
                mode: metadata.mode() & 0o7777,
                uid: metadata.uid(),
                gid: metadata.gid(),
                seconds: metadata.mtime(),
                nanos: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            },
            ..entry.clone()
        };
        let stamp = |metadata: &std::fs::Metadata| (metadata.len(), metadata.ctime(), metadata.ctime_nsec());
        let unchanged = || file.metadata().is_ok_and(|after| stamp(&after) == stamp(&metadata));
        let sparse = metadata.blocks() * 512 < metadata.len();
        if metadata.len() > SMALL {
            out.entry(&now)?;
            each_piece(&file, metadata.len(), sparse, &mut |offset, bytes| {
                out.piece(offset, bytes).map_err(RootError::from)
            })
            .map_err(|error| error.at(root, &entry.path))?;
            if !unchanged() {
                break;
            }
            return Ok((now, out.end_file()?));
        }
        let mut pieces = Vec::new();
        each_piece(&file, metadata.len(), sparse, &mut |offset, bytes| {
            pieces.push((offset, bytes.to_vec()));
            Ok(())
        })
        .map_err(|error| error.at(root, &entry.path))?;
        if !unchanged() {
            continue;
        }
        out.entry(&now)?;
        for (offset, bytes) in pieces {
            out.piece(offset, &bytes)?;
        }
        return Ok((now, out.end_file()?));
    }
    Err(RootError::Changing { path: entry.path.clone(), root: root.path().to_owned() })
}

enum PieceError {
    Io(io::Error),
    Taken(RootError),
}

impl PieceError {
    fn at(self, root: &Root, path: &crate::path::RelPath) -> RootError {
        match self {
            Self::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                RootError::Changing { path: path.clone(), root: root.path().to_owned() }
            }
            Self::Io(source) => root.io_error("reading", path)(source),
            Self::Taken(error) => error,
        }
    }
}

impl From<io::Error> for PieceError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for PieceError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Takes a piece of a file: offset and bytes.
type Take<'a> = dyn FnMut(u64, &[u8]) -> Result<(), RootError> + 'a;

/// Gives the data of a file, piece by piece, without its holes.
fn each_piece(file: &File, len: u64, sparse: bool, take: &mut Take<'_>) -> Result<(), PieceError> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < len {
        let end = if sparse {
            match rustix::fs::seek(file, SeekFrom::Data(at)) {
                // Nothing but a hole up to the end.
                Err(Errno::NXIO) => return Ok(()),
                Err(Errno::INVAL) => len,
                data => {
                    at = data?;
                    rustix::fs::seek(file, SeekFrom::Hole(at))?.min(len)
                }
            }
        } else {
            len
        };
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE);
            let bytes = piece.get_mut(..want).unwrap_or_default();
            file.read_exact_at(bytes, at)?;
            take(at, bytes).map_err(PieceError::Taken)?;
            at += want as u64;
        }
    }
    Ok(())
}
