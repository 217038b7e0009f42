//! A stream of bytes that never waits.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// A stream; [`io::ErrorKind::WouldBlock`] means "later".
pub(crate) trait Stream: Send + fmt::Debug {
    /// What to poll for reading and writing.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Takes bytes that are there; 0 is the end.
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize>;

    /// Takes over some of these bytes.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Sends what was taken over.
    fn flush(&mut self) -> io::Result<()>;

    /// Whether something that was taken over is not sent yet.
    fn wants_write(&self) -> bool;

    /// Ends it, and tells what the program that carried it said last.
    fn end(&mut self) -> String;
}

impl Stream for UnixStream {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        Read::read(self, to)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wants_write(&self) -> bool {
        false
    }

    fn end(&mut self) -> String {
        String::new()
    }
}

impl Stream for TcpStream {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }

    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        Read::read(self, to)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn wants_write(&self) -> bool {
        false
    }

    fn end(&mut self) -> String {
        String::new()
    }
}
