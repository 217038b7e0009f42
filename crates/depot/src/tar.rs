//! Listing a tar archive while it streams by: plain tar and the *visor tar* of ESXi.
//!
//! A visor tar has the magic `visor  ` where tar has `ustar`, all headers first, and the place of each file's data
//! as a little-endian number of 32 bits at byte 496 of its header; the checksum is the ordinary one.
//! Promises: bounded memory; the list is told to be incomplete when it is. Does not: unpack anything.

use serde::Serialize;

const BLOCK: usize = 512;

/// Longest name that a header may spread over extra blocks.
const LONG_NAME: usize = 64 << 10;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A file, or an executable of the visor (its data is aligned to pages).
    File,
    /// A directory.
    Directory,
    /// A symbolic link and its target.
    Symlink {
        /// As it is written.
        target: String,
    },
    /// A hard link and the name of its file.
    Link {
        /// As it is written.
        target: String,
    },
    /// A device or a pipe, by its type letter.
    Special {
        /// The letter.
        letter: char,
    },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Path as it is written, bytes that are not UTF-8 replaced.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of data.
    pub size: u64,
    /// Permission bits, with set-id bits.
    pub mode: u32,
}

/// Which form the archive has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// All headers first.
    Visor,
    /// Each header before its data.
    Tar,
    /// Something else that is compressed a second time.
    Xz,
    /// No archive.
    None,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listing {
    /// Form of the archive.
    pub form: Form,
    /// Entries in their order.
    pub entries: Vec<Entry>,
    /// What is damaged, in words.
    pub damage: Vec<String>,
}

enum State {
    Header,
    Skip(u64),
    Long { left: u64, padded: u64, text: Vec<u8>, what: Long },
    Done,
}

#[derive(Clone, Copy)]
enum Long {
    Path,
    Target,
    Pax,
    Ignored,
}

/// Takes the bytes of an archive as they come.
pub struct Lister {
    state: State,
    block: Vec<u8>,
    taken: u64,
    listing: Listing,
    /// Ends of data, by position, in a visor tar.
    farthest: Option<(u64, String)>,
    path: Option<String>,
    target: Option<String>,
    limit: usize,
}

impl std::fmt::Debug for Lister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lister").field("entries", &self.listing.entries.len()).finish_non_exhaustive()
    }
}

