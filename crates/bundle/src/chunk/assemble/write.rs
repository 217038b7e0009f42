//! Writing forward in whole pages.
//!
//! A chunk ends anywhere; a page of a block device that is written in part is first read from it. So the bytes before
//! the first and after the last page border of a piece wait for their neighbours.

use std::io;

use lifeboat_model::image::ImageTarget;

const PAGE: usize = 4096;
const PAGE_LEN: u64 = PAGE as u64;

/// Pieces come with rising positions; what lies between two of them stays as it is.
pub(super) struct PagedWriter<'t> {
    target: &'t mut dyn ImageTarget,
    /// Length of the image.
    end: u64,
    page: [u8; PAGE],
    /// First byte of the page that is being filled.
    page_at: u64,
    /// Bytes of it that are known; none: no page is open.
    known: usize,
}

impl<'t> PagedWriter<'t> {
    pub(super) fn new(target: &'t mut dyn ImageTarget, end: u64) -> Self {
        Self { target, end, page: [0; PAGE], page_at: 0, known: 0 }
    }

    /// Writes `data` at byte `at`, which is not before the end of the piece before.
    pub(super) fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        if self.known > 0 && at != self.page_at + self.known as u64 {
            self.close()?;
        }
        let mut rest = data;
        let mut at = at;
        if self.known == 0 && !at.is_multiple_of(PAGE_LEN) {
            self.open(at)?;
        }
        if self.known > 0 {
            let room = PAGE - self.known;
            let (head, tail) = rest.split_at(room.min(rest.len()));
            self.put(head);
            at += head.len() as u64;
            rest = tail;
        }
        let whole = rest.len() - rest.len() % PAGE;
        let (pages, tail) = rest.split_at(whole);
        if !pages.is_empty() {
            self.flush_page()?;
            self.target.write_at(at, pages)?;
            at += pages.len() as u64;
        }
        if !tail.is_empty() {
            self.flush_page()?;
            self.page_at = at;
            self.put(tail);
        }
        if self.known == PAGE {
            self.flush_page()?;
        }
        self.target.reached(at + tail.len() as u64);
        Ok(())
    }

    /// Copies what was written before, far enough back to lie on the target.
    pub(super) fn copy(&mut self, from: u64, at: u64, buf: &mut [u8]) -> io::Result<()> {
        self.target.read_at(from, buf)?;
        self.write(at, buf)
    }

    /// Writes what waits.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.close()
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(to) = self.page.get_mut(self.known..self.known + bytes.len()) {
            to.copy_from_slice(bytes);
            self.known += bytes.len();
        }
    }

    /// Begins a page whose first bytes lie on the target already.
    fn open(&mut self, at: u64) -> io::Result<()> {
        self.page_at = at - at % PAGE_LEN;
        let known = usize::try_from(at % PAGE_LEN).unwrap_or(0);
        if let Some(before) = self.page.get_mut(..known) {
            self.target.read_at(self.page_at, before)?;
            self.known = known;
        }
        Ok(())
    }

    /// Ends a page in the middle: the rest of it stays as it is on the target.
    fn close(&mut self) -> io::Result<()> {
        if self.known == 0 {
            return Ok(());
        }
        let until = (self.page_at + PAGE_LEN).min(self.end);
        let until = usize::try_from(until - self.page_at).unwrap_or(PAGE).max(self.known);
        let from = self.page_at + self.known as u64;
        if let Some(after) = self.page.get_mut(self.known..until).filter(|after| !after.is_empty()) {
            self.target.read_at(from, after)?;
        }
        self.known = until;
        self.flush_page()
    }

    fn flush_page(&mut self) -> io::Result<()> {
        if let Some(known) = self.page.get(..self.known).filter(|known| !known.is_empty()) {
            self.target.write_at(self.page_at, known)?;
        }
        self.known = 0;
        Ok(())
    }
}
