//! The root image as pieces that come in any order, and what is kept of its index.
//!
//! Owns: the target that such an image writes to, the place of the index on the boot volume. Promises: no piece leaves
//! the image's own bytes of the root volume. Does not: know what an index says; a later install takes it as a hint and
//! checks every byte that it finds by it.

use std::io;

use lifeboat_model::Bank;
use lifeboat_model::image::{ImageSource, ImageTarget};
use lifeboat_model::io::ReadAt;

use super::error::InstallError;
use super::request::Step;
use super::write::{SECTOR, Writer};
use crate::fat::FatVolume;
use crate::layout::Layout;

/// Path of the root image's chunk index on the boot volume.
pub const INDEX_PATH: &str = "lifeboat/root.idx";
/// Longest index that is read: 64 MiB.
const INDEX_LIMIT: u64 = 64 << 20;

/// What the root image of a bank is made of, as it was noted when it was installed; nothing if it was not noted or
/// cannot be read. A hint: it is not compared with what lies on the disk.
#[must_use]
pub fn read_root_index(disk: &dyn ReadAt, layout: &Layout, bank: Bank) -> Option<Vec<u8>> {
    let boot = layout.volumes(bank).boot;
    let volume = FatVolume::open(disk, boot.offset(), boot.bytes()).ok()?;
    volume.read_file(INDEX_PATH, INDEX_LIMIT).ok()
}

/// The bytes of the root image on the disk.
struct RootTarget<'w, 'a> {
    writer: &'w mut Writer<'a>,
    total: u64,
    step: Step,
    /// What the disk said; the image's own error only repeats it.
    failed: Option<InstallError>,
}

impl RootTarget<'_, '_> {
    fn keep<T>(&mut self, result: Result<T, InstallError>) -> io::Result<T> {
        result.map_err(|error| {
            let text = error.to_string();
            self.failed = Some(error);
            io::Error::other(text)
        })
    }

    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.total => Ok(()),
            Some(_) | None => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{len} bytes at {offset} leave an image of {} bytes", self.total),
            )),
        }
    }
}

impl ImageTarget for RootTarget<'_, '_> {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check(offset, data.len())?;
        let written = self.writer.write_root_piece(offset, data);
        self.keep(written)
    }

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.check(offset, buf.len())?;
        let read = self.writer.read_root_piece(offset, buf);
        self.keep(read)
    }

    fn reached(&mut self, offset: u64) {
        let (step, total) = (self.step, self.total);
        self.writer.progress(step, offset.min(total), total);
    }
}

impl Writer<'_> {
    /// Has the image written by its source.
    pub(super) fn write_image(
        &mut self,
        source: &mut dyn ImageSource,
        total: u64,
        resume: bool,
    ) -> Result<(), InstallError> {
        self.progress(Step::WriteRoot, 0, total);
        let mut target = RootTarget { writer: self, total, step: Step::WriteRoot, failed: None };
        let done = source.write_to(&mut target, resume);
        match (target.failed, done) {
            (Some(failed), _) => Err(failed),
            (None, Err(source)) => Err(InstallError::Source { at: 0, source }),
            (None, Ok(())) => {
                self.progress(Step::WriteRoot, total, total);
                Ok(())
            }
        }
    }

    /// Reads the image back and has it compared by its source.
    pub(super) fn compare_image(
        &mut self,
        source: &mut dyn ImageSource,
        total: u64,
    ) -> Result<(), InstallError> {
        self.progress(Step::VerifyRoot, 0, total);
        let mut target = RootTarget { writer: self, total, step: Step::VerifyRoot, failed: None };
        let done = source.compare(&mut target);
        match (target.failed, done) {
            (Some(failed), _) => Err(failed),
            (None, Err(source)) => Err(InstallError::Source { at: 0, source }),
            (None, Ok(Some(place))) => {
                let bank = self.bank();
                Err(InstallError::ReadBack { what: "root image", bank, place })
            }
            (None, Ok(None)) => {
                self.progress(Step::VerifyRoot, total, total);
                Ok(())
            }
        }
    }

    fn write_root_piece(&mut self, offset: u64, data: &[u8]) -> Result<(), InstallError> {
        let at = self.root_offset() + offset;
        let whole = data.len() - data.len() % SECTOR;
        let (sectors, rest) = data.split_at(whole);
        if !sectors.is_empty() {
            self.write(at, sectors, "writing the root image")?;
        }
        if !rest.is_empty() {
            // The last sector is written whole; its padding is not part of the image.
            let mut last = rest.to_vec();
            last.resize(SECTOR, 0);
            self.write(at + whole as u64, &last, "writing the root image")?;
        }
        Ok(())
    }

    fn read_root_piece(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), InstallError> {
        let at = self.root_offset() + offset;
        self.read(at, buf, "reading back the root image")
    }
}
