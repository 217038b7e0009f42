//! XDR (RFC 4506) as libvirt uses it: big-endian words of four bytes.
//!
//! Promises: the decoder reads only what is there, checks a length against its limit *and* against the bytes that are
//! left before anything is allocated, and never panics; the encoder refuses what a daemon would refuse. Does not: know
//! any message.

use thiserror::Error;

/// Longest string or opaque value that libvirt's protocol carries.
pub const STRING_LIMIT: usize = 4 << 20;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XdrError {
    /// The bytes end within a value.
    #[error("{what} needs {needed} bytes at byte {at}, where {left} are left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Place.
        at: usize,
        /// Bytes that it takes.
        needed: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length above its limit.
    #[error("{what} of length {len} at byte {at}; more than {limit} is not read")]
    TooLong {
        /// What was being read.
        what: &'static str,
        /// Place.
        at: usize,
        /// Length that is claimed.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// Not UTF-8, or with a NUL within.
    #[error("the string at byte {at} is not UTF-8 text without NUL")]
    NotText {
        /// Place.
        at: usize,
    },
    /// A discriminant outside its set.
    #[error("{what} is {value} at byte {at}, which means nothing")]
    Unknown {
        /// What was being read.
        what: &'static str,
        /// Place.
        at: usize,
        /// What it is.
        value: u32,
    },
    /// Bytes after the last value.
    #[error("{left} bytes are left after the last value")]
    Trailing {
        /// How many.
        left: usize,
    },
}

/// Writes values one after another. The first thing that cannot be sent is remembered and told by [`Encoder::finish`].
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
    wrong: Option<XdrError>,
}

