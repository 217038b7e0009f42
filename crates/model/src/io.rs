//! Positioned reading and writing: what a pure core may ask of a disk.
//!
//! Promises: both calls move exactly the bytes asked for or fail; nothing is buffered here. Does not: open,
//! lock or find devices (that is `lifeboat-device`).

use std::io;

/// Reads at absolute byte positions. A disk, an image file, a slice.
pub trait ReadAt {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// Fills `buf` from byte `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the range leaves the device; otherwise the device's own error.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

/// Writes at absolute byte positions. Writes may be reordered by the device until [`WriteAt::flush`] returns.
pub trait WriteAt: ReadAt {
    /// Writes all of `data` at byte `offset`. Never grows the device.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the range leaves the device; otherwise the device's own error.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Returns when everything written before is on stable storage.
    ///
    /// # Errors
    /// The device's own error; after it nothing written since the last good flush may be trusted.
    fn flush(&mut self) -> io::Result<()>;

    /// Drops caches of the byte range, so that the next [`ReadAt::read_at`] asks the device itself.
    /// The default does nothing, which is right for memory.
    ///
    /// # Errors
    /// The device's own error.
    fn drop_cache(&mut self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }
}

fn range(offset: u64, len: usize, size: u64) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok();
    let end = start.and_then(|start| start.checked_add(len));
    match (start, end) {
        (Some(start), Some(end)) if end as u64 <= size => Ok(start..end),
        _ => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("bytes {offset}..{} leave a device of {size} bytes", offset.saturating_add(len as u64)),
        )),
    }
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let range = range(offset, buf.len(), self.size())?;
        if let Some(from) = self.get(range) {
            buf.copy_from_slice(from);
        }
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.as_slice().size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, buf)
    }
}

impl WriteAt for Vec<u8> {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = range(offset, data.len(), self.size())?;
        if let Some(to) = self.get_mut(range) {
            to.copy_from_slice(data);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buf)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &mut T {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buf)
    }
}

impl<T: WriteAt + ?Sized> WriteAt for &mut T {
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        (**self).flush()
    }

    fn drop_cache(&mut self, offset: u64, len: u64) -> io::Result<()> {
        (**self).drop_cache(offset, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_leaves_the_device_is_an_error_and_changes_nothing() {
        let mut disk = vec![7_u8; 8];
        assert_eq!(disk.write_at(6, &[1, 2, 3]).map_err(|e| e.kind()), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(disk.read_at(u64::MAX, &mut [0]).map_err(|e| e.kind()), Err(io::ErrorKind::UnexpectedEof));
        assert_eq!(disk, vec![7; 8]);
    }
}
