//! A bundle that can be read at any position: a file, a device, memory.
//!
//! Owns: opening, slot readers in any order, verifying everything. Promises: [`open`] refuses with a reason
//! before a byte of a block was read; a [`SlotReader`] hands out only verified bytes. Does not: write.

use std::io::{self, Read};

use lifeboat_model::ReleaseRef;
use lifeboat_model::io::ReadAt;

use crate::block::{BlockDecoder, hand_out};
use crate::chunk::{ChunkedRelease, PACK_HEAD, PACK_HEAD_LEN, PackId, PackSource, ReleaseParts};
use crate::chunks::ChunkSlot;
use crate::contents::{Run, full_runs};
use crate::error::BundleError;
use crate::head::{Head, cut};
use crate::manifest::Slot;
use crate::trust::TrustStore;
use crate::verify::{Rules, Verified, check_head};

/// A source with a bundle's bytes. Only [`Verified`] gives access to what is in it.
#[derive(Debug)]
pub struct Bundle<R> {
    source: R,
    /// In format 2.
    carried: Option<Box<Carried>>,
}

/// What a bundle of format 2 carries.
#[derive(Debug)]
struct Carried {
    release: ChunkedRelease,
    parts: ReleaseParts,
    base: Option<ReleaseRef>,
    /// Each run with its first byte in the bundle.
    runs: Vec<(Run, u64)>,
}

/// Opens a bundle: its form, its signatures, the rules, its length and its indexes are checked; no block or chunk is
/// read yet.
pub fn open<R: ReadAt>(
    source: R,
    trust: &TrustStore,
    rules: &Rules,
) -> Result<Verified<Bundle<R>>, BundleError> {
    let head = Head::read(&mut Cursor { source: &source, at: 0 })?;
    let verified = check_head(&head, trust, rules, ())?;
    let (size, end) = (source.size(), head.end());
    if size < end {
        return Err(cut(size, end, &verified.place_of(size)));
    }
    if size > end {
        return Err(BundleError::TrailingBytes { end });
    }
    let Verified { inner: (), manifest, release, blocks_at } = verified;
    let mut carried = None;
    if let Some(contents) = head.contents {
        let mut at = blocks_at;
        let mut indexes = Vec::with_capacity(manifest.slots.len());
        for slot in &manifest.slots {
            let len = slot.index.as_ref().map_or(0, |index| index.len);
            // At most 64 MiB, and the source has them.
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
            source
                .read_at(at, &mut bytes)
                .map_err(|source| BundleError::ReadIndex { slot: slot.name.clone(), source })?;
            indexes.push(bytes);
            at = at.saturating_add(len);
        }
        let chunked = ChunkedRelease::new(manifest.clone(), release.clone(), &indexes)?;
        let parts = ReleaseParts { manifest: head.manifest, signatures: head.signature_bytes, indexes };
        let mut runs = Vec::with_capacity(contents.runs.len());
        for run in contents.runs {
            if run.offset == 0 {
                check_pack_head(&source, at, run.pack)?;
            }
            runs.push((run, at));
            at = at.saturating_add(run.len);
        }
        carried = Some(Box::new(Carried { release: chunked, parts, base: contents.base, runs }));
    }
    Ok(Verified { inner: Bundle { source, carried }, manifest, release, blocks_at })
}

/// A pack begins with its magic; the bytes behind it belong to chunks, which are checked when they are taken.
fn check_pack_head(source: &impl ReadAt, at: u64, pack: u8) -> Result<(), BundleError> {
    let mut head = [0; PACK_HEAD.len()];
    let len = PACK_HEAD_LEN;
    source.read_at(at, &mut head).map_err(|source| BundleError::Read { at, len, source })?;
    if head == PACK_HEAD { Ok(()) } else { Err(BundleError::NotAPack { pack }) }
}

/// How far [`verify_all`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The slot that is being read.
    pub slot: &'a str,
    /// Decoded bytes that were verified so far, over all slots.
    pub done: u64,
    /// Decoded bytes of all slots.
    pub total: u64,
}

