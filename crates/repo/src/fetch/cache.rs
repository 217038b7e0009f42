//! Whole packs in a directory, fetched so that a cut costs nothing.
//!
//! Owns: a directory with `packs/HASH`, `packs/HASH.part`, and the heads of releases, laid out as a repository is.
//! Promises: a pack under its name has its digest; what was fetched of a pack before a cut is not fetched again; a
//! chunk that a cached release or a seed has in the same stored form is copied, not fetched. Does not: throw away.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use lifeboat_bundle::{
    ChunkHash, ChunkIndex, Location, Manifest, PackId, PackRef, PackSource, ReleaseParts, Stored, StoredCheck,
};
use lifeboat_model::Sha256Hex;
use sha2::{Digest as _, Sha256};

use super::release::OpenedRelease;
use crate::layout;
use crate::tuf::RepoError;

/// Longest range that is fetched at once.
const PIECE: u64 = 2 << 20;
/// Bytes between two missing chunks that are fetched rather than asked around.
const GAP: u64 = 32 << 10;
/// Bytes after which a part file is flushed: what a power cut can cost.
const FLUSH: u64 = 32 << 20;

/// How far a fetch is.
#[derive(Debug, Clone, Copy)]
pub struct FetchStep {
    /// Bytes of packs that are here.
    pub done: u64,
    /// Bytes of all packs.
    pub total: u64,
}

/// What a fetch took from where, in bytes of packs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Fetched {
    /// Over the network.
    pub fetched: u64,
    /// From other releases that are here.
    pub copied: u64,
    /// Here already, from this or an earlier fetch.
    pub kept: u64,
}

/// A directory of packs.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

/// Where stored chunks can be had without the network.
type Known<'a> = HashMap<(ChunkHash, StoredCheck, u32), (&'a dyn PackSource, PackId, u64)>;

/// A piece of a pack: from `offset` on, `len` bytes, and where they can be copied from.
struct Piece<'a> {
    offset: u64,
    len: u64,
    from: Option<Copied<'a>>,
}

/// A stored chunk that is here.
#[derive(Clone, Copy)]
struct Copied<'a> {
    source: &'a dyn PackSource,
    pack: PackId,
    offset: u64,
    check: StoredCheck,
}

impl Copied<'_> {
    /// Fills `buf` with the whole chunk; what is not that chunk is not taken.
    fn read(&self, buf: &mut [u8]) -> bool {
        self.source.read_at(&self.pack, self.offset, buf).is_ok() && StoredCheck::of(buf) == self.check
    }
}

impl Cache {
    /// The directory; it is made when it is needed.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Fetches all packs of a release, and keeps its head. `seeds` are other releases whose packs are at hand.
    pub fn fetch(
        &self,
        opened: &OpenedRelease,
        seeds: &[(&ReleaseParts, &dyn PackSource)],
        progress: &mut dyn FnMut(FetchStep),
    ) -> Result<Fetched, RepoError> {
        let what = || format!("{}@{}", opened.entry.name, opened.entry.version);
        let manifest =
            Manifest::parse(&opened.parts.manifest).map_err(|error| RepoError::release(what(), error))?;
        let cached = self.releases();
        let mut known = Known::new();
        for (parts, source) in seeds {
            learn(&mut known, parts, *source);
        }
        for parts in &cached {
            learn(&mut known, parts, self);
        }
        let total = manifest.packs.iter().map(|pack| pack.len).sum();
        let mut sum = Fetched::default();
        for (number, pack) in manifest.packs.iter().enumerate() {
            let pieces = pieces(number, pack, &opened.parts, &known);
            self.fetch_pack(opened, pack, &pieces, &mut sum, &mut |done| {
                progress(FetchStep { done, total });
            })?;
        }
        self.keep_head(opened)?;
        Ok(sum)
    }

