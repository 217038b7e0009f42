//! The only way to a write: a disk of which one bank can be written, and nothing else.

use lifeboat_model::io::{ReadAt, WriteAt};

use super::error::ChangeError;
use crate::esx::undo::Place;

/// A disk that can be read everywhere, and written in one bank.
pub(super) struct Target<'a> {
    disk: &'a mut dyn WriteAt,
    from: u64,
    to: u64,
}

impl<'a> Target<'a> {
    pub(super) fn new(disk: &'a mut dyn WriteAt, place: &Place) -> Self {
        Self { disk, from: place.offset, to: place.offset.saturating_add(place.bytes) }
    }

    pub(super) fn reader(&self) -> &dyn ReadAt {
        &*self.disk
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), ChangeError> {
        self.disk.read_at(offset, buf).map_err(|source| ChangeError::Io { doing: "reading", offset, source })
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ChangeError> {
        let end = offset.saturating_add(bytes.len() as u64);
        if offset < self.from || end > self.to {
            return Err(ChangeError::OutsideBank { from: offset, to: end });
        }
        self.disk.write_at(offset, bytes).map_err(|source| ChangeError::Io {
            doing: "writing",
            offset,
            source,
        })
    }

    pub(super) fn flush(&mut self) -> Result<(), ChangeError> {
        let offset = self.from;
        self.disk.flush().map_err(|source| ChangeError::Io { doing: "flushing the bank", offset, source })
    }

    pub(super) fn drop_cache(&mut self, offset: u64, len: u64) -> Result<(), ChangeError> {
        self.disk.drop_cache(offset, len).map_err(|source| ChangeError::Io {
            doing: "dropping the caches",
            offset,
            source,
        })
    }
}
