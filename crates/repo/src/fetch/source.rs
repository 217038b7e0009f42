//! The packs of a repository as a source of chunks.
//!
//! Owns: [`RepoSource`]. Promises: a range comes from the cache, from what was read ahead, or from the place itself; a
//! place without ranges is asked for the whole pack once, which is checked and kept as a file. Does not: check
//! ranges (the reader knows the digest of every chunk).

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lifeboat_bundle::{FetchPlan, Manifest, PackId, PackSource};
use lifeboat_model::Sha256Hex;
use sha2::{Digest as _, Sha256};

use super::ahead::{Ahead, Fetch, Wanted};
use crate::layout;
use crate::transport::{Transport, TransportError};

/// Packs of a release, read where they are.
pub struct RepoSource {
    inner: Arc<Inner>,
    ahead: Mutex<Option<Arc<Ahead>>>,
}

struct Inner {
    transport: Arc<dyn Transport>,
    packs: Vec<(PackId, u64)>,
    /// Where whole packs are kept, if they must be.
    dir: PathBuf,
    /// Packs that lie here whole.
    local: RwLock<Vec<(PackId, File)>>,
    /// One whole download at a time.
    whole: Mutex<()>,
    fetched: AtomicU64,
    without_ranges: AtomicBool,
}

impl RepoSource {
    /// The packs that a manifest names. `dir` is for whole packs, should the place have no ranges.
    pub(crate) fn new(transport: Arc<dyn Transport>, manifest: &Manifest, dir: PathBuf) -> Self {
        let packs = manifest.packs.iter().map(|pack| (pack.sha256, pack.len)).collect();
        let inner = Inner {
            transport,
            packs,
            dir,
            local: RwLock::new(Vec::new()),
            whole: Mutex::new(()),
            fetched: AtomicU64::new(0),
            without_ranges: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner), ahead: Mutex::new(None) }
    }

    /// Announces what will be read, in this order; four connections fetch it ahead of the reader.
    pub fn expect(&self, ranges: Vec<(PackId, u64, u64)>) {
        let inner = Arc::clone(&self.inner);
        let fetch: Arc<Fetch> = Arc::new(move |(pack, offset, end): &Wanted| {
            let mut bytes = vec![0; usize::try_from(end.saturating_sub(*offset)).ok()?];
            inner.read(pack, *offset, &mut bytes).ok()?;
            Some(bytes)
        });
        let ahead = Arc::new(Ahead::start(ranges, &fetch));
        *self.ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// The same for what a plan reads.
    pub fn expect_plan(&self, manifest: &Manifest, plan: &FetchPlan) {
        let ranges = plan.ranges().into_iter().filter_map(|range| {
            let pack = manifest.packs.get(usize::from(range.pack))?;
            Some((pack.sha256, range.offset, range.end))
        });
        self.expect(ranges.collect());
    }

    /// Where the packs are.
    #[must_use]
    pub fn place(&self) -> String {
        self.inner.transport.place()
    }

    /// Bytes of packs that were fetched so far.
    #[must_use]
    pub fn fetched(&self) -> u64 {
        self.inner.fetched.load(Ordering::Relaxed)
    }

    /// Whether the place gave no ranges, so that whole packs were fetched: worth a note to its owner.
    #[must_use]
    pub fn without_ranges(&self) -> bool {
        self.inner.without_ranges.load(Ordering::Relaxed)
    }
}

impl PackSource for RepoSource {
    fn read_at(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let range = (*pack, offset, offset.saturating_add(buf.len() as u64));
        if let Some(bytes) = ahead.and_then(|ahead| ahead.take(&range))
            && bytes.len() == buf.len()
        {
            buf.copy_from_slice(&bytes);
            return Ok(());
        }
        self.inner.read(pack, offset, buf)
    }
}

impl Inner {
    fn read(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let known = self.packs.iter().find(|(there, _)| there == pack);
        let Some((_, len)) = known else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("pack {pack} is not of this release"),
            ));
        };
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > *len) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("pack {pack} has only {len} bytes")));
        }
        if self.read_local(pack, offset, buf)? {
            return Ok(());
        }
        let key = layout::pack(pack.0).map_err(io::Error::other)?;
        match self.transport.read_at(&key, offset, buf) {
            Ok(()) => {
                self.fetched.fetch_add(buf.len() as u64, Ordering::Relaxed);
                Ok(())
            }
            Err(TransportError::NoRanges { .. }) => {
                self.without_ranges.store(true, Ordering::Relaxed);
                self.fetch_whole(pack, *len)?;
                if self.read_local(pack, offset, buf)? {
                    Ok(())
                } else {
                    Err(io::Error::other(format!("pack {pack} was not kept")))
                }
            }
            Err(error @ TransportError::NotFound { .. }) => {
                Err(io::Error::new(io::ErrorKind::NotFound, error))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    fn read_local(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<bool> {
        let local = self.local.read().unwrap_or_else(PoisonError::into_inner);
        match local.iter().find(|(there, _)| there == pack) {
            Some((_, file)) => file.read_exact_at(buf, offset).map(|()| true),
            None => Ok(false),
        }
    }

    fn fetch_whole(&self, pack: &PackId, len: u64) -> io::Result<()> {
        let _one = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if self.local.read().unwrap_or_else(PoisonError::into_inner).iter().any(|(there, _)| there == pack) {
            return Ok(());
        }
        let key = layout::pack(pack.0).map_err(io::Error::other)?;
        std::fs::create_dir_all(&self.dir)?;
        let mut file = tempfile::tempfile_in(&self.dir)?;
        let mut sink = Hashing { file: &mut file, hash: Sha256::new() };
        let got = self.transport.stream(&key, len, &mut sink).map_err(io::Error::other)?;
        let found = Sha256Hex(sink.hash.finalize().into());
        if got != len || found != pack.0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("pack {pack} was altered on its way"),
            ));
        }
        self.fetched.fetch_add(len, Ordering::Relaxed);
        self.local.write().unwrap_or_else(PoisonError::into_inner).push((*pack, file));
        Ok(())
    }
}

struct Hashing<'a> {
    file: &'a mut File,
    hash: Sha256,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl fmt::Debug for RepoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepoSource").field("place", &self.inner.transport.place()).finish_non_exhaustive()
    }
}
