//! A disk that fails after a given number of written bytes.

use std::io;

use lifeboat_model::io::{ReadAt, WriteAt};

/// The disk. What is written before the limit is written; the write that passes it is cut there and fails, and so
/// does every later one.
#[derive(Debug)]
pub(super) struct FailingDisk<D> {
    disk: D,
    left: Option<u64>,
}

impl<D> FailingDisk<D> {
    /// Fails after `limit` bytes, or never.
    pub(super) fn new(disk: D, limit: Option<u64>) -> Self {
        Self { disk, left: limit }
    }
}

impl<D: ReadAt> ReadAt for FailingDisk<D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.disk.read_at(offset, buf)
    }
}

impl<D: WriteAt> WriteAt for FailingDisk<D> {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Some(left) = self.left else { return self.disk.write_at(offset, data) };
        let len = data.len() as u64;
        if len <= left {
            self.left = Some(left - len);
            return self.disk.write_at(offset, data);
        }
        self.left = Some(0);
        let part = usize::try_from(left).ok().and_then(|left| data.get(..left)).unwrap_or(data);
        self.disk.write_at(offset, part)?;
        Err(io::Error::other("the disk fails (a fault that was ordered)"))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }

    fn drop_cache(&mut self, offset: u64, len: u64) -> io::Result<()> {
        self.disk.drop_cache(offset, len)
    }
}
