//! Where chunks begin and end.
//!
//! Owns: the chunkers and their parameters as they stand in an index. Promises: the same bytes are cut at the same
//! places by every version of this program (held by test vectors), so that an old bank stays a good seed. Does not:
//! hash or compress.
//!
//! Source: Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based Storage Systems",
//! IEEE TPDS 2020 (FastCDC), normalization level 1.

use std::io::{self, Read};

use fastcdc::v2020::{Normalization, cut, select_masks};

/// Longest chunk that is read or made: 1 MiB.
pub const MAX_CHUNK_LEN: u32 = 1 << 20;
/// Shortest smallest chunk that a chunker may be asked for.
const MIN_CHUNK_LEN: u32 = 1 << 10;

/// How a slot was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// FastCDC 2020, 64-bit gear table, normalization level 1. On disk: 1.
    FastCdc2020,
}

impl Algorithm {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::FastCdc2020 => 1,
        }
    }

    pub(crate) fn of_code(code: u32) -> Option<Self> {
        (code == 1).then_some(Self::FastCdc2020)
    }

    /// Its name for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::FastCdc2020 => "fastcdc-2020",
        }
    }
}

/// A chunker and its parameters, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunker {
    /// The rule.
    pub algorithm: Algorithm,
    /// No chunk but a slot's last is shorter.
    pub min: u32,
    /// What most chunks come near.
    pub avg: u32,
    /// No chunk is longer.
    pub max: u32,
}

impl Default for Chunker {
    /// 8, 32 and 128 KiB: of what was measured on two host images, the sizes below which the longer index and the more
    /// numerous reads cost as much as they save.
    fn default() -> Self {
        Self { algorithm: Algorithm::FastCdc2020, min: 8 << 10, avg: 32 << 10, max: 128 << 10 }
    }
}

impl Chunker {
    /// Whether the parameters can be used.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let Self { algorithm: Algorithm::FastCdc2020, min, avg, max } = *self;
        min >= MIN_CHUNK_LEN
            && min <= avg
            && avg <= max
            && max <= MAX_CHUNK_LEN
            && avg.is_power_of_two()
            && min % 2 == 0
            && max % 2 == 0
    }

    /// Cuts all of `source`; `each` gets every chunk in order. Memory: one chunk and 1 MiB.
    pub fn cut_all<R: Read, E: From<io::Error>>(
        &self,
        mut source: R,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mask_s, mask_l) = select_masks(self.avg as usize, Normalization::Level1);
        let max = self.max as usize;
        let mut buf = vec![0_u8; max + (1 << 20)];
        let (mut from, mut to, mut ended) = (0, 0, false);
        loop {
            if to - from < max && !ended {
                buf.copy_within(from..to, 0);
                (from, to) = (0, to - from);
                while let Some(room) = buf.get_mut(to..).filter(|room| !room.is_empty()) {
                    match source.read(room) {
                        Ok(0) => {
                            ended = true;
                            break;
                        }
                        Ok(got) => to += got,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            let window = buf.get(from..to.min(from + max)).unwrap_or_default();
            if window.is_empty() {
                return Ok(());
            }
            let len = self.first(window, (mask_s, mask_l)).clamp(1, window.len());
            each(window.get(..len).unwrap_or_default())?;
            from += len;
        }
    }

    /// Length of the first chunk of `window`, which holds `max` bytes or all that is left.
    fn first(&self, window: &[u8], (mask_s, mask_l): (u64, u64)) -> usize {
        let (min, avg, max) = (self.min as usize, self.avg as usize, self.max as usize);
        cut(window, min, avg, max, mask_s, mask_l, mask_s << 1, mask_l << 1).1
    }
}