/// Reads and verifies every byte of every slot; `progress` is called now and then. Of a bundle that carries only what a
/// base release lacks, what is carried is verified.
pub fn verify_all<R: ReadAt + Sync>(
    bundle: &Verified<Bundle<R>>,
    mut progress: impl FnMut(Progress<'_>),
) -> Result<(), BundleError> {
    let total = bundle.manifest.decoded_len();
    let mut done = 0;
    for slot in &bundle.manifest.slots {
        if let Some(release) = bundle.chunked() {
            let mut tell = |at| progress(Progress { slot: &slot.name, done: done + at, total });
            release.verify_slot(&slot.name, bundle, &mut tell)?;
            done += slot.len;
            continue;
        }
        let mut reader = bundle.slot(&slot.name)?;
        while let Some(bytes) = reader.next_block()? {
            done += bytes.len() as u64;
            progress(Progress { slot: &slot.name, done, total });
        }
    }
    Ok(())
}

impl<R> Verified<Bundle<R>> {
    /// The release cut into chunks; none for format 1.
    pub fn chunked(&self) -> Option<&ChunkedRelease> {
        self.inner.carried.as_ref().map(|carried| &carried.release)
    }

    /// The release's files besides its packs; none for format 1.
    pub fn parts(&self) -> Option<&ReleaseParts> {
        self.inner.carried.as_ref().map(|carried| &carried.parts)
    }

    /// The release that must be there, if this bundle carries only what it lacks.
    pub fn base(&self) -> Option<&ReleaseRef> {
        self.inner.carried.as_ref().and_then(|carried| carried.base.as_ref())
    }

    /// Whether everything of the release is carried.
    pub fn is_full(&self) -> bool {
        let Some(carried) = &self.inner.carried else { return true };
        carried.runs.iter().map(|(run, _)| *run).eq(full_runs(&self.manifest))
    }

    /// Bytes of packs that are carried; none for format 1.
    pub fn carried_len(&self) -> Option<u64> {
        self.inner.carried.as_ref().map(|carried| carried.runs.iter().map(|(run, _)| run.len).sum())
    }

    /// Where a range of a pack lies in the bundle.
    fn place(&self, pack: &PackId, offset: u64, len: u64) -> Option<u64> {
        let carried = self.inner.carried.as_ref()?;
        let number = self.manifest.packs.iter().position(|there| there.sha256 == *pack)?;
        let number = u8::try_from(number).ok()?;
        let after = carried.runs.partition_point(|(run, _)| (run.pack, run.offset) <= (number, offset));
        let (run, at) = carried.runs.get(after.checked_sub(1)?)?;
        let inside = run.pack == number && offset.checked_add(len)? <= run.end();
        inside.then(|| at.saturating_add(offset - run.offset))
    }
}

impl<R: ReadAt + Sync> PackSource for Verified<Bundle<R>> {
    fn read_at(&self, pack: &PackId, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match self.place(pack, offset, buf.len() as u64) {
            Some(at) => self.inner.source.read_at(at, buf),
            None => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "the bundle does not carry bytes {offset} to {} of pack {pack}",
                    offset.saturating_add(buf.len() as u64)
                ),
            )),
        }
    }

    fn has(&self, pack: &PackId, offset: u64, len: u64) -> bool {
        self.place(pack, offset, len).is_some()
    }
}

impl<R: ReadAt + Sync> Verified<Bundle<R>> {
    /// A reader of one slot from its beginning.
    pub fn slot(&self, name: &str) -> Result<SlotReader<'_, R>, BundleError> {
        if let Some(release) = self.chunked() {
            let slot = self.manifest.slot(name).ok_or_else(|| self.manifest.missing(name))?;
            let form = Form::Chunks(ChunkSlot::new(release, slot, self)?);
            return Ok(SlotReader { slot, form, taken: 0 });
        }
        let mut at = self.blocks_at;
        for slot in &self.manifest.slots {
            if slot.name == name {
                let source = &self.inner.source;
                let blocks = BlockSlot { source, slot, next: 0, at, decoder: BlockDecoder::default() };
                return Ok(SlotReader { slot, form: Form::Blocks(blocks), taken: 0 });
            }
            at = at.saturating_add(slot.stored_len());
        }
        Err(self.manifest.missing(name))
    }

    /// A whole slot in memory, if it is at most `limit` bytes long. For kernels and texts, not for root images.
    pub fn slot_bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>, BundleError> {
        let mut reader = self.slot(name)?;
        let len = reader.len();
        if len > limit {
            return Err(BundleError::SlotTooLong { slot: name.to_owned(), len, max: limit });
        }
        let mut bytes = Vec::new();
        while let Some(block) = reader.next_block()? {
            bytes.extend_from_slice(block);
        }
        Ok(bytes)
    }
}

