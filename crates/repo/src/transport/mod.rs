//! Files of a repository, wherever they lie.
//!
//! Owns: [`Transport`], what every place can do with files, and the ways there: directory, HTTP(S), S3, OCI
//! registry. Promises: a file is put whole or not at all; a read gives exactly the bytes asked for or an error that
//! names the place; no answer is longer than its limit. Does not: know what the files mean, or trust them.

mod auth;
mod client;
mod credentials;
mod dir;
mod error;
mod http;
mod key;
mod location;
mod oci;
mod oci_names;
mod oci_token;
mod parts;
mod range;
mod s3;
mod s3_list;
mod sigv4;

pub use client::{NetSettings, Traffic};
pub use credentials::Credentials;
pub use dir::DirTransport;
pub use error::TransportError;
pub use http::HttpTransport;
pub use key::{Key, KeyError};
pub use location::{Location, LocationError};
pub use oci::OciTransport;
pub use s3::S3Transport;

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use lifeboat_model::Sha256Hex;
use lifeboat_model::io::ReadAt;

/// Largest file that is put in one piece: 5 GB is what S3 allows without its multipart protocol.
pub const MAX_PUT: u64 = 5_000_000_000;

/// What a put does with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// The new one takes its place.
    Replace,
    /// The old one stays. Atomic in directories and in S3 (`If-None-Match: *`); a registry is asked first.
    IfAbsent,
}

/// What a put did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The file is there now.
    Stored,
    /// With [`PutMode::IfAbsent`]: a file of this name was there; what is in it is not known.
    Existed,
}

/// What is put: bytes that can be read again when a connection breaks.
pub struct Body<'a> {
    source: &'a dyn ReadAtSync,
    start: u64,
    len: u64,
    sha256: Sha256Hex,
}

/// Bytes that several threads may read.
pub trait ReadAtSync: ReadAt + Sync {}
impl<T: ReadAt + Sync + ?Sized> ReadAtSync for T {}

impl<'a> Body<'a> {
    /// Bytes in memory.
    #[must_use]
    pub fn bytes(bytes: &'a Vec<u8>) -> Self {
        Self { source: bytes, start: 0, len: bytes.len() as u64, sha256: Sha256Hex::of(bytes) }
    }

    /// `len` bytes of a file from byte `start` on, whose SHA-256 the caller knows.
    #[must_use]
    pub fn part(source: &'a dyn ReadAtSync, start: u64, len: u64, sha256: Sha256Hex) -> Self {
        Self { source, start, len, sha256 }
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn sha256(&self) -> Sha256Hex {
        self.sha256
    }

    /// Reads it from its beginning.
    #[must_use]
    pub fn reader(&self) -> BodyReader<'_> {
        BodyReader { source: self.source, at: self.start, left: self.len }
    }
}

impl fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes, {})", self.len, self.sha256)
    }
}

/// One pass over a [`Body`].
pub struct BodyReader<'a> {
    source: &'a dyn ReadAtSync,
    at: u64,
    left: u64,
}

impl Read for BodyReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let Some(into) = buf.get_mut(..len).filter(|into| !into.is_empty()) else { return Ok(0) };
        self.source.read_at(self.at, into)?;
        self.at += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}

impl fmt::Debug for BodyReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyReader({} bytes left)", self.left)
    }
}

/// A place with files.
pub trait Transport: fmt::Debug + Send + Sync {
    /// The place, for people; without credentials.
    fn place(&self) -> String;

    /// A whole small file of at most `limit` bytes.
    fn get(&self, key: &Key, limit: u64) -> Result<Vec<u8>, TransportError>;

    /// Fills `buf` from byte `offset` of the file on. A cut connection is taken up again where it stopped.
    /// [`TransportError::NoRanges`] if the place can only give whole files.
    fn read_at(&self, key: &Key, offset: u64, buf: &mut [u8]) -> Result<(), TransportError>;

    /// Writes the whole file of at most `limit` bytes into `sink` in one pass: for places without ranges.
    /// Returns its length. After an error the sink holds a beginning of the file.
    fn stream(&self, key: &Key, limit: u64, sink: &mut dyn Write) -> Result<u64, TransportError>;

    /// Puts a file, whole or not at all.
    fn put(&self, key: &Key, body: &Body<'_>, mode: PutMode) -> Result<Put, TransportError>;

    /// Length of the file, or `None` if there is none.
    fn stat(&self, key: &Key) -> Result<Option<u64>, TransportError>;

    /// All files whose keys begin with `prefix`, in the order of their keys.
    fn list(&self, prefix: &str) -> Result<Vec<Key>, TransportError>;

    /// Removes a file; one that is not there is no error.
    fn delete(&self, key: &Key) -> Result<(), TransportError>;

    /// Bytes and requests so far; `None` where no network is between.
    fn traffic(&self) -> Option<Arc<Traffic>> {
        None
    }
}

/// Opens the place that a location names.
pub fn connect(location: &Location, settings: &NetSettings) -> Result<Arc<dyn Transport>, TransportError> {
    Ok(match location {
        Location::Dir(path) => Arc::new(DirTransport::new(path.clone())),
        Location::Http(base) => Arc::new(HttpTransport::new(base, settings)?),
        Location::S3(place) => Arc::new(S3Transport::new(place, settings)?),
        Location::Oci(place) => Arc::new(OciTransport::new(place, settings)?),
    })
}