impl Lister {
    /// Lists at most `limit` entries.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            taken: 0,
            listing: Listing { form: Form::None, entries: Vec::new(), damage: Vec::new() },
            farthest: None,
            path: None,
            target: None,
            limit,
        }
    }

    /// The next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        while !bytes.is_empty() {
            match &mut self.state {
                State::Done => return,
                State::Skip(left) => {
                    let count = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    bytes = bytes.get(count..).unwrap_or_default();
                    *left -= count as u64;
                    if *left == 0 {
                        self.state = State::Header;
                    }
                }
                State::Long { left, padded, text, .. } => {
                    let count = bytes.len().min(usize::try_from(*padded).unwrap_or(usize::MAX));
                    let keep = count.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    text.extend_from_slice(bytes.get(..keep).unwrap_or_default());
                    *left -= keep as u64;
                    *padded -= count as u64;
                    bytes = bytes.get(count..).unwrap_or_default();
                    if *padded == 0 {
                        self.end_long();
                    }
                }
                State::Header => {
                    let count = bytes.len().min(BLOCK - self.block.len());
                    self.block.extend_from_slice(bytes.get(..count).unwrap_or_default());
                    bytes = bytes.get(count..).unwrap_or_default();
                    if self.block.len() == BLOCK {
                        let block = std::mem::take(&mut self.block);
                        self.header(&block);
                        self.block = block;
                        self.block.clear();
                    }
                }
            }
        }
    }

    /// The end of the stream.
    #[must_use]
    pub fn finish(mut self) -> Listing {
        let cut = match &self.state {
            State::Done => false,
            State::Header => !self.block.is_empty() && self.listing.form != Form::None,
            State::Skip(_) | State::Long { .. } => true,
        };
        if cut {
            self.listing.damage.push(format!("the archive ends within an entry, at byte {}", self.taken));
        }
        if let Some((end, path)) = self.farthest.take()
            && end > self.taken
        {
            let what = format!("the data of {path} would end at byte {end} of {}", self.taken);
            self.listing.damage.push(what);
        }
        self.listing
    }

    fn header(&mut self, block: &[u8]) {
        let first = self.listing.form == Form::None && self.listing.entries.is_empty();
        if block.iter().all(|byte| *byte == 0) {
            self.state = State::Done;
            return;
        }
        let magic = block.get(257..265).unwrap_or_default();
        let form = if magic.starts_with(b"visor  ") {
            Form::Visor
        } else if sum_is_right(block) {
            Form::Tar
        } else {
            Form::None
        };
        let whole = form == Form::Tar || (form == Form::Visor && sum_is_right(block));
        if first {
            if block.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
                self.listing.form = Form::Xz;
                self.state = State::Done;
                return;
            }
            self.listing.form = form;
            if form == Form::None {
                self.state = State::Done;
                return;
            }
        }
        if !whole || form != self.listing.form {
            let at = self.taken;
            self.listing.damage.push(format!("a header before byte {at} is damaged; the list ends there"));
            self.state = State::Done;
            return;
        }
        self.entry(block, form);
    }

    fn entry(&mut self, block: &[u8], form: Form) {
        let letter = block.get(156).copied().unwrap_or(0);
        let Some(size) = size_of(block.get(124..136).unwrap_or_default()) else {
            self.listing.damage.push(format!("entry {} has no size", self.listing.entries.len()));
            self.state = State::Done;
            return;
        };
        let padded = size.checked_next_multiple_of(BLOCK as u64).unwrap_or(u64::MAX);
        let long = match letter {
            b'L' => Some(Long::Path),
            b'K' => Some(Long::Target),
            b'x' => Some(Long::Pax),
            b'g' => Some(Long::Ignored),
            _ => None,
        };
        if let (Some(what), Form::Tar) = (long, form) {
            if size > LONG_NAME as u64 {
                self.listing
                    .damage
                    .push(format!("a long name of {size} bytes; more than {LONG_NAME} are not read"));
                self.state = State::Done;
            } else if padded > 0 {
                self.state = State::Long { left: size, padded, text: Vec::new(), what };
            }
            return;
        }
        if self.listing.entries.len() >= self.limit {
            self.listing.damage.push(format!("more than {} entries; the rest is not listed", self.limit));
            self.state = State::Done;
            return;
        }
        let target = self.target.take().unwrap_or_else(|| text(block.get(157..257).unwrap_or_default()));
        let path = self.path.take().unwrap_or_else(|| name_of(block, form));
        let kind = match letter {
            b'5' => EntryKind::Directory,
            b'2' => EntryKind::Symlink { target },
            b'1' => EntryKind::Link { target },
            b'3' | b'4' | b'6' => EntryKind::Special { letter: char::from(letter) },
            _ if path.ends_with('/') => EntryKind::Directory,
            _ => EntryKind::File,
        };
        let mode = size_of(block.get(100..108).unwrap_or_default()).unwrap_or(0);
        let has_data = kind == EntryKind::File;
        if form == Form::Visor && has_data && size > 0 {
            let at = u64::from(le32(block, 496));
            let end = at.saturating_add(size);
            if at == 0 {
                self.listing.damage.push(format!("{path} has {size} bytes and no place of its data"));
            } else if self.farthest.as_ref().is_none_or(|(farthest, _)| end > *farthest) {
                self.farthest = Some((end, path.clone()));
            }
        }
        let mode = u32::try_from(mode & 0o7777).unwrap_or(0);
        let size = if has_data { size } else { 0 };
        self.listing.entries.push(Entry { path, kind, size, mode });
        if form == Form::Tar && has_data && padded > 0 {
            self.state = State::Skip(padded);
        }
    }

    fn end_long(&mut self) {
        let State::Long { text: bytes, what, .. } = std::mem::replace(&mut self.state, State::Header) else {
            return;
        };
        match what {
            Long::Path => self.path = Some(text(&bytes)),
            Long::Target => self.target = Some(text(&bytes)),
            Long::Ignored => {}
            Long::Pax => {
                for line in bytes.split(|byte| *byte == b'\n') {
                    let line = String::from_utf8_lossy(line);
                    let Some((_, pair)) = line.split_once(' ') else { continue };
                    match pair.split_once('=') {
                        Some(("path", value)) => self.path = Some(value.to_owned()),
                        Some(("linkpath", value)) => self.target = Some(value.to_owned()),
                        Some(("size", _)) => {
                            self.listing.damage.push("a size in an extra header is not followed".to_owned());
                        }
                        Some(_) | None => {}
                    }
                }
            }
        }
    }
}

/// Name of an entry, with the prefix that plain tar has for long ones.
fn name_of(block: &[u8], form: Form) -> String {
    let name = text(block.get(..100).unwrap_or_default());
    let posix = form == Form::Tar && block.get(257..263) == Some(b"ustar\0");
    let prefix = if posix { text(block.get(345..500).unwrap_or_default()) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
}

fn le32(block: &[u8], at: usize) -> u32 {
    let bytes = block.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}

/// An octal number, or a binary one as GNU writes large sizes.
fn size_of(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let mut value: u64 = 0;
        for (index, byte) in field.iter().enumerate() {
            let byte = if index == 0 { byte & 0x7f } else { *byte };
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
    }
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = std::str::from_utf8(field.get(..end)?).ok()?.trim();
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// Whether the header's sum fits, the field itself counted as blanks.
fn sum_is_right(block: &[u8]) -> bool {
    let Some(written) = size_of(block.get(148..156).unwrap_or_default()) else { return false };
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    written == sum
}

/// Why a path must not be unpacked below a root; `None` if it may.
#[must_use]
pub fn leaves_root(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        Some("it begins at the root")
    } else if path.split(['/', '\\']).any(|part| part == "..") {
        Some("it climbs out of its directory")
    } else if path.contains('\0') || path.is_empty() {
        Some("it is no path")
    } else {
        None
    }
}