impl<T> Verified<T> {
    /// Which part of the bundle byte `at` lies in, for messages.
    pub(crate) fn place_of(&self, at: u64) -> String {
        let mut end = self.blocks_at;
        for slot in self.manifest.slots.iter().filter(|_| self.manifest.is_chunked()) {
            end = end.saturating_add(slot.index.as_ref().map_or(0, |index| index.len));
            if at < end {
                return format!("the index of slot {}", slot.name);
            }
        }
        if self.manifest.is_chunked() {
            return "the chunks".to_owned();
        }
        for slot in &self.manifest.slots {
            for (index, block) in slot.blocks.iter().enumerate() {
                end = end.saturating_add(block.stored_len.into());
                if at < end {
                    return format!("block {index} of slot {}", slot.name);
                }
            }
        }
        "the end".to_owned()
    }
}

/// Decoded bytes of one slot, each block verified before any byte of it is handed out, and the whole slot's
/// digest before the last block is. An empty slot was verified when the bundle was opened.
#[derive(Debug)]
pub struct SlotReader<'b, R> {
    slot: &'b Slot,
    form: Form<'b, R>,
    /// Bytes of the current block that [`Read`] has handed out.
    taken: usize,
}

#[derive(Debug)]
enum Form<'b, R> {
    /// Format 1.
    Blocks(BlockSlot<'b, R>),
    /// Format 2.
    Chunks(ChunkSlot<'b>),
}

/// A slot of format 1.
#[derive(Debug)]
struct BlockSlot<'b, R> {
    source: &'b R,
    slot: &'b Slot,
    next: usize,
    at: u64,
    decoder: BlockDecoder,
}

impl<R: ReadAt> BlockSlot<'_, R> {
    fn advance(&mut self) -> Result<bool, BundleError> {
        let Some(block) = self.slot.blocks.get(self.next) else {
            return Ok(false);
        };
        let len = block.stored_len as usize;
        self.decoder.stored.resize(len, 0);
        let read = self.source.read_at(self.at, &mut self.decoder.stored);
        read.map_err(|source| BundleError::Read { at: self.at, len: len as u64, source })?;
        self.decoder.decode(self.slot, self.next, block, self.at)?;
        self.at = self.at.saturating_add(block.stored_len.into());
        self.next += 1;
        Ok(true)
    }
}

impl<R: ReadAt> SlotReader<'_, R> {
    /// Length of the slot in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.slot.len
    }

    /// Whether the slot has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slot.len == 0
    }

    /// The next decoded block or chunk, at most 4 MiB; nothing after the last one. Do not mix with [`Read`].
    pub fn next_block(&mut self) -> Result<Option<&[u8]>, BundleError> {
        self.taken = 0;
        let more = match &mut self.form {
            Form::Blocks(blocks) => blocks.advance()?,
            Form::Chunks(chunks) => chunks.advance()?,
        };
        let bytes = self.form.decoded();
        self.taken = bytes.len();
        Ok(more.then_some(bytes))
    }
}

impl<R> Form<'_, R> {
    fn decoded(&self) -> &[u8] {
        match self {
            Self::Blocks(blocks) => blocks.decoder.decoded(),
            Self::Chunks(chunks) => chunks.decoded(),
        }
    }
}

impl<R: ReadAt> Read for SlotReader<'_, R> {
    /// A refusal comes as [`io::ErrorKind::InvalidData`] with the [`BundleError`] inside.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.form.decoded().len() <= self.taken {
            if self.next_block()?.is_none() {
                return Ok(0);
            }
            self.taken = 0;
        }
        Ok(hand_out(self.form.decoded(), &mut self.taken, buf))
    }
}

/// Sequential reading of a positioned source.
struct Cursor<'s, R> {
    source: &'s R,
    at: u64,
}

impl<R: ReadAt> Read for Cursor<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.source.size().saturating_sub(self.at);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        if let Some(to) = buf.get_mut(..count).filter(|to| !to.is_empty()) {
            self.source.read_at(self.at, to)?;
        }
        self.at += count as u64;
        Ok(count)
    }
}
