//! tar as a stream that is pushed in: the plain one, and that of the kernel, whose headers all come first.

use serde::Serialize;

use super::error::ArchiveError;
use crate::bytes::le_u32;

const BLOCK: usize = 512;
/// Most members that are looked at.
pub const MAX_MEMBERS: usize = 200_000;
/// Most bytes of a long name.
const MAX_NAME: u64 = 4096;

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TarMember {
    /// Path as it stands there.
    pub path: String,
    /// Bytes.
    pub len: u64,
    /// What it is.
    pub kind: TarKind,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TarKind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, with what it names.
    Symlink(String),
    /// Another name of a member.
    Hardlink(String),
    /// A device, a pipe, or a type that is not known.
    Special(char),
}

/// What comes out of a walk.
pub(in crate::esx) enum TarEvent<'a> {
    /// A member begins.
    Member(&'a TarMember),
    /// More of its content; plain archives only.
    Data(&'a [u8]),
    /// Its content has come whole; plain archives only.
    End,
}

/// Which archive it turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::esx) enum Flavour {
    /// Not enough bytes yet.
    Unknown,
    /// A plain tar.
    Plain,
    /// The tar of the kernel.
    Visor,
    /// No tar.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Header,
    /// Content of a member, and the rest of its last block.
    Data {
        left: u64,
        pad: u64,
        what: What,
    },
    /// After the last header.
    Behind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Content,
    LongName,
    LongLink,
    Skipped,
}

/// Takes the bytes of an archive in pieces.
pub(in crate::esx) struct TarWalk {
    step: Step,
    flavour: Flavour,
    block: [u8; BLOCK],
    filled: usize,
    seen: u64,
    members: usize,
    /// The furthest byte that a member of the kernel's tar claims.
    furthest: u64,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

type Sink<'a> = dyn FnMut(TarEvent<'_>) -> Result<(), ArchiveError> + 'a;

impl TarWalk {
    pub(in crate::esx) fn new() -> Self {
        Self {
            step: Step::Header,
            flavour: Flavour::Unknown,
            block: [0; BLOCK],
            filled: 0,
            seen: 0,
            members: 0,
            furthest: 0,
            long_name: None,
            long_link: None,
        }
    }

    pub(in crate::esx) fn flavour(&self) -> Flavour {
        self.flavour
    }

    /// Takes more of the archive.
    pub(in crate::esx) fn push(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
        self.seen += bytes.len() as u64;
        while !bytes.is_empty() {
            if matches!(self.flavour, Flavour::Other) || self.step == Step::Behind {
                return Ok(());
            }
            bytes = match self.step {
                Step::Header => {
                    let (front, rest) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
                    if let Some(to) = self.block.get_mut(self.filled..self.filled + front.len()) {
                        to.copy_from_slice(front);
                    }
                    self.filled += front.len();
                    if self.filled == BLOCK {
                        self.header(sink)?;
                    }
                    rest
                }
                Step::Data { left, pad, what } => {
                    let now = bytes.len().min(usize::try_from(left + pad).unwrap_or(usize::MAX));
                    let (front, rest) = bytes.split_at(now);
                    let content = front.get(..now.min(usize::try_from(left).unwrap_or(now))).unwrap_or(front);
                    self.content(what, content, sink)?;
                    let left_now = left - content.len() as u64;
                    let pad_now = pad - (now - content.len()) as u64;
                    self.step = Step::Data { left: left_now, pad: pad_now, what };
                    if left_now + pad_now == 0 {
                        self.step = Step::Header;
                        if what == What::Content {
                            sink(TarEvent::End)?;
                        }
                    }
                    rest
                }
                Step::Behind => &[],
            };
        }
        Ok(())
    }

    /// Says that the archive ended; gives the number of members.
    pub(in crate::esx) fn finish(&self) -> Result<usize, ArchiveError> {
        let broken = |reason: String| Err(ArchiveError::Tar { reason });
        match (self.flavour, self.step) {
            (Flavour::Unknown | Flavour::Other, _) => Ok(0),
            (Flavour::Visor, _) if self.furthest > self.seen => {
                broken(format!("a member ends at byte {}, the archive at {}", self.furthest, self.seen))
            }
            (_, Step::Data { .. }) => broken(format!("it ends inside member {}", self.members)),
            (Flavour::Plain, Step::Header) if self.filled > 0 => broken("it ends inside a header".to_owned()),
            (Flavour::Plain | Flavour::Visor, Step::Header | Step::Behind) => Ok(self.members),
        }
    }

    fn content(&mut self, what: What, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
        match what {
            What::Content if !bytes.is_empty() => sink(TarEvent::Data(bytes))?,
            What::LongName => self.long_name.get_or_insert_default().extend_from_slice(bytes),
            What::LongLink => self.long_link.get_or_insert_default().extend_from_slice(bytes),
            What::Content | What::Skipped => {}
        }
        Ok(())
    }