    fn fetch_pack(
        &self,
        opened: &OpenedRelease,
        pack: &PackRef,
        pieces: &[Piece<'_>],
        sum: &mut Fetched,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), RepoError> {
        let path = self.pack_path(&pack.sha256);
        let before = sum.fetched + sum.copied + sum.kept;
        if path.metadata().is_ok_and(|metadata| metadata.len() == pack.len) {
            sum.kept += pack.len;
            progress(before + pack.len);
            return Ok(());
        }
        let dir = self.dir.join("packs");
        fs::create_dir_all(&dir).map_err(RepoError::local("making the directory", &dir))?;
        let part = dir.join(format!("{}.part", pack.sha256));
        let failed = |source| RepoError::Local { doing: "writing", path: part.clone(), source };
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&part)
            .map_err(failed)?;
        // A part longer than its pack is somebody else's.
        let mut at = file.metadata().map_err(failed)?.len();
        if at > pack.len {
            file.set_len(0).map_err(failed)?;
            at = 0;
        }
        sum.kept += at;
        let start = at;
        let rest = || pieces.iter().filter(move |piece| piece.offset + piece.len > start);
        let begin = |piece: &Piece<'_>| piece.offset.max(start);
        opened.source.expect(
            rest()
                .filter(|piece| piece.from.is_none())
                .map(|piece| (pack.sha256, begin(piece), piece.offset + piece.len))
                .collect(),
        );
        let mut flushed = at;
        let mut buf = Vec::new();
        for piece in rest() {
            let from = begin(piece);
            buf.resize(usize::try_from(piece.offset + piece.len - from).unwrap_or(0), 0);
            if from == piece.offset && piece.from.is_some_and(|copied| copied.read(&mut buf)) {
                sum.copied += buf.len() as u64;
            } else {
                let read = opened.source.read_at(&pack.sha256, from, &mut buf);
                read.map_err(RepoError::local("fetching the pack", pack.sha256.to_string()))?;
                sum.fetched += buf.len() as u64;
            }
            file.write_all_at(&buf, from).map_err(failed)?;
            at = from + buf.len() as u64;
            progress(before + at);
            if at - flushed >= FLUSH {
                file.sync_data().map_err(failed)?;
                flushed = at;
            }
        }
        file.sync_all().map_err(failed)?;
        if digest(&part).map_err(failed)? != pack.sha256.0 {
            // Copies were checked; what was fetched was not. The next attempt begins without this part.
            fs::remove_file(&part).map_err(failed)?;
            let what = format!("pack {}", pack.sha256);
            return Err(RepoError::Altered { place: opened.source.place(), what });
        }
        fs::rename(&part, &path).map_err(failed)?;
        File::open(&dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }

    fn pack_path(&self, pack: &PackId) -> PathBuf {
        self.dir.join("packs").join(pack.to_string())
    }

    /// So that a later fetch finds the chunks.
    fn keep_head(&self, opened: &OpenedRelease) -> Result<(), RepoError> {
        let name = layout::manifest_target(&opened.entry.name, opened.entry.serial);
        let manifest = layout::target(&name, opened.entry.digest)?;
        for bytes in &opened.parts.indexes {
            self.keep(layout::index(Sha256Hex::of(bytes))?.as_str(), bytes)?;
        }
        self.keep(manifest.as_str(), &opened.parts.manifest)
    }

    fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), RepoError> {
        let path = self.dir.join(key);
        let failed = |source| RepoError::Local { doing: "writing", path: path.clone(), source };
        let dir = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(dir).map_err(failed)?;
        let mut scratch = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
        scratch.write_all(bytes).map_err(failed)?;
        scratch.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// What is here of other releases. Nothing of it is believed: the digest of the finished pack decides.
    fn releases(&self) -> Vec<ReleaseParts> {
        let Ok(entries) = fs::read_dir(self.dir.join("releases")) else { return Vec::new() };
        entries
            .filter_map(|entry| {
                let manifest_bytes = read_small(&entry.ok()?.path(), layout::MAX_RELEASE_FILE)?;
                let manifest = Manifest::parse(&manifest_bytes).ok()?;
                let indexes: Option<Vec<Vec<u8>>> = manifest
                    .slots
                    .iter()
                    .map(|slot| {
                        let index = slot.index.as_ref()?;
                        read_small(&self.dir.join(layout::INDEXES).join(index.sha256.to_string()), index.len)
                    })
                    .collect();
                Some(ReleaseParts { manifest: manifest_bytes, signatures: Vec::new(), indexes: indexes? })
            })
            .collect()
    }
}

/// The packs that are here whole.
impl PackSource for Cache {
    fn read_at(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        File::open(self.pack_path(pack))?.read_exact_at(buf, offset)
    }