impl Encoder {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A signed word.
    pub fn int(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned word.
    pub fn unsigned(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// A signed double word.
    pub fn hyper(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// An unsigned double word.
    pub fn unsigned_hyper(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// A floating-point number of double precision.
    pub fn double(&mut self, value: f64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// A truth value; libvirt sends them as `int`.
    pub fn flag(&mut self, value: bool) {
        self.int(i32::from(value));
    }

    /// Bytes of a length that both sides know; padded to words.
    pub fn fixed(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.pad(value.len());
    }

    /// Bytes with their length before them.
    pub fn opaque(&mut self, value: &[u8]) {
        self.length("an opaque value", value.len(), STRING_LIMIT);
        self.fixed(value);
    }

    /// A string; NUL cannot be sent, because a daemon written in C would read a shorter one.
    pub fn string(&mut self, value: &str) {
        if value.contains('\0') {
            self.wrong.get_or_insert(XdrError::NotText { at: self.bytes.len() });
        }
        self.length("a string", value.len(), STRING_LIMIT);
        self.fixed(value.as_bytes());
    }

    /// A string that may be absent.
    pub fn optional_string(&mut self, value: Option<&str>) {
        self.flag(value.is_some());
        if let Some(value) = value {
            self.string(value);
        }
    }

    /// Number of elements that follow.
    pub fn count(&mut self, what: &'static str, len: usize, limit: usize) {
        self.length(what, len, limit);
    }

    /// The bytes.
    pub fn finish(self) -> Result<Vec<u8>, XdrError> {
        self.wrong.map_or(Ok(self.bytes), Err)
    }

    fn length(&mut self, what: &'static str, len: usize, limit: usize) {
        let at = self.bytes.len();
        match u32::try_from(len) {
            Ok(word) if len <= limit => self.unsigned(word),
            _ => {
                self.wrong.get_or_insert(XdrError::TooLong { what, at, len, limit });
            }
        }
    }

    fn pad(&mut self, len: usize) {
        let zeros = [0_u8; 3];
        let needed = len.next_multiple_of(4) - len;
        self.bytes.extend(zeros.iter().take(needed));
    }
}

/// Reads values one after another.
#[derive(Debug)]
pub struct Decoder<'b> {
    rest: &'b [u8],
    at: usize,
}

impl<'b> Decoder<'b> {
    /// From the first of these bytes.
    #[must_use]
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    /// Bytes that are not read yet.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// A signed word.
    pub fn int(&mut self) -> Result<i32, XdrError> {
        Ok(i32::from_be_bytes(self.array("a word")?))
    }

    /// An unsigned word.
    pub fn unsigned(&mut self) -> Result<u32, XdrError> {
        Ok(u32::from_be_bytes(self.array("a word")?))
    }

    /// A signed double word.
    pub fn hyper(&mut self) -> Result<i64, XdrError> {
        Ok(i64::from_be_bytes(self.array("a double word")?))
    }

    /// An unsigned double word.
    pub fn unsigned_hyper(&mut self) -> Result<u64, XdrError> {
        Ok(u64::from_be_bytes(self.array("a double word")?))
    }

    /// A floating-point number of double precision.
    pub fn double(&mut self) -> Result<f64, XdrError> {
        Ok(f64::from_be_bytes(self.array("a double")?))
    }

    /// A truth value; as C does, every word but 0 is true.
    pub fn flag(&mut self) -> Result<bool, XdrError> {
        Ok(self.int()? != 0)
    }

    /// Bytes of a known length that fills whole words.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], XdrError> {
        let Some((value, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.short(what, N));
        };
        self.rest = rest;
        self.at += N;
        Ok(*value)
    }

    /// Bytes with their length before them.
    pub fn opaque(&mut self, what: &'static str, limit: usize) -> Result<&'b [u8], XdrError> {
        let at = self.at;
        let len = self.unsigned()? as usize;
        if len > limit {
            return Err(XdrError::TooLong { what, at, len, limit });
        }
        let padded = len.next_multiple_of(4);
        let (Some(value), Some(rest)) = (self.rest.get(..len), self.rest.get(padded..)) else {
            return Err(self.short(what, padded));
        };
        self.rest = rest;
        self.at += padded;
        Ok(value)
    }

    /// A string.
    pub fn string(&mut self) -> Result<String, XdrError> {
        let at = self.at;
        let bytes = self.opaque("a string", STRING_LIMIT)?;
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.to_owned()),
            _ => Err(XdrError::NotText { at }),
        }
    }

    /// A string for people: what is not UTF-8 in it is replaced.
    pub fn text_for_people(&mut self) -> Result<String, XdrError> {
        Ok(String::from_utf8_lossy(self.opaque("a string", STRING_LIMIT)?).into_owned())
    }

    /// A value that may be absent.
    pub fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, XdrError>,
    ) -> Result<Option<T>, XdrError> {
        let at = self.at;
        match self.unsigned()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            value => Err(XdrError::Unknown { what: "the presence of a value", at, value }),
        }
    }

    /// Elements with their number before them. Each takes at least `smallest` bytes, so a number that cannot be true
    /// is refused before memory is taken.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        limit: usize,
        smallest: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, XdrError>,
    ) -> Result<Vec<T>, XdrError> {
        let at = self.at;
        let len = self.unsigned()? as usize;
        if len > limit {
            return Err(XdrError::TooLong { what, at, len, limit });
        }
        let needed = len.saturating_mul(smallest.max(4));
        if needed > self.rest.len() {
            return Err(self.short(what, needed));
        }
        let mut all = Vec::with_capacity(len);
        for _ in 0..len {
            all.push(read(self)?);
        }
        Ok(all)
    }

    /// Fails with a discriminant that means nothing; it was the word before.
    pub fn unknown<T>(&self, what: &'static str, value: u32) -> Result<T, XdrError> {
        Err(XdrError::Unknown { what, at: self.at.saturating_sub(4), value })
    }

    /// That all is read.
    pub fn finish(self) -> Result<(), XdrError> {
        if self.rest.is_empty() { Ok(()) } else { Err(XdrError::Trailing { left: self.rest.len() }) }
    }

    fn short(&self, what: &'static str, needed: usize) -> XdrError {
        XdrError::Short { what, at: self.at, needed, left: self.rest.len() }
    }
}