    fn header(&mut self, sink: &mut Sink<'_>) -> Result<(), ArchiveError> {
        let block = self.block;
        let magic = block.get(257..262).unwrap_or_default();
        let zeros = block.iter().all(|&byte| byte == 0);
        if self.flavour == Flavour::Unknown {
            self.flavour = match magic {
                b"ustar" => Flavour::Plain,
                b"visor" => Flavour::Visor,
                // An empty archive is blocks of zeros.
                _ if zeros => Flavour::Plain,
                _ => Flavour::Other,
            };
            if self.flavour == Flavour::Other {
                return Ok(());
            }
        }
        self.filled = 0;
        if zeros {
            self.step = Step::Behind;
            return Ok(());
        }
        let number = self.members + 1;
        let broken = |reason: String| ArchiveError::Tar { reason: format!("header {number} {reason}") };
        if magic != b"ustar" && magic != b"visor" {
            return Err(broken("lacks the mark of a header".to_owned()));
        }
        if !sum_is_right(&block) {
            return Err(broken("has a wrong checksum".to_owned()));
        }
        if self.members >= MAX_MEMBERS {
            return Err(broken(format!("is beyond {MAX_MEMBERS}")));
        }
        let len = size(block.get(124..136).unwrap_or_default())
            .ok_or_else(|| broken("states a size that is no number".to_owned()))?;
        let kind = block.get(156).copied().unwrap_or(0);
        let what = match kind {
            b'L' => What::LongName,
            b'K' => What::LongLink,
            b'x' | b'g' => What::Skipped,
            _ => What::Content,
        };
        if matches!(what, What::LongName | What::LongLink) && len > MAX_NAME {
            return Err(broken(format!("announces a name of {len} bytes")));
        }
        if what == What::Content {
            self.members += 1;
            let member = self.member(&block, kind, len);
            if self.flavour == Flavour::Visor && len > 0 {
                let at = u64::from(le_u32(&block, 496).unwrap_or(0));
                if at < BLOCK as u64 {
                    return Err(broken(format!("places its data at byte {at}, among the headers")));
                }
                self.furthest = self.furthest.max(at + len);
            }
            sink(TarEvent::Member(&member))?;
        }
        if self.flavour == Flavour::Plain {
            let stored = if matches!(kind, b'1'..=b'6') { 0 } else { len };
            let pad = stored.next_multiple_of(BLOCK as u64).saturating_sub(stored);
            if stored > u64::from(u32::MAX) * 16 {
                return Err(broken(format!("states a size of {stored} bytes")));
            }
            if stored > 0 {
                self.step = Step::Data { left: stored, pad, what };
            } else if what == What::Content {
                sink(TarEvent::End)?;
            }
        }
        Ok(())
    }

    fn member(&mut self, block: &[u8; BLOCK], kind: u8, len: u64) -> TarMember {
        let text = |from: usize, to: usize| {
            let field = block.get(from..to).unwrap_or_default();
            field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec()
        };
        let lossy = |bytes: &[u8]| {
            let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(bytes.get(..end).unwrap_or(bytes)).into_owned()
        };
        let link = self.long_link.take().unwrap_or_else(|| text(157, 257));
        let mut path = self.long_name.take().unwrap_or_default();
        if path.is_empty() {
            path = text(0, 100);
            // The prefix is one of POSIX archives; the kernel's have their own fields near the end of the block.
            if block.get(257..263) == Some(b"ustar\0") && block.get(345) != Some(&0) {
                path = [text(345, 500), path].join(&b'/');
            }
        }
        let kind = match kind {
            0 | b'0' | b'7' if path.ends_with(b"/") => TarKind::Directory,
            0 | b'0' | b'7' => TarKind::File,
            b'1' => TarKind::Hardlink(lossy(&link)),
            b'2' => TarKind::Symlink(lossy(&link)),
            b'5' => TarKind::Directory,
            other => TarKind::Special(char::from(other)),
        };
        TarMember { path: lossy(&path), len, kind }
    }
}

/// A size: octal digits, or the binary form of GNU.
fn size(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let value = rest.iter().try_fold(u64::from(first & 0x7f), |sum, &byte| {
            sum.checked_mul(256).and_then(|sum| sum.checked_add(u64::from(byte)))
        });
        return value.filter(|&value| value < 1 << 62);
    }
    let mut digits =
        field.iter().skip_while(|&&byte| byte == b' ').take_while(|&&byte| !matches!(byte, 0 | b' '));
    digits.try_fold(0_u64, |sum, &byte| {
        let digit = matches!(byte, b'0'..=b'7').then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(8)?.checked_add(digit)
    })
}

fn sum_is_right(block: &[u8; BLOCK]) -> bool {
    let stated = size(block.get(148..156).unwrap_or_default());
    let counted = |signed: bool| -> i64 {
        let bytes = block.iter().enumerate();
        bytes
            .map(|(at, &byte)| match at {
                148..156 => 32,
                _ if signed => i64::from(i8::from_le_bytes([byte])),
                _ => i64::from(byte),
            })
            .sum()
    };
    let stated = stated.and_then(|stated| i64::try_from(stated).ok());
    stated.is_some_and(|stated| stated == counted(false) || stated == counted(true))
}
