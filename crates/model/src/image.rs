//! How an image is handed to the one who writes it: by pieces, in any order, with a way to check what was written.
//!
//! Owns: the two traits between the room that knows what an image is made of (`bundle`) and the room that writes it into
//! a bank (`bank`), which must not know each other. Promises: nothing by itself. Does not: decide an order of writes
//! beyond what [`ImageSource::write_to`] says.

use std::io;

/// A place that an image is written to. Positions are bytes of the image.
pub trait ImageTarget {
    /// Writes all of `data` at byte `offset` of the image. The last sector may be padded with zeros.
    ///
    /// # Errors
    /// The device's own error, or a range beyond the image.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Fills `buf` with what lies there now.
    ///
    /// # Errors
    /// The device's own error, or a range beyond the image.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Told now and then: everything before byte `offset` is done.
    fn reached(&mut self, _offset: u64) {}
}

/// An image that can be written in pieces.
pub trait ImageSource {
    /// Writes every byte of the image. `resume` tells that an earlier try to write the same image did not end: what is
    /// there already, and proves to be right, need not be written again.
    ///
    /// # Errors
    /// Those of the target as they came, and the source's own.
    fn write_to(&mut self, target: &mut dyn ImageTarget, resume: bool) -> io::Result<()>;

    /// Reads every byte of the image back and compares it with what it must be. The first place that differs, in words;
    /// nothing if all is well.
    ///
    /// # Errors
    /// Those of the target.
    fn compare(&mut self, target: &mut dyn ImageTarget) -> io::Result<Option<String>>;

    /// What the image is made of, in a form that a later install can use as a hint; kept beside the image.
    fn index(&self) -> Option<Vec<u8>> {
        None
    }
}
