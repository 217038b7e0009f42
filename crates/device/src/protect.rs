//! A root image with its hash tree behind it, as one stream of bytes: what goes into the root slot of a release.
//!
//! Owns: reading an image file, padding it to whole blocks, and the scratch file of the tree. Promises: the image file
//! is not changed; the scratch file has no name, so that nothing is left behind however the program ends. Does not:
//! compress, sign, or know what is in the image.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use lifeboat_bank::verity::{Verity, VerityError, build_tree, tree_bytes};
use lifeboat_model::Sha256Hex;
use lifeboat_model::io::{ReadAt, WriteAt};

/// Why an image could not be given a tree.
#[derive(Debug, thiserror::Error)]
pub enum ProtectError {
    /// A file could not be used.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The tree could not be made.
    #[error("making the hash tree of {}", path.display())]
    Tree {
        /// The image.
        path: PathBuf,
        /// Cause.
        #[source]
        source: VerityError,
    },
}

/// Image, zeros up to a whole block, superblock and tree. Read it once, from the front.
#[derive(Debug)]
pub struct ProtectedImage {
    image: Plain,
    tree: Plain,
    verity: Verity,
    at: u64,
}

impl ProtectedImage {
    /// Makes the tree of the file `image` in a file named `scratch`, which must not be there and loses its name at
    /// once. `progress` gets bytes done and bytes in all.
    pub fn make(
        image: &Path,
        scratch: &Path,
        salt: Sha256Hex,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, ProtectError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ProtectError::Io { doing, path, source }
        };
        let file = File::open(image).map_err(io("open", image))?;
        let size = file.metadata().map_err(io("look at", image))?.len();
        let data = Plain { file, size };
        let tree = |source| ProtectError::Tree { path: image.to_owned(), source };
        let size = tree_bytes(size).map_err(tree)?;
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create_new(true).mode(0o600).open(scratch);
        let file = opened.map_err(io("make the scratch file", scratch))?;
        std::fs::remove_file(scratch).map_err(io("take the name from the scratch file", scratch))?;
        file.set_len(size).map_err(io("size the scratch file", scratch))?;
        let mut sink = Plain { file, size };
        let verity = build_tree(&data, data.size, salt, &mut sink, progress).map_err(tree)?;
        Ok(Self { image: data, tree: sink, verity, at: 0 })
    }

    /// The tree: where it lies, and the root hash.
    pub fn verity(&self) -> Verity {
        self.verity
    }

    /// Bytes that can be read in all.
    pub fn total(&self) -> u64 {
        self.verity.hash_offset + self.tree.size
    }
}

impl Read for ProtectedImage {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let data = self.verity.hash_offset;
        let (from, end) = if self.at < self.image.size {
            (Some((&self.image, self.at)), self.image.size)
        } else if self.at < data {
            (None, data)
        } else {
            (Some((&self.tree, self.at - data)), self.total())
        };
        let want = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buf.len());
        let part = buf.get_mut(..want).unwrap_or_default();
        match from {
            // An image that was cut meanwhile is an error: its tree would be another one.
            Some((plain, at)) => plain.file.read_exact_at(part, at)?,
            None => part.fill(0),
        }
        self.at += part.len() as u64;
        Ok(part.len())
    }
}

/// A file with the length that it had when it was opened.
#[derive(Debug)]
struct Plain {
    file: File,
    size: u64,
}

impl ReadAt for Plain {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

impl WriteAt for Plain {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_stream_is_the_image_and_its_tree_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("root");
        for len in [1, 4096, 5000, 1 << 20] {
            std::fs::write(&image, vec![7_u8; len]).unwrap();
            let scratch = folder.path().join("tree");
            let mut protected =
                ProtectedImage::make(&image, &scratch, Sha256Hex([1; 32]), &mut |_, _| ()).unwrap();
            let (verity, total) = (protected.verity(), protected.total());
            let mut bytes = Vec::new();
            protected.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len() as u64, total);
            assert_eq!(verity.end().unwrap(), total);
            let damage = lifeboat_bank::verity::check_image(&bytes, 0, &verity, &mut |_, _| ()).unwrap();
            assert!(damage.is_none(), "{len}: {damage:?}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        }
        std::fs::write(&image, b"").unwrap();
        let empty =
            ProtectedImage::make(&image, &folder.path().join("tree"), Sha256Hex([1; 32]), &mut |_, _| ());
        assert!(matches!(empty, Err(ProtectError::Tree { .. })));
    }
}