    fn has(&self, pack: &PackId, _offset: u64, _len: u64) -> bool {
        self.pack_path(pack).exists()
    }
}

fn learn<'a>(known: &mut Known<'a>, parts: &ReleaseParts, source: &'a dyn PackSource) {
    let Ok(manifest) = Manifest::parse(&parts.manifest) else { return };
    let lens: Vec<u64> = manifest.packs.iter().map(|pack| pack.len).collect();
    for index in &parts.indexes {
        let Ok(index) = ChunkIndex::parse(index, Some(&lens)) else { continue };
        for chunk in &index.chunks {
            let Stored::At(at) = chunk.stored else { continue };
            let Some(pack) = manifest.packs.get(usize::from(at.pack)) else { continue };
            if source.has(&pack.sha256, at.offset, u64::from(at.len)) {
                known.entry((chunk.hash, at.check, at.len)).or_insert((source, pack.sha256, at.offset));
            }
        }
    }
}

/// The whole of a pack as pieces in order: known chunks to copy, and the rest in ranges to fetch.
fn pieces<'a>(number: usize, pack: &PackRef, parts: &ReleaseParts, known: &Known<'a>) -> Vec<Piece<'a>> {
    let mut here: Vec<(Location, ChunkHash)> = Vec::new();
    for index in &parts.indexes {
        let Ok(index) = ChunkIndex::parse(index, None) else { continue };
        here.extend(index.chunks.iter().filter_map(|chunk| match chunk.stored {
            Stored::At(at) if usize::from(at.pack) == number => Some((at, chunk.hash)),
            Stored::At(_) | Stored::Zeros => None,
        }));
    }
    here.sort_by_key(|(at, _)| at.offset);
    let mut pieces: Vec<Piece<'a>> = Vec::new();
    let mut at = 0;
    for (location, hash) in here {
        if location.offset < at || location.offset + u64::from(location.len) > pack.len {
            continue;
        }
        let Some((source, from, offset)) = known.get(&(hash, location.check, location.len)) else { continue };
        let copied = Copied { source: *source, pack: *from, offset: *offset, check: location.check };
        fetch_to(&mut pieces, at, location.offset);
        pieces.push(Piece { offset: location.offset, len: u64::from(location.len), from: Some(copied) });
        at = location.offset + u64::from(location.len);
    }
    fetch_to(&mut pieces, at, pack.len);
    pieces
}

/// Adds what is to fetch from `at` to `end`; short copies before it are fetched along.
fn fetch_to(pieces: &mut Vec<Piece<'_>>, at: u64, end: u64) {
    if at >= end {
        return;
    }
    let mut at = at;
    // A request for itself costs more than the bytes of a small gap.
    let mut gap = 0;
    let copies = pieces.iter().rev().take_while(|piece| {
        gap += piece.len;
        piece.from.is_some() && gap <= GAP
    });
    let copies = copies.count();
    let before = pieces.len() - copies;
    let joins = before > 0 && copies > 0 && pieces.get(before - 1).is_some_and(|piece| piece.from.is_none());
    if joins && let Some(first) = pieces.get(before) {
        at = first.offset;
        pieces.truncate(before);
    }
    if let Some(last) = pieces.last_mut()
        && last.from.is_none()
        && last.offset + last.len == at
        && last.len < PIECE
    {
        let more = (end - at).min(PIECE - last.len);
        last.len += more;
        at += more;
    }
    while at < end {
        let len = (end - at).min(PIECE);
        pieces.push(Piece { offset: at, len, from: None });
        at += len;
    }
}

fn digest(path: &Path) -> io::Result<Sha256Hex> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buf = vec![0; 1 << 20];
    loop {
        let got = file.read(&mut buf)?;
        if got == 0 {
            return Ok(Sha256Hex(hash.finalize().into()));
        }
        hash.update(buf.get(..got).unwrap_or_default());
    }
}

fn read_small(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}
