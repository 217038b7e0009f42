//! The Unix `ar` archive as VIBs use it.
//!
//! Owns: walking the members once, front to back. Promises: bounded memory; a header that is not one, a size that
//! leaves the file and a name that is none are errors with their place. Does not: read symbol tables or tables of
//! long names; a name is what its 16 characters hold.

use std::io::{self, Read};

use thiserror::Error;

/// First bytes of an archive.
pub const MAGIC: &[u8; 8] = b"!<arch>\n";

/// Bytes of a member's header.
const HEADER: usize = 60;

/// What is wrong with an archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArError {
    /// The source failed.
    #[error("reading the archive")]
    Read(#[source] io::Error),
    /// The first bytes are something else.
    #[error("not an ar archive: its first bytes are not `!<arch>`")]
    NotAnArchive,
    /// The file ends within a header.
    #[error("the file ends within the header of a member, at byte {at}")]
    CutHeader {
        /// Place of the header.
        at: u64,
    },
    /// A header that breaks the form.
    #[error("the header at byte {at} is damaged: {what}")]
    Header {
        /// Place of the header.
        at: u64,
        /// Which field.
        what: &'static str,
    },
    /// The file ends before a member does.
    #[error("the file ends within member {name:?}: {missing} of its {size} bytes are missing")]
    CutMember {
        /// Name of the member.
        name: String,
        /// What its header says.
        size: u64,
        /// Bytes that are not there.
        missing: u64,
    },
    /// More members than a VIB can have.
    #[error("more than {limit} members")]
    TooMany {
        /// The bound.
        limit: usize,
    },
}

/// One member's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name as far as 16 characters hold it.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Where its header stands.
    pub at: u64,
}

/// Reads an archive once. [`Archive::next`] skips what was left unread of the member before.
#[derive(Debug)]
pub struct Archive<R> {
    source: R,
    at: u64,
    current: Option<Member>,
    left: u64,
    members: usize,
    limit: usize,
}

impl<R: Read> Archive<R> {
    /// Begins; reads the magic.
    ///
    /// # Errors
    /// [`ArError::NotAnArchive`] or the source's error.
    pub fn new(mut source: R, limit: usize) -> Result<Self, ArError> {
        let mut magic = [0; 8];
        match read_full(&mut source, &mut magic).map_err(ArError::Read)? {
            8 if magic == *MAGIC => Ok(Self { source, at: 8, current: None, left: 0, members: 0, limit }),
            _ => Err(ArError::NotAnArchive),
        }
    }

    /// The next member; `None` at the end.
    ///
    /// # Errors
    /// See [`ArError`].
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its reader")]
    pub fn next(&mut self) -> Result<Option<Member>, ArError> {
        self.skip_rest()?;
        let at = self.at;
        let mut header = [0; HEADER];
        match read_full(&mut self.source, &mut header).map_err(ArError::Read)? {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(ArError::CutHeader { at }),
        }
        self.at += HEADER as u64;
        self.members += 1;
        if self.members > self.limit {
            return Err(ArError::TooMany { limit: self.limit });
        }
        if header.get(58..60) != Some(b"`\n") {
            return Err(ArError::Header { at, what: "its end mark is missing" });
        }
        let size = number(header.get(48..58).unwrap_or_default())
            .ok_or(ArError::Header { at, what: "its size is not a number" })?;
        let name = name_of(header.get(..16).unwrap_or_default())
            .ok_or(ArError::Header { at, what: "its name is empty or not plain text" })?;
        self.left = size;
        let member = Member { name, size, at };
        self.current = Some(member.clone());
        Ok(Some(member))
    }

    /// The source, at the place that was reached.
    pub(crate) fn into_inner(self) -> R {
        self.source
    }

    fn skip_rest(&mut self) -> Result<(), ArError> {
        let Some(member) = self.current.take() else { return Ok(()) };
        if self.left > 0 {
            let mut rest = (&mut self.source).take(self.left);
            let skipped = io::copy(&mut rest, &mut io::sink()).map_err(ArError::Read)?;
            self.at += skipped;
            self.left -= skipped;
            if self.left > 0 {
                return Err(ArError::CutMember { name: member.name, size: member.size, missing: self.left });
            }
        }
        if member.size % 2 == 1 {
            // The pad byte after the last member may be missing.
            let mut pad = [0];
            self.at += read_full(&mut self.source, &mut pad).map_err(ArError::Read)? as u64;
        }
        Ok(())
    }
}

impl<R: Read> Read for Archive<R> {
    /// Bytes of the current member. A file that ends within it is an error.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = buf.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(part) = buf.get_mut(..count) else { return Ok(0) };
        if part.is_empty() {
            return Ok(0);
        }
        let got = self.source.read(part)?;
        if got == 0 {
            let what = format!("the file ends {} bytes before the end of the member", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        }
        self.at += got as u64;
        self.left -= got as u64;
        Ok(got)
    }
}

/// Fills `buf` as far as the source goes.
pub(crate) fn read_full(source: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

fn number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_end_matches(' ');
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The name without padding; some writers end it with a slash.
fn name_of(field: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(field).ok()?.trim_end_matches([' ', '\0']);
    let text = text.strip_suffix('/').filter(|short| !short.is_empty()).unwrap_or(text);
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
